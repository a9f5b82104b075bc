"""Segment one slab of a scan, by direct transfer of the centroids or by the student.

A unit owns its slab, which is one shard: no two tasks ever write the same file. `open_labels` and
`close_labels` are units of their own, before the first slab and after the last.

Beside its mask the student may write `labels/confidence`: the calibrated probability that a pixel of
`labels/student` is right, in whole percent from 50 to 100, and 0 where there is no data.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.student import StudentModel
from somray.domain.tables import AreaRow, Row, SliceRow
from somray.domain.teacher import TeacherModel
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import (
    create_labels,
    finish_labels,
    list_labels,
    read_meta,
    read_slab,
    slabs,
    write_label_slab,
)
from somray.io.storage import Storage
from somray.kernels.metrics.area import target_figures
from somray.kernels.objects.scan_rule import rule_of_kinds
from somray.kernels.teacher.apply import Transfer
from somray.stages.reading.slices import read_seen
from somray.stages.reading.volume import read_volumes

__all__ = [
    "CONFIDENCE",
    "LabelItem",
    "PublishItem",
    "SlabItem",
    "close_labels",
    "confidence_classes",
    "needs_som",
    "needs_student",
    "open_labels",
    "publish",
    "run_som",
    "run_student",
]

CONFIDENCE = "confidence"  # the label group
THRESHOLD = 0.5  # probability from which the student says target
SLICE_PLANES = 80  # a slice at work holds so many times its bytes
GRID_BYTES = 400  # and a voxel of the coarse grid so many


@dataclass(frozen=True)
class LabelItem:
    """One label group of one scan.

    Args:
        place: the scan.
        label: som, student, confidence or lesions.
        dtype: of the label's pixels.
        classes: label value to name, for the metadata; written at the end.
    """

    place: ScanPlace
    label: str
    dtype: str = "uint8"
    classes: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class PublishItem:
    """The label groups of one scan that are complete."""

    place: ScanPlace
    labels: tuple[str, ...]


@dataclass(frozen=True)
class SlabItem:
    """One slab of one scan.

    Args:
        place: the scan.
        target: class whose area is reported.
        t: time index.
        z0: first slice.
        z1: slice after the last.
        level: the scan's own level of uptake, where a channel is PET.
        windows: per channel, for the student: the protocol's, with PET's at the scan's level.
        threads: for the network.
        value: of the target, in labels/som and labels/student.
        confidence: whether the student writes labels/confidence too.
        gpu: whether the student computes on a GPU, where there is one.
    """

    place: ScanPlace
    target: str
    t: int
    z0: int
    z1: int
    level: float | None = None
    windows: tuple[tuple[float, float], ...] | None = None
    threads: int = 1
    value: int = 3
    confidence: bool = False
    gpu: bool = False


def needs_som(slab_bytes: int, slice_bytes: int, dimensions: int = 2) -> Needs:
    """Declare what direct transfer takes: the slab, denoised too, its labels, a quarter of its features.

    In three dimensions, features of a slice and its neighbours in float64 as well.
    """
    planes = 40 if dimensions == 2 else 160
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 9 * slab_bytes + planes * slice_bytes)


def needs_student(
    slab_bytes: int, slice_bytes: int, gpus: float = 0.0, grid_voxels: int = 0
) -> Needs:
    """Declare what the student takes: a few slabs, and a slice or a grid at work.

    Args:
        slab_bytes: of one slab with all channels.
        slice_bytes: of one slice with all channels.
        gpus: share of a GPU.
        grid_voxels: of the coarse grid, for a student that sees volumes; else 0.
    """
    work = GRID_BYTES * grid_voxels if grid_voxels else SLICE_PLANES * slice_bytes
    memory = WORKER_BYTES + 4 * slab_bytes + work
    return Needs(cpus=1, gpus=gpus, memory_bytes=memory)


def confidence_classes() -> tuple[tuple[int, str], ...]:
    """Name the values of labels/confidence."""
    return (0, "no data"), *((percent, f"{percent} % sure") for percent in range(50, 101))


def open_labels(item: LabelItem, shared: object = None) -> Result:
    """Make an empty label group, removing what stood there; the student's confidence goes with it."""
    storage = Storage.at(item.place.root)
    if item.label == "student":
        storage.remove(f"{item.place.name}/labels/{CONFIDENCE}")
    create_labels(storage, item.place.name, item.label, item.dtype)
    return Result()


def close_labels(item: LabelItem, shared: object = None) -> Result:
    """Write names and colours of the classes and, last, the mark."""
    storage, classes = Storage.at(item.place.root), dict(item.classes)
    shades = {value: (*(value * 255 // 100,) * 3, 255) for value in classes}
    colors = shades if item.label == CONFIDENCE else None
    finish_labels(storage, item.place.name, item.label, classes, colors)
    return Result()


def publish(item: PublishItem, shared: object = None) -> Result:
    """List the labels for readers of OME-Zarr, once all of them are complete."""
    list_labels(Storage.at(item.place.root), item.place.name, item.labels)
    return Result()


def run_som(item: SlabItem, shared: TeacherModel) -> Result:
    """Assign every pixel of the slab to its nearest node's class.

    Returns:
        Rows of `slices` and `areas`; value: the slab's `signature`, for profiles and drift, and the target's `voxels`.
    """
    where = (item.t, item.z0, item.z1)
    seen = read_seen(item.place, where, item.level, shared.dimensions)
    found = Transfer(shared).sign(seen)
    storage = Storage.at(item.place.root)
    write_label_slab(storage, item.place.name, "som", item.t, item.z0, found.labels)
    target = found.labels == shared.value_of(item.target)
    pixel_mm2 = seen.spacing_mm[0] * seen.spacing_mm[1]
    rows: dict[str, Sequence[Row]] = {
        "slices": _slice_rows(item, "som", target, found.confidence, pixel_mm2),
        "areas": _area_rows(item, found.labels, shared.class_names, pixel_mm2),
    }
    voxels = int(np.count_nonzero(target))
    return Result(rows=rows, value={"signature": found.signature.as_json(), "voxels": voxels})


def run_student(item: SlabItem, shared: StudentModel) -> Result:
    """Predict the target on every slice of the slab; rows of `slices`.

    The target has the value that it has in labels/som, so that names and colours agree. A student that sees
    volumes wants the whole time point as one slab, and draws it piece by piece.
    """
    from somray.kernels.student.predict import device_for  # torch: only here

    device = device_for(gpu=item.gpu)
    parts = (_volume_parts if shared.sees_volumes else _slice_parts)(item, shared, device)
    storage, name = Storage.at(item.place.root), item.place.name
    _, dy, dx = read_meta(storage, name).geometry.spacing_mm
    rows: list[SliceRow] = []
    voxels = 0
    for z0, probability, known in parts:
        target = probability >= THRESHOLD
        voxels += int(np.count_nonzero(target))
        labels = np.where(target, np.uint8(item.value), np.uint8(0))
        write_label_slab(storage, name, "student", item.t, z0, labels)
        if item.confidence:
            sure = _percent_sure(probability, known)
            write_label_slab(storage, name, CONFIDENCE, item.t, z0, sure)
        confidence = np.abs(probability - THRESHOLD) / THRESHOLD
        rows += _slice_rows(replace(item, z0=z0), "student", target, confidence, dy * dx)
    return Result(rows={"slices": rows}, value={"device": device, "voxels": voxels})


Part = tuple[int, NDArray[np.float32], NDArray[np.bool_]]
"""First slice, probabilities (n, y, x), and where there is data."""


def _slice_parts(item: SlabItem, model: StudentModel, device: str) -> Iterator[Part]:
    """Predict the slab at the pixel size that the student learned at."""
    from somray.kernels.student.predict import predict_student
    from somray.kernels.student.spacing import at_shape, shape_at

    storage = Storage.at(item.place.root)
    _, dy, dx = read_meta(storage, item.place.name).geometry.spacing_mm
    block = np.moveaxis(read_slab(storage, item.place.name, item.t, item.z0, item.z1), 1, 0)
    own = (block.shape[2], block.shape[3])
    shape = shape_at(own, (dy, dx), model.spacing_mm)
    images = np.stack([at_shape(image, shape) for image in block])
    found = predict_student(model, images, item.windows, item.threads, device)
    known = np.asarray(~np.isnan(block).any(axis=1))
    chance = at_shape(found, own)
    chance[~known] = 0.0
    yield item.z0, chance, known


def _volume_parts(item: SlabItem, model: StudentModel, device: str) -> Iterator[Part]:
    """Predict a whole time point on the coarse grid, then draw it slab by slab."""
    from somray.stages.student.volumes import VOLUME_MM, volume_chance

    storage, name = Storage.at(item.place.root), item.place.name
    rule = rule_of_kinds(model.kinds)
    seen = read_volumes(item.place, (VOLUME_MM,), item.t)[0]
    chance = volume_chance(model, seen, rule, device)
    for z0, z1 in slabs(seen.meta.shape[2], seen.meta.slab_depth):
        block = read_slab(storage, name, item.t, z0, z1)
        known = np.asarray(~np.isnan(block).any(axis=0))
        drawn = seen.grid.sampled(chance, z0, z1)
        drawn[~known] = 0.0
        yield z0, drawn, known


def _percent_sure(probability: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the probability of the likelier of the two labels in percent, 0 where there is no data."""
    percent: NDArray[np.float32] = np.rint(100 * np.maximum(probability, 1 - probability))
    percent[~known] = 0
    return percent.astype(np.uint8)


def _slice_rows(
    item: SlabItem,
    method: str,
    target: NDArray[np.bool_],
    confidence: NDArray[np.float32],
    pixel_mm2: float,
) -> list[SliceRow]:
    rows = []
    for n, mask in enumerate(target):
        mean = float(confidence[n][mask].mean(dtype=np.float64)) if mask.any() else None
        rows.append(
            SliceRow(
                subject=item.place.subject,
                session=item.place.session,
                method=method,
                t=item.t,
                z=item.z0 + n,
                confidence=mean,
                **target_figures(mask, pixel_mm2),
            )
        )
    return rows


def _area_rows(
    item: SlabItem,
    labels: NDArray[np.uint8],
    class_names: Mapping[int, str],
    pixel_mm2: float,
) -> list[AreaRow]:
    rows = []
    for n, values in enumerate(labels):
        counts = np.bincount(values.ravel(), minlength=256)
        rows += [
            AreaRow(
                subject=item.place.subject,
                session=item.place.session,
                t=item.t,
                z=item.z0 + n,
                class_name=name,
                area_mm2=float(counts[value] * pixel_mm2),
                fraction=float(counts[value] / values.size),
            )
            for value, name in sorted(class_names.items())
        ]
    return rows
