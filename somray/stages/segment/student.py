"""Segment one brick of a scan by the student.

Beside its mask the student may write `labels/confidence` (`labels.CONFIDENCE`).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.student import StudentModel
from somray.domain.tables import SliceRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_brick, read_meta, slabs, write_label_brick
from somray.io.storage import Storage
from somray.kernels.objects.scan_rule import rule_of_kinds
from somray.stages.reading.volume import read_volumes
from somray.stages.segment.labels import CONFIDENCE
from somray.stages.segment.rows import BrickItem, slice_rows

__all__ = ["needs_student", "run_student"]

THRESHOLD = 0.5  # probability from which the student says target
SLICE_PLANES = 80  # a slice at work holds so many times its bytes
GRID_BYTES = 400  # and a voxel of the coarse grid so many


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


def run_student(item: BrickItem, shared: StudentModel) -> Result:
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
    for brick, probability, known in parts:
        target = probability >= THRESHOLD
        voxels += int(np.count_nonzero(target))
        labels = np.where(target, np.uint8(item.value), np.uint8(0))
        write_label_brick(storage, name, "student", brick, labels)
        if item.confidence:
            sure = _percent_sure(probability, known)
            write_label_brick(storage, name, CONFIDENCE, brick, sure)
        confidence = np.abs(probability - THRESHOLD) / THRESHOLD
        rows += slice_rows(replace(item, brick=brick), "student", target, confidence, dy * dx)
    return Result(rows={"slices": rows}, value={"device": device, "voxels": voxels})


Part = tuple[Brick, NDArray[np.float32], NDArray[np.bool_]]
"""Where, probabilities (n, y, x), and where there is data."""


def _slice_parts(item: BrickItem, model: StudentModel, device: str) -> Iterator[Part]:
    """Predict the slab at the pixel size that the student learned at."""
    from somray.kernels.student.predict import predict_student
    from somray.kernels.student.spacing import at_shape, shape_at

    storage = Storage.at(item.place.root)
    _, dy, dx = read_meta(storage, item.place.name).geometry.spacing_mm
    block = np.moveaxis(read_brick(storage, item.place.name, item.brick), 1, 0)
    own = (block.shape[2], block.shape[3])
    shape = shape_at(own, (dy, dx), model.spacing_mm)
    images = np.stack([at_shape(image, shape) for image in block])
    found = predict_student(model, images, item.windows, item.threads, device)
    known = np.asarray(~np.isnan(block).any(axis=1))
    chance = at_shape(found, own)
    chance[~known] = 0.0
    yield item.brick, chance, known


def _volume_parts(item: BrickItem, model: StudentModel, device: str) -> Iterator[Part]:
    """Predict a whole time point on the coarse grid, then draw it slab by slab."""
    from somray.stages.student.volumes import VOLUME_MM, volume_chance

    storage, name = Storage.at(item.place.root), item.place.name
    rule = rule_of_kinds(model.kinds)
    t = item.brick.t
    seen = read_volumes(item.place, (VOLUME_MM,), t)[0]
    chance = volume_chance(model, seen, rule, device)
    for z0, z1 in slabs(seen.meta.shape[2], seen.meta.slab_depth):
        brick = Brick.of_slices(t, z0, z1, seen.meta.shape[3:])
        block = read_brick(storage, name, brick)
        known = np.asarray(~np.isnan(block).any(axis=0))
        drawn = seen.grid.sampled(chance, z0, z1)
        drawn[~known] = 0.0
        yield brick, drawn, known


def _percent_sure(probability: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the probability of the likelier of the two labels in percent, 0 where there is no data."""
    percent: NDArray[np.float32] = np.rint(100 * np.maximum(probability, 1 - probability))
    percent[~known] = 0
    return percent.astype(np.uint8)
