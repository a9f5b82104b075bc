"""Take one scan into a run that measures foreign masks: its image carried over, its mask read onto the image's grid.

`labels/foreign` is 1 where the mask is. Where the mask holds instances, `labels/objects` holds their numbers,
each of which is one lesion. A mask that proves unusable leaves nothing behind.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.palette import class_rgba
from somray.domain.run import ScanPlace
from somray.domain.tables import TABLES, Row, ScanRow, SliceRow
from somray.domain.work import MIB, WORKER_BYTES, Needs, Result
from somray.errors import DataError
from somray.io.ome.image import (
    ScanMeta,
    create_labels,
    finish_labels,
    read_meta,
    write_label_brick,
)
from somray.io.storage import Storage
from somray.kernels.metrics.area import target_figures
from somray.stages.foreign.carry import carry_image
from somray.stages.foreign.volume import LEAST_INSIDE, ForeignMask, MaskPart
from somray.stages.objects import GROUP as OBJECTS

__all__ = [
    "FOREIGN",
    "RefusedItem",
    "RowsItem",
    "TakeItem",
    "carry_rows",
    "needs",
    "refuse",
    "take",
]

FOREIGN = "foreign"
"""The label group of masks that somray did not draw, and the method that `slices` and `truth` name."""
_MANY = 1 << 16  # instances of one time point, of more of which it is no list


@dataclass(frozen=True)
class TakeItem:
    """One scan of a run and its foreign mask.

    Args:
        place: where it goes.
        source: root of the run that has the image.
        row: of `scans` in that run.
        parts: files of the mask.
        target: name of what the mask draws.
        numbered: whether the mask's numbers are instances.
    """

    place: ScanPlace
    source: str
    row: ScanRow
    parts: tuple[MaskPart, ...]
    target: str
    numbered: bool = False


@dataclass(frozen=True)
class RefusedItem:
    """A scan that cannot be measured: a code of `QUARANTINE_CODES` and why."""

    code: str
    message: str


@dataclass(frozen=True)
class RowsItem:
    """Rows that another run has made, by table, and facts beside them."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict, repr=False)


def needs(meta: ScanMeta) -> Needs:
    """Declare what taking a scan holds: a slab of the mask in several forms, whole slices of it."""
    depth = max(brick.z1 - brick.z0 for brick in meta.bricks(0))
    slab = depth * meta.shape[3] * meta.shape[4]
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 40 * slab + 64 * MIB)


def refuse(item: RefusedItem, shared: object = None) -> Result:
    """Say why a scan is set aside.

    Raises:
        DataError: always.
    """
    raise DataError(item.code, item.message)


def carry_rows(item: RowsItem, shared: object = None) -> Result:
    """Hand on rows that another run has made."""
    made: dict[str, Sequence[Row]] = {
        table: [TABLES[table](**row) for row in rows] for table, rows in item.rows.items()
    }
    return Result(rows=made)


def take(item: TakeItem, shared: object = None) -> Result:
    """Carry the image over and draw the mask.

    Returns:
        Rows of `scans` and `slices` (method `foreign`). Facts: shape, source_digest and spacing_mm of the scan;
        files and voxels of the mask, its digest, per time point the numbers of its instances, whether it was resampled,
        and the share of it that lies in the scan (None where it is empty).

    Raises:
        DataError: the mask cannot be read, or is not this scan's.
        StoreError: storage failed.
    """
    source, target = Storage.at(item.source), Storage.at(item.place.root)
    meta = read_meta(source, item.place.name)
    # Porosity asks the classes what is sample and what the air around it.
    kept = () if meta.anatomical else ("som",)
    carry_image(source, target, item.place.name, kept)
    try:
        drawn = _Drawn(target, item, meta)
        for t in range(meta.shape[0]):
            drawn.add(t)
        drawn.finish()
    except DataError:
        target.remove(item.place.name)
        raise
    facts = {
        "shape": list(meta.shape),
        "source_digest": meta.source_digest,
        "spacing_mm": list(meta.geometry.spacing_mm),
        **drawn.facts(),
    }
    return Result(rows={"scans": [item.row], "slices": drawn.slices}, value=facts)


class _Drawn:
    """A mask on its way into a scan's label groups."""

    def __init__(self, storage: Storage, item: TakeItem, meta: ScanMeta) -> None:
        self._storage, self._item, self._meta = storage, item, meta
        self.slices: list[SliceRow] = []
        self._digest, self._voxels, self._resampled = hashlib.sha256(), 0, False
        self._drawn_mm3 = self._inside_mm3 = 0.0
        self._numbers: list[list[int]] = []
        create_labels(storage, item.place.name, FOREIGN, "uint8")
        if item.numbered:
            create_labels(storage, item.place.name, OBJECTS, "int32")

    def add(self, t: int) -> None:
        """Draw one time point."""
        bricks = self._meta.bricks(t)
        numbers, voxels = set[int](), 0
        mask = ForeignMask(self._item.parts, self._meta.geometry, t, self._meta.shape[0])
        with closing(mask):
            for z0, z1 in sorted({(brick.z0, brick.z1) for brick in bricks}):
                labels = mask.slab(z0, z1, numbered=self._item.numbered)
                self._digest.update(np.packbits(labels > 0).tobytes())
                for brick in bricks:
                    if brick.z0 == z0:
                        self._write(brick, labels[:, brick.y0 : brick.y1, brick.x0 : brick.x1])
                self._rows(t, z0, labels)
                voxels += int(np.count_nonzero(labels))
                if self._item.numbered:
                    numbers.update(np.unique(labels).tolist())
            drawn, inside = mask.drawn_mm3(voxels)
            self._resampled = self._resampled or mask.resampled
        self._drawn_mm3 += drawn
        self._inside_mm3 += inside
        self._voxels += voxels
        self._numbers.append(sorted(numbers - {0}))

    def _write(self, brick: Brick, labels: NDArray[np.int32]) -> None:
        if not labels.any():
            return
        where = self._storage, self._item.place.name
        write_label_brick(*where, FOREIGN, brick, (labels > 0).astype(np.uint8))
        if self._item.numbered:
            write_label_brick(*where, OBJECTS, brick, labels)

    def _rows(self, t: int, z0: int, labels: NDArray[np.int32]) -> None:
        place, (_, dy, dx) = self._item.place, self._meta.geometry.spacing_mm
        for z, plane in enumerate(labels, start=z0):
            figures = target_figures(plane > 0, dy * dx)
            self.slices.append(
                SliceRow(place.subject, place.session, FOREIGN, t, z, confidence=None, **figures)
            )

    def finish(self) -> None:
        """Refuse a mask that lies elsewhere; mark the groups as complete.

        Raises:
            DataError: `mask_mismatch`: most of it lies outside the scan; `unreadable`: too many instances.
        """
        share = self._share
        if share is not None and share < LEAST_INSIDE:
            names = ", ".join(part.path for part in self._item.parts)
            raise DataError(
                "mask_mismatch",
                f"mask {names}: {share:.0%} of it lie in the scan; save it with the affine of the scan it was drawn "
                "on, or give it to the scan that it belongs to",
            )
        if max(map(len, self._numbers)) > _MANY:
            raise DataError(
                "unreadable",
                f"mask of {self._item.place.subject} {self._item.place.session}: holds more than {_MANY} instances; "
                "leave `--as instances` out: what is connected is then one lesion",
            )
        where = self._storage, self._item.place.name
        finish_labels(
            *where, FOREIGN, {1: self._item.target}, {1: class_rgba(self._item.target, 3)}
        )
        if self._item.numbered:
            finish_labels(*where, OBJECTS, {})

    @property
    def _share(self) -> float | None:
        return min(1.0, self._inside_mm3 / self._drawn_mm3) if self._drawn_mm3 else None

    def facts(self) -> dict[str, Any]:  # Any: JSON
        """Return what later units and the answer need."""
        return {
            "masks": [[part.path, part.values, part.t] for part in self._item.parts],
            "voxels": self._voxels,
            "mask_digest": self._digest.hexdigest()[:32],
            "numbers": self._numbers if self._item.numbered else None,
            "resampled": self._resampled,
            "inside_fraction": self._share,
        }
