"""Compare a scan's masks with its truth mask; the only place that ever reads truth."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.tables import TruthRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.errors import DataError
from somray.io.masks.dicom_seg import open_mask
from somray.io.masks.label_masks import MOST_LABEL, grid_of_mask
from somray.io.ome.image import ScanMeta, read_label_slab, read_meta, slabs
from somray.io.readers import Source
from somray.io.storage import Storage
from somray.kernels.grids.index_map import index_map, linear_part
from somray.kernels.metrics.lesion_scores import (
    LesionScores,
    lesion_scores,
    parts_of,
    parts_that_count,
    voxels_of,
)
from somray.kernels.metrics.overlap import agreement, surface_distance_95
from somray.kernels.metrics.surface_distance import surface_dice

__all__ = ["TruthItem", "TruthMethod", "needs", "run"]

Labels = NDArray[np.uint8] | NDArray[np.int32]

UNION = 0  # the label of the row for all labels together
SLICES_AT_ONCE = 32  # of the truth, while it is read
COLUMNS = {field.name for field in fields(TruthRow)}
NOISE = 0.2  # a value this near to a whole number is that label; masks go through float and lossy scaling
TOLERANCE_MM = 2.0  # of `surface_dice_2mm`
_HELD_BYTES = 21  # per voxel, measured with noise as both masks and labels above 255


@dataclass(frozen=True)
class TruthMethod:
    """One mask of a scan that is compared.

    Args:
        name: som, student, lesions or som_lesions, as in the table.
        group: label group it lies in.
        values: label values of the target in that group; None where every label above 0 is meant.
    """

    name: str
    group: str
    values: tuple[int, ...] | None = None


@dataclass(frozen=True)
class TruthItem:
    """One scan and its truth.

    Args:
        place: the scan.
        path: label mask, in any readable format, on any grid.
        methods: the masks to compare; their label groups are complete.
    """

    place: ScanPlace
    path: str
    methods: tuple[TruthMethod, ...]


def needs(voxels: int) -> Needs:
    """Declare what the comparison takes: masks, their parts, and distances over a box round both.

    A truth that comes on a grid of its own takes one to four bytes more for each of its own voxels.
    """
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + _HELD_BYTES * voxels)


def run(item: TruthItem, shared: object = None) -> Result:
    """Compare at t 0, per method, with all labels of the truth and with each; rows of `truth`.

    Raises:
        DataError: the truth mask cannot be read or lies elsewhere.
    """
    storage = Storage.at(item.place.root)
    meta = read_meta(storage, item.place.name)
    _check_times(item.path, meta)
    truth = _truth_on(item.path, meta)
    labels = [UNION, *sorted({int(n) for plane in truth for n in np.unique(plane)} - {0})]
    rows = []
    for method in item.methods:
        prediction = _prediction(storage, item.place, method, meta)
        for label in labels:
            figures = _row(label, prediction, truth, meta.geometry)
            rows.append(
                TruthRow(
                    subject=item.place.subject, session=item.place.session, method=method.name,
                    label=label, ref="ground_truth", **figures,
                )
            )  # fmt: skip
    return Result(rows={"truth": rows})


def _check_times(path: str, meta: ScanMeta) -> None:
    """Refuse a stack of masks beside a scan of one time point: it may be one mask per label."""
    with open_mask(path) as source:
        times = source.header.shape[0]
    if times > 1 and meta.shape[0] == 1:
        raise DataError(
            "channel_mismatch",
            f"truth {path}: holds {times} volumes, the scan one; write all labels in one volume",
        )


def _prediction(
    storage: Storage, place: ScanPlace, method: TruthMethod, meta: ScanMeta
) -> NDArray[np.bool_]:
    mask = np.empty(meta.shape[2:], dtype=bool)
    for z0, z1 in meta.slabs:
        labels = read_label_slab(storage, place.name, method.group, 0, z0, z1)
        mask[z0:z1] = labels > 0 if method.values is None else np.isin(labels, method.values)
    return mask


def _truth_on(path: str, scan: ScanMeta | Geometry) -> Labels:
    """Read a label mask onto a scan's grid by nearest neighbour; 0 outside its field of view."""
    geometry = scan if isinstance(scan, Geometry) else scan.geometry
    with open_mask(path) as source:
        own = grid_of_mask(source.header, geometry)
        labels = _labels_of(source)
    if own.is_same_grid(geometry):
        return labels
    matrix, offset = linear_part(index_map(own, geometry))
    found = np.empty(geometry.shape, dtype=labels.dtype)
    for z0, z1 in slabs(geometry.shape[0], SLICES_AT_ONCE):  # all at once would hold a second grid
        ndimage.affine_transform(
            labels, matrix, offset + matrix[:, 0] * z0, order=0, cval=0,
            output=found[z0:z1], output_shape=(z1 - z0, *geometry.shape[1:]), mode="grid-constant",
        )  # fmt: skip
    if labels.any() and not found.any():
        raise DataError(
            "channel_mismatch",
            f"truth {path}: its mask lies outside the scan; save it with the affine of the scan it was drawn on",
        )
    return found


def _labels_of(source: Source) -> Labels:
    """Read a mask of t 0 slab by slab, a byte per voxel where its labels fit into it.

    Values that are no whole numbers are rounded where they are noise, or a share of one label between 0 and 1
    (a probability, an interpolated mask): half of it counts.
    """
    shape = source.header.shape[1:]
    labels: Labels = np.zeros(shape, dtype=np.uint8)
    most, is_whole = 0.0, True
    for z0, z1 in slabs(shape[0], SLICES_AT_ONCE):
        values = np.nan_to_num(source.read(0, z0, z1), posinf=np.inf, neginf=0.0)
        most = max(most, float(np.abs(values).max()))
        if most > MOST_LABEL:
            raise DataError(
                "unreadable", f"truth {source.path}: holds labels above {MOST_LABEL}; renumber them"
            )
        block = values.round().astype(np.int32)
        is_whole = is_whole and bool((np.abs(values - block) <= NOISE).all())
        if labels.dtype == np.uint8 and (block.min() < 0 or block.max() > 255):
            labels = labels.astype(np.int32)
        labels[z0:z1] = block
    if not is_whole and most > 1.0 + NOISE:
        raise DataError(
            "unreadable",
            f"truth {source.path}: holds values that are no whole numbers up to {most:g}; a label mask is "
            "expected, or one label's probability from 0 to 1",
        )
    return labels


def _row(
    label: int, prediction: NDArray[np.bool_], truth: Labels, geometry: Geometry
) -> dict[str, Any]:  # Any: the row's types
    """Compare in a label's row all there is, or what does not belong to other labels.

    Parts are numbered anew for every label: held from row to row, they would be there while distances need
    the memory.
    """
    parts = parts_of(prediction)
    if label == UNION:
        target, counts = truth != 0, np.arange(parts.count + 1) > 0
    else:
        target = truth == label
        elsewhere = (truth != 0) & ~target
        counts = parts_that_count(parts, target, elsewhere)
        prediction = voxels_of(parts, counts)
        prediction &= ~elsewhere
        del elsewhere
    lesions = lesion_scores(parts, target, counts)
    del parts
    return _figures(prediction, target, lesions, geometry)


def _figures(
    prediction: NDArray[np.bool_],
    target: NDArray[np.bool_],
    lesions: LesionScores,
    geometry: Geometry,
) -> dict[str, Any]:  # Any: the row's types
    ml = geometry.voxel_mm3 / 1000.0
    overlap = agreement(prediction, target)
    return {
        **{name: figure for name, figure in overlap.items() if name in COLUMNS},
        "hd95_mm": surface_distance_95(prediction, target, geometry.spacing_mm),
        "lesions_true": lesions.true,
        "lesions_found": lesions.found,
        "false_positive_ml": np.count_nonzero(prediction & ~target) * ml,
        "false_negative_ml": np.count_nonzero(target & ~prediction) * ml,
        "lesions_predicted": lesions.predicted,
        "lesion_recall": lesions.recall,
        "lesion_precision": lesions.precision,
        "surface_dice_2mm": surface_dice(prediction, target, geometry.spacing_mm, TOLERANCE_MM),
        "false_positive_lesions_ml": lesions.false_voxels * ml,
        "false_negative_lesions_ml": lesions.missed_voxels * ml,
    }
