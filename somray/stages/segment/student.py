"""Segment one brick of a scan by the student.

Beside its mask the student may write `labels/confidence` (`labels.CONFIDENCE`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import ceil
from typing import Any

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
from somray.stages.segment.rows import BrickItem, count_slices, slice_rows

__all__ = ["needs_student", "run_student"]

THRESHOLD = 0.5  # probability from which the student says target
TILE_PLANES = 80  # a tile at work holds so many times its bytes
TILE_PIXELS = 1100**2  # at most, with all that is seen round it (`kernels.student.predict.TILES`)
SLICE_PLANES = 16  # held of a slice: values at the student's pixel size, its views, probabilities
GRID_BYTES = 400  # held of a voxel of the coarse grid
MARGIN_PIXELS = (
    24  # of the student's, read round a tile where it sees another pixel size than the scan's
)


def needs_student(
    slab_bytes: int, slice_bytes: int, gpus: float = 0.0, grid_voxels: int = 0
) -> Needs:
    """Declare what the student takes: a few bricks, a slice, and a tile of it at work or a grid.

    Args:
        slab_bytes: of one brick with all channels.
        slice_bytes: of one slice of a brick with all channels.
        gpus: share of a GPU.
        grid_voxels: of the coarse grid, for a student that sees volumes; else 0.
    """
    tile = min(slice_bytes, 4 * TILE_PIXELS)
    work = (
        GRID_BYTES * grid_voxels if grid_voxels else SLICE_PLANES * slice_bytes + TILE_PLANES * tile
    )
    memory = WORKER_BYTES + 4 * slab_bytes + work
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
    _, dy, dx = meta.geometry.spacing_mm
    look = _volume_parts if shared.sees_volumes else _tile_parts if meta.is_cut else _slice_parts
    parts = look(item, shared, device)
    rows: list[SliceRow] = []
    counts: list[list[Any]] = []
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


def _tile_parts(item: BrickItem, model: StudentModel, device: str) -> Iterator[Part]:
    """Predict a brick of slices that are cut, with what is seen round it: the same as of whole slices.

    Where the student sees another pixel size, a tile is brought to it with a margin, so that pixels lie up to
    half a pixel beside those of the whole slice.
    """
    from somray.kernels.student.predict import network_of_model, predict_part, tile_spans
    from somray.kernels.student.spacing import at_shape, shape_at

    storage, brick = Storage.at(item.place.root), item.brick
    meta = read_meta(storage, item.place.name)
    plane, (_, dy, dx) = meta.shape[3:], meta.geometry.spacing_mm
    wanted = shape_at(plane, (dy, dx), model.spacing_mm)
    halo = network_of_model(model, device).shape.halo
    reach = (halo, halo)
    if wanted != plane:
        reach = _margins(plane, wanted, halo)
    chance = np.empty(brick.shape, dtype=np.float32)
    known = np.empty(brick.shape, dtype=bool)
    rows, columns = (
        _inside(tile_spans(n, 2, halo), span) for n, span in zip(plane, brick.box[1:], strict=True)
    )
    for z in range(brick.z0, brick.z1):
        for tile in (
            Brick(brick.t, z, z + 1, y.start, y.stop, x.start, x.stop)
            for y in rows
            for x in columns
        ):
            seen = tile.grown((0, *reach), meta.shape[2:])
            image = read_brick(storage, item.place.name, seen)[:, 0]
            here, inner = tile.within(brick), tile.within(seen)[1:]
            known[here] = ~np.isnan(image[(slice(None), *inner)]).any(axis=0)
            if wanted == plane:
                chance[here] = predict_part(model, image, inner, item.windows, device)
            else:
                shape = shape_at(seen.shape[1:], (dy, dx), model.spacing_mm)
                brought, everything = at_shape(image, shape), (slice(None), slice(None))
                found = predict_part(model, brought, everything, item.windows, device)
                chance[here] = at_shape(found[None], seen.shape[1:])[0][inner]
    chance[~known] = 0.0
    yield brick, chance, known


def _margins(plane: tuple[int, int], wanted: tuple[int, int], halo: int) -> tuple[int, int]:
    """Return the pixels of a slice (y, x) that hold what a logit sees at another pixel size."""
    high, wide = (
        ceil((halo + MARGIN_PIXELS) * own / other) for own, other in zip(plane, wanted, strict=True)
    )
    return high, wide


def _inside(spans: Iterable[tuple[slice, slice]], part: slice) -> list[slice]:
    """Return the network's own tiles, as far as they lie in a part of an axis."""
    met = (own for own, _ in spans if own.start < part.stop and part.start < own.stop)
    return [slice(max(own.start, part.start), min(own.stop, part.stop)) for own in met]


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
