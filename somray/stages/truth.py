"""Compare a scan's masks with its truth mask; in a run the only place that ever reads truth (`finetune` is none).

Both are read twice, slab by slab: what is counted first tells which parts of a mask belong to which label, and only
then surfaces can be told. Those are laid aside in blocks, and distances are measured a few blocks at a time.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.tables import NoteRow, TruthRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.masks.rtstruct import check_frame
from somray.io.ome.image import ScanMeta, read_meta
from somray.io.spool import ArraySpool
from somray.io.storage import Storage
from somray.kernels.metrics.comparison import ComparedMask, LabelCounts, TruthParts
from somray.kernels.metrics.overlap import agreement_of_counts
from somray.kernels.metrics.surface.figures import surface_dice_of, surface_distance_95_of
from somray.stages.reading.planes import MOST_PIXELS, PlaneReader, plane_level, plane_pixels
from somray.stages.reading.truth_mask import VOXELS_AT_ONCE, TruthOnGrid
from somray.stages.truth_surfaces import LaidSurface, MaskSurfaces, TruthSurfaces

__all__ = ["TruthItem", "TruthMethod", "needs", "run"]

Labels = NDArray[np.int32]

UNION = 0  # the label of the row for all labels together
MOST_LABELS = 1000
"""Labels that have rows of their own; more are numbers of lesions, and are compared all together."""
COLUMNS = {field.name for field in fields(TruthRow)}
TOLERANCE_MM = 2.0  # of `surface_dice_2mm`
_SLAB_BYTES = 110  # per voxel of a slab, or of a slice that is more
_HELD_BYTES = 200 * 1024 * 1024  # blocks of surfaces with their trees, and numbers of parts


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
        source: of the scan's first channel, for its frame of reference; None where unknown.
        tells: whether what is to be known of the truth mask is told here; once a scan is enough.
    """

    place: ScanPlace
    path: str
    methods: tuple[TruthMethod, ...]
    source: str | None = None
    tells: bool = False


def needs(shape: tuple[int, int, int, int, int]) -> Needs:
    """Declare what the comparison takes for a scan of (t, c, z, y, x), however many slices it has.

    Where slices are cut, a whole one of the truth is read at a time: readers give no less.
    """
    slab = max(plane_pixels(shape, MOST_PIXELS), VOXELS_AT_ONCE)
    whole = 8 * shape[3] * shape[4] if plane_level(shape, MOST_PIXELS) else 0
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + _HELD_BYTES + _SLAB_BYTES * slab + whole)


def run(item: TruthItem, shared: object = None) -> Result:
    """Compare at t 0, per method, with all labels of the truth and with each; rows of `truth`, and of `notes`.

    Raises:
        DataError: the truth mask cannot be read or lies elsewhere.
    """
    check_frame(item.path, item.source)
    storage = Storage.at(item.place.root)
    meta = read_meta(storage, item.place.name)
    level = plane_level(meta.shape, MOST_PIXELS)
    grid = _grid(meta.geometry, level)
    opened = TruthOnGrid(item.path, grid, meta.geometry)
    with closing(opened) as truth, closing(ArraySpool()) as spool:
        truth.refuse_stack(meta.shape[0])
        pair = _Pair(storage, item, level, truth)
        parts, masks = pair.counted()
        labels = parts.labels if len(parts.labels) <= MOST_LABELS else []
        # With one label alone its row says what the union's says.
        told = labels if len(labels) > 1 else []
        surfaces = [MaskSurfaces(mask.roots(), mask.shared(), told, spool) for mask in masks]
        reference = pair.with_surfaces(surfaces, told, spool)
        rows = []
        for method, mask, drawn in zip(item.methods, masks, surfaces, strict=True):
            counts, figures = mask.counts(told), dict[int, dict[str, Any]]()
            for label in (UNION, *told):
                key = label or None
                found = drawn.of(key), reference[key]
                figures[label] = _figures(counts[key], found, grid)
            rows += [
                TruthRow(
                    subject=item.place.subject, session=item.place.session, method=method.name,
                    label=label, ref="ground_truth", **figures[label if told else UNION],
                )
                for label in (UNION, *labels)
            ]  # fmt: skip
        notes = list(truth.notes) if item.tells else []
    if item.tells and len(parts.labels) > MOST_LABELS:
        notes.append(f"holds {len(parts.labels)} labels, which are compared all together alone")
    place = item.place.subject, item.place.session
    noted = [NoteRow(*place, "truth", f"truth {item.path}: {note}") for note in notes]
    return Result(rows={"truth": rows, "notes": noted})


def _grid(geometry: Geometry, level: int) -> Geometry:
    """Return the grid of a level of labels: every so many-th voxel of the scan stands for those behind it."""
    if level == 0:
        return geometry
    factor = 2**level
    rows, columns = (-(-n // factor) for n in geometry.shape[1:])
    matrix = geometry.matrix @ np.diag([factor, factor, 1.0, 1.0])
    return Geometry.from_matrix((geometry.shape[0], rows, columns), matrix)


def _truth_on(path: str, scan: ScanMeta | Geometry) -> Labels:
    """Read a whole label mask onto a scan's grid, for programs from outside; see `TruthOnGrid`."""
    geometry = scan if isinstance(scan, Geometry) else scan.geometry
    with closing(TruthOnGrid(path, geometry)) as truth:
        return np.concatenate([block for _, block in truth.labels()])


class _Pair:
    """The masks of a scan and its truth, slab by slab."""

    def __init__(self, storage: Storage, item: TruthItem, level: int, truth: TruthOnGrid) -> None:
        self._storage, self._item, self._level, self._truth = storage, item, level, truth

    def _slabs(self) -> Iterator[tuple[int, Labels, list[NDArray[np.bool_]]]]:
        """Yield first slice, truth and masks (z, y, x) of each slab."""
        name = self._item.place.name
        readers = [
            PlaneReader(self._storage, name, 0, self._level, method.group)
            for method in self._item.methods
        ]
        for z0, truth in self._truth.labels():
            wanted = range(z0, z0 + len(truth))
            masks = [
                np.stack([_target(reader.plane(z), method) for z in wanted])
                for reader, method in zip(readers, self._item.methods, strict=True)
            ]
            yield z0, truth, masks

    def counted(self) -> tuple[TruthParts, list[ComparedMask]]:
        """Count voxels and parts."""
        parts = TruthParts()
        compared = [ComparedMask(parts) for _ in self._item.methods]
        for _, truth, masks in self._slabs():
            for z, plane in enumerate(truth):
                numbers = parts.add(plane)
                for one, mask in zip(compared, masks, strict=True):
                    one.add(mask[z], plane, numbers)
        return parts, compared

    def with_surfaces(
        self, surfaces: list[MaskSurfaces], labels: list[int], spool: ArraySpool
    ) -> dict[int | None, LaidSurface]:
        """Lay the masks' surfaces aside, and those of the truth; returns the latter by label, None for all."""
        reference = TruthSurfaces(labels, spool)
        for _, truth, masks in self._slabs():
            reference.add(truth)
            for one, mask in zip(surfaces, masks, strict=True):
                one.add(mask, truth)
        reference.finish()
        for one in surfaces:
            one.finish()
        return reference.laid


def _target(labels: NDArray[Any], method: TruthMethod) -> NDArray[np.bool_]:
    return np.asarray(labels > 0) if method.values is None else np.isin(labels, method.values)


def _figures(
    counts: LabelCounts, surfaces: tuple[LaidSurface, LaidSurface], geometry: Geometry
) -> dict[str, Any]:  # Any: the row's types
    ml, lesions = geometry.voxel_mm3 / 1000.0, counts.lesions
    size = int(np.prod(geometry.shape, dtype=np.int64))
    overlap = agreement_of_counts(counts.both, counts.predicted, counts.expected, size)
    one, other = surfaces
    spacing = geometry.spacing_mm
    return {
        **{name: figure for name, figure in overlap.items() if name in COLUMNS},
        "hd95_mm": surface_distance_95_of(one.rims, other.rims, spacing),
        "lesions_true": lesions.true,
        "lesions_found": lesions.found,
        "false_positive_ml": (counts.predicted - counts.both) * ml,
        "false_negative_ml": (counts.expected - counts.both) * ml,
        "lesions_predicted": lesions.predicted,
        "lesion_recall": lesions.recall,
        "lesion_precision": lesions.precision,
        "surface_dice_2mm": surface_dice_of(one.cells, other.cells, spacing, TOLERANCE_MM),
        "false_positive_lesions_ml": lesions.false_voxels * ml,
        "false_negative_lesions_ml": lesions.missed_voxels * ml,
        "true_ml": counts.expected * ml,
    }
