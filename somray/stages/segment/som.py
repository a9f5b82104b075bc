"""Segment one brick of a scan by direct transfer of the centroids.

A unit owns its brick, which is one shard: no two tasks ever write the same file. A tile of a cut slice is read
with what decides about it around (`read_piece`).
"""

from typing import Any

from somray.domain.teacher import TeacherModel
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_meta, write_label_brick
from somray.io.storage import Storage
from somray.kernels.features.view import ScanSlices
from somray.kernels.teacher.apply import Transfer
from somray.stages.reading.slices import read_piece, read_seen
from somray.stages.segment.rows import BrickItem, class_rows, count_slices

__all__ = ["needs_som", "run_som", "sign_som"]


def needs_som(brick_bytes: int, slice_bytes: int, dimensions: int = 2) -> Needs:
    """Declare what direct transfer takes: the brick as read and denoised, its labels, a slice of it at work.

    A slice at work holds a quarter of its features for the signature, and what the filter takes. In three
    dimensions it holds all features, and its neighbours in float64.

    Args:
        brick_bytes: of one brick with all channels.
        slice_bytes: of one slice of a brick with all channels.
        dimensions: of the teacher.
    """
    planes = 10 if dimensions == 2 else 120
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 5 * brick_bytes + planes * slice_bytes)


def run_som(item: BrickItem, shared: TeacherModel) -> Result:
    """Assign every pixel of the brick to its nearest node's class.

    Returns:
        Rows of `slices` and `areas`, or of a tile its `counts`; value: the brick's `signature`, for profiles
        and drift, and the target's `voxels`.
    """
    brick, transfer = item.brick, Transfer(shared)
    storage = Storage.at(item.place.root)
    seen = _seen(item, transfer)
    found = transfer.sign(seen)
    write_label_brick(storage, item.place.name, "som", brick, found.labels)
    target = shared.value_of(item.target)
    counts = count_slices(brick, found.labels, found.confidence, target)
    voxels = sum(count.labels[target] for count in counts)
    value = {"signature": found.signature.as_json(), "voxels": voxels}
    if item.scales:
        return Result(value={**value, "counts": [count.as_json() for count in counts]})
    pixel_mm2 = seen.spacing_mm[0] * seen.spacing_mm[1]
    rows = class_rows(item.place, counts, shared.class_names, target, pixel_mm2)
    return Result(rows=rows, value=value)


def sign_som(item: BrickItem, shared: TeacherModel) -> dict[str, Any]:
    """Return the brick's signature, for drift, and write nothing: a network's scan is looked at by its teacher."""
    transfer = Transfer(shared)
    return transfer.sign(_seen(item, transfer)).signature.as_json()


def _seen(item: BrickItem, transfer: Transfer) -> ScanSlices:
    """Read the brick as the teacher looks at it."""
    brick = item.brick
    if not item.scales:
        where = (brick.t, brick.z0, brick.z1)
        return read_seen(item.place, where, item.level, transfer.view.dimensions)
    meta = read_meta(Storage.at(item.place.root), item.place.name)
    _, dy, dx = meta.geometry.spacing_mm
    halo = transfer.halo((dy, dx))
    return read_piece(item.place, brick, item.level, halo, item.scales)
