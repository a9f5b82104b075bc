"""Compare a scan's masks with its truth mask; the only place that ever reads truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.tables import TruthRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.errors import DataError
from somray.io.ome_zarr import read_label_slab, read_meta, slabs
from somray.io.readers import open_source
from somray.io.storage import Storage
from somray.kernels.metrics import agreement, surface_distance_95

__all__ = ["TruthItem", "needs", "run"]

CONNECTED = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class TruthItem:
    """One scan and its truth.

    Args:
        place: the scan.
        path: label mask, in any readable format, on any grid.
        methods: method and label value of the target in that method's label group.
    """

    place: ScanPlace
    path: str
    methods: tuple[tuple[str, int], ...]


def needs(voxels: int) -> Needs:
    """Declare what the comparison takes: both masks and a distance map of the parts they cover."""
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 16 * voxels)


def run(item: TruthItem, shared: object = None) -> Result:
    """Compare at t 0, per label of the truth and per method; rows of `truth`.

    Raises:
        DataError: the truth mask cannot be read or lies elsewhere.
    """
    storage = Storage.at(item.place.root)
    meta = read_meta(storage, item.place.name)
    truth = _truth_on(item.path, meta.geometry)
    rows = []
    for method, value in item.methods:
        prediction = np.concatenate(
            [
                read_label_slab(storage, item.place.name, method, 0, z0, z1) == value
                for z0, z1 in slabs(meta.shape[2], meta.slab_depth)
            ]
        )
        rows += [
            _row(item, method, int(label), prediction, truth == label, meta.geometry)
            for label in np.unique(truth)
            if label
        ]
    return Result(rows={"truth": rows})


def _truth_on(path: str, geometry: Geometry) -> NDArray[np.int32]:
    """Read a label mask onto a grid by nearest neighbour; 0 outside its field of view."""
    source = open_source(path)
    try:
        mask = source.read(0, 0, source.header.shape[1])
        own = source.header.geometry
    finally:
        source.close()
    labels = np.nan_to_num(mask).round().astype(np.int32)
    if own.shape == geometry.shape and np.allclose(own.matrix, geometry.matrix, atol=1e-3):
        return labels
    to_own = np.linalg.inv(own.matrix) @ geometry.matrix  # index x y z of the grid → of the mask
    flip = np.eye(4)[[2, 1, 0, 3]]
    zyx = flip @ to_own @ flip
    found = ndimage.affine_transform(
        labels, zyx[:3, :3], zyx[:3, 3], output_shape=geometry.shape, order=0, cval=0
    )
    if labels.any() and not found.any():
        raise DataError("channel_mismatch", f"truth {path}: its mask lies outside the scan")
    return np.asarray(found, dtype=np.int32)


def _row(
    item: TruthItem,
    method: str,
    label: int,
    prediction: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    geometry: Geometry,
) -> TruthRow:
    parts, count = ndimage.label(truth, CONNECTED)
    touched = np.unique(parts[prediction & truth])
    found = agreement(prediction, truth)
    ml = geometry.voxel_mm3 / 1000.0
    return TruthRow(
        subject=item.place.subject,
        session=item.place.session,
        method=method,
        label=label,
        ref="ground_truth",
        dice=found["dice"],
        iou=found["iou"],
        precision=found["precision"],
        recall=found["recall"],
        hd95_mm=surface_distance_95(prediction, truth, geometry.spacing_mm),
        lesions_true=int(count),
        lesions_found=int(np.count_nonzero(touched)),
        false_positive_ml=float(np.count_nonzero(prediction & ~truth) * ml),
        false_negative_ml=float(np.count_nonzero(truth & ~prediction) * ml),
    )
