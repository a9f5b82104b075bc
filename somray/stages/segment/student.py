"""Segment one brick of a scan by the student: whole slices, a tile of larger ones, or a whole time point.

Beside its mask the student may write `labels/confidence` (`labels.CONFIDENCE`).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.student import StudentModel
from somray.domain.tables import SliceRow
from somray.domain.work import MIB, WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_brick, read_meta, write_label_brick
from somray.io.storage import Storage
from somray.kernels.objects.scan_rule import rule_of_kinds
from somray.stages.reading.volume import read_volumes
from somray.stages.segment.labels import CONFIDENCE
from somray.stages.segment.rows import BrickItem, count_slices, slice_rows

__all__ = ["needs_student", "run_student"]

THRESHOLD = 0.5  # probability from which the student says target
BRICK_COPIES = 6  # a brick, its probabilities, masks and confidence
SLICE_COPIES = 4  # a slice that is brought to the student's pixel size and back
TILE_BYTES = 320 * MIB  # of a tile of `kernels.student.predict` at work
TILE_PLANES = 80  # the same of a slice that is smaller, in times its bytes
GRID_BYTES = 400  # a voxel of the coarse grid holds so many


def needs_student(
    brick_bytes: int, slice_bytes: int, gpus: float = 0.0, grid_voxels: int = 0
) -> Needs:
    """Declare what the student takes: a few bricks, and a tile or a grid at work.

    Args:
        brick_bytes: of one brick with all channels.
        slice_bytes: of one slice of a brick with all channels.
        gpus: share of a GPU.
        grid_voxels: of the coarse grid, for a student that sees volumes; else 0.
    """
    work = SLICE_COPIES * slice_bytes + min(TILE_BYTES, TILE_PLANES * slice_bytes)
    if grid_voxels:
        work = GRID_BYTES * grid_voxels
    memory = WORKER_BYTES + BRICK_COPIES * brick_bytes + work
    return Needs(cpus=1, gpus=gpus, memory_bytes=memory)


def run_student(item: BrickItem, shared: StudentModel) -> Result:
    """Predict the target on every slice of the brick.

    The target has the value that it has in labels/som, so that names and colours agree. A student that sees
    volumes wants the whole time point as one slab, and draws it piece by piece.

    Returns:
        Rows of `slices`, or of a tile its `counts`; value: `voxels` of the target and the device.
    """
    from somray.kernels.student.predict import device_for  # torch: only here

    device = device_for(gpu=item.gpu)
    storage, name = Storage.at(item.place.root), item.place.name
    meta = read_meta(storage, name)
    parts = _slice_parts
    if shared.sees_volumes:
        parts = _volume_parts
    elif meta.is_cut:
        parts = _tile_parts
    _, dy, dx = meta.geometry.spacing_mm
    rows: list[SliceRow] = []
    counts: list[list[Any]] = []  # Any: JSON
    voxels = 0
    for brick, probability, known in parts(item, shared, device):
        target = probability >= THRESHOLD
        voxels += int(np.count_nonzero(target))
        labels = np.where(target, np.uint8(item.value), np.uint8(0))
        write_label_brick(storage, name, "student", brick, labels)
        if item.confidence:
            sure = _percent_sure(probability, known)
            write_label_brick(storage, name, CONFIDENCE, brick, sure)
        confidence = np.abs(probability - THRESHOLD) / THRESHOLD
        if meta.is_cut:
            counts += [c.as_json() for c in count_slices(brick, labels, confidence, item.value)]
        else:
            rows += slice_rows(replace(item, brick=brick), "student", target, confidence, dy * dx)
    told: dict[str, Any] = {"device": device, "voxels": voxels}
    if meta.is_cut:
        return Result(value={**told, "counts": counts})
    return Result(rows={"slices": rows}, value=told)


Part = tuple[Brick, NDArray[np.float32], NDArray[np.bool_]]
"""Where, probabilities (n, y, x), and where there is data."""


def _slice_parts(item: BrickItem, model: StudentModel, device: str) -> Iterator[Part]:
    """Predict whole slices at the pixel size that the student learned at, a few at a time."""
    from somray.kernels.student.predict import DEVICE_PIXELS, predict_student
    from somray.kernels.student.spacing import at_shape, shape_at

    storage = Storage.at(item.place.root)
    _, dy, dx = read_meta(storage, item.place.name).geometry.spacing_mm
    block = np.moveaxis(read_brick(storage, item.place.name, item.brick), 1, 0)
    own = (block.shape[2], block.shape[3])
    shape = shape_at(own, (dy, dx), model.spacing_mm)
    known = np.asarray(~np.isnan(block).any(axis=1))
    chance = np.empty(known.shape, dtype=np.float32)
    together = max(item.threads, DEVICE_PIXELS // (shape[0] * shape[1]), 1)
    for z0 in range(0, len(block), together):
        some = slice(z0, z0 + together)
        images = (
            block[some] if shape == own else np.stack([at_shape(i, shape) for i in block[some]])
        )
        chance[some] = at_shape(
            predict_student(model, images, item.windows, item.threads, device), own
        )
    chance[~known] = 0.0
    yield item.brick, chance, known


def _tile_parts(item: BrickItem, model: StudentModel, device: str) -> Iterator[Part]:
    """Predict a tile of slices that are larger, with what is seen beside it."""
    from somray.kernels.student.pieces import SlicePart, predict_part, read_halo

    storage, brick = Storage.at(item.place.root), item.brick
    meta = read_meta(storage, item.place.name)
    _, dy, dx = meta.geometry.spacing_mm
    shape, spacing = meta.shape[3:], (dy, dx)
    seen = brick.grown((0, *read_halo(model, shape, spacing)), meta.shape[2:])
    images = np.moveaxis(read_brick(storage, item.place.name, seen), 1, 0)
    rows, columns = (brick.y0, brick.y1), (brick.x0, brick.x1)
    part = SlicePart(shape, spacing, rows, columns, (seen.y0, seen.x0))
    chance = predict_part(model, images, part, item.windows, device)
    known = np.asarray(~np.isnan(images[:, :, *brick.within(seen)[1:]]).any(axis=1))
    yield brick, chance, known


def _volume_parts(item: BrickItem, model: StudentModel, device: str) -> Iterator[Part]:
    """Predict a whole time point on the coarse grid, then draw it brick by brick."""
    from somray.stages.student.volumes import VOLUME_MM, volume_chance

    storage, name = Storage.at(item.place.root), item.place.name
    rule = rule_of_kinds(model.kinds)
    t = item.brick.t
    seen = read_volumes(item.place, (VOLUME_MM,), t)[0]
    chance = volume_chance(model, seen, rule, device)
    for brick in seen.meta.bricks(t):
        block = read_brick(storage, name, brick)
        known = np.asarray(~np.isnan(block).any(axis=0))
        plane = (brick.y0, brick.y1), (brick.x0, brick.x1)
        drawn = seen.grid.sampled(chance, brick.z0, brick.z1, plane)
        drawn[~known] = 0.0
        yield brick, drawn, known


def _percent_sure(probability: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the probability of the likelier of the two labels in percent, 0 where there is no data."""
    percent: NDArray[np.float32] = np.rint(100 * np.maximum(probability, 1 - probability))
    percent[~known] = 0
    return percent.astype(np.uint8)
