"""Segment one brick of a scan by direct transfer of the centroids.

A unit owns its brick, which is one shard: no two tasks ever write the same file.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from somray.domain.tables import AreaRow, Row
from somray.domain.teacher import TeacherModel
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import write_label_brick
from somray.io.storage import Storage
from somray.kernels.teacher.apply import Transfer
from somray.stages.reading.slices import read_seen
from somray.stages.segment.rows import BrickItem, slice_rows

__all__ = ["needs_som", "run_som"]


def needs_som(slab_bytes: int, slice_bytes: int, dimensions: int = 2) -> Needs:
    """Declare what direct transfer takes: the slab, denoised too, its labels, a quarter of its features.

    In three dimensions, features of a slice and its neighbours in float64 as well.
    """
    planes = 40 if dimensions == 2 else 160
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 9 * slab_bytes + planes * slice_bytes)


def run_som(item: BrickItem, shared: TeacherModel) -> Result:
    """Assign every pixel of the brick to its nearest node's class.

    Returns:
        Rows of `slices` and `areas`; value: the brick's `signature`, for profiles and drift, and the target's `voxels`.
    """
    brick = item.brick
    where = (brick.t, brick.z0, brick.z1)
    seen = read_seen(item.place, where, item.level, shared.dimensions)
    found = Transfer(shared).sign(seen)
    storage = Storage.at(item.place.root)
    write_label_brick(storage, item.place.name, "som", brick, found.labels)
    target = found.labels == shared.value_of(item.target)
    pixel_mm2 = seen.spacing_mm[0] * seen.spacing_mm[1]
    rows: dict[str, Sequence[Row]] = {
        "slices": slice_rows(item, "som", target, found.confidence, pixel_mm2),
        "areas": _area_rows(item, found.labels, shared.class_names, pixel_mm2),
    }
    voxels = int(np.count_nonzero(target))
    return Result(rows=rows, value={"signature": found.signature.as_json(), "voxels": voxels})


def _area_rows(
    item: BrickItem,
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
                t=item.brick.t,
                z=item.brick.z0 + n,
                class_name=name,
                area_mm2=float(counts[value] * pixel_mm2),
                fraction=float(counts[value] / values.size),
            )
            for value, name in sorted(class_names.items())
        ]
    return rows
