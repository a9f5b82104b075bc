"""The units of a scan that several share: bricks filled by each, one that joins what they told.

A part tells what is wrong with the scan instead of failing, so that one unit, the last, sets the scan aside, with the
fault that comes first in the scan, whatever came first in time.
"""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.scan import Scan
from somray.domain.work import MIB, Result
from somray.errors import DataError
from somray.io.ome.image import (
    ScanMeta,
    finish_scan,
    is_complete,
    link_again,
    write_brick,
)
from somray.io.ome.marks import linked
from somray.io.readers import Source
from somray.io.storage import Storage
from somray.stages.ingest.bricks import Write, stream
from somray.stages.ingest.item import IngestItem, meta_of, stored_of
from somray.stages.ingest.scan import copied, told
from somray.stages.ingest.tally import Tally, judge

__all__ = ["ClosingItem", "PartItem", "close", "fill", "look_again"]


@dataclass(frozen=True)
class PartItem:
    """Some bricks of an opened scan.

    Args:
        whole: the scan.
        first: number of the first brick.
        last: number after the last.
        slices: bytes of the whole slices that must be decoded.
        limit: bytes that a task may take, where these slices are more; else 0.
    """

    whole: IngestItem
    first: int
    last: int
    slices: int = 0
    limit: int = 0

    @property
    def scan(self) -> Scan:
        """The scan as the manifest names it."""
        return self.whole.scan

    def refuse(self) -> None:
        """Refuse slices that no task can hold.

        Raises:
            DataError: `too_large`.
        """
        if self.limit:
            raise DataError(
                "too_large",
                f"{self.scan.path}: one slice takes {self.slices / MIB:.0f} MiB while it is decoded, which it is "
                f"whole, and a task may take {self.limit / MIB:.0f} MiB (resources.task_memory_mb); raise that, or "
                "write it in a format that is read in parts: TIFF in strips or tiles, OME-Zarr, or NIfTI, NRRD or "
                "MetaImage without compression",
            )


@dataclass(frozen=True)
class ClosingItem:
    """An opened scan and what was told of its bricks.

    Args:
        whole: the scan.
        opened: what its opening told.
        parts: what its parts told, in order.
    """

    whole: IngestItem
    opened: Mapping[str, Any]
    parts: tuple[Mapping[str, Any], ...]

    @property
    def scan(self) -> Scan:
        """The scan as the manifest names it."""
        return self.whole.scan

    def fault(self) -> DataError | None:
        """Return the first fault that a part found."""
        faults = (part["fault"] for part in self.parts if "fault" in part)
        return next((DataError(one["code"], one["message"]) for one in faults), None)


def fill(item: PartItem, shared: object = None) -> Result:
    """Write some bricks of an opened scan.

    Returns:
        value: the counts of these bricks (`Tally.as_json`), or the `fault` for which the scan cannot be used, with
        its `code` and `message`.

    Raises:
        StoreError: the scan's group is not there, or storage failed.
    """
    storage, name = Storage.at(item.whole.root), item.whole.name
    first = int(bool(linked(storage, name)))
    return _told(item, functools.partial(write_brick, storage, name, first=first))


def look_again(item: PartItem, shared: object = None) -> Result:
    """Read some bricks as `fill` does and tell the same of them, but write nothing."""

    def nothing(brick: Brick, block: NDArray[np.float32]) -> None:
        return

    return _told(item, nothing)


def _told(item: PartItem, write: Write) -> Result:
    try:
        item.refuse()
        with contextlib.ExitStack() as opened:
            sources = item.whole.opened(opened)
            meta = meta_of(item.whole, sources)
            bricks = meta.bricks()[item.first : item.last]
            return Result(value=stream(item.whole, sources, meta, bricks, write).as_json())
    except DataError as error:
        if error.code == "storage":
            raise
        return Result(value={"fault": {"code": error.code, "message": error.message}})


def close(item: ClosingItem, shared: object = None) -> Result:
    """Join the counts of all parts, judge the scan and mark it complete.

    Returns:
        As `run` of a scan that one unit takes in.

    Raises:
        DataError: the scan cannot be used; its group is removed.
    """
    storage = Storage.at(item.whole.root)
    try:
        if (fault := item.fault()) is not None:
            raise fault
        with contextlib.ExitStack() as opened:
            sources = item.whole.opened(opened)
            meta = meta_of(item.whole, sources)
            tally = Tally.empty(meta.shape[1])
            for part in item.parts:
                tally.join(Tally.from_json(part))
            judge(item.whole, tally)
            if item.opened.get("in_place"):
                _settle(item.whole, meta, sources, tally)
    except DataError:
        storage.remove(item.whole.name)
        raise
    meta, result = told(item.whole, meta, tally)
    finish_scan(storage, item.whole.name, meta)
    return result


def _settle(item: IngestItem, meta: ScanMeta, sources: Sequence[Source], tally: Tally) -> None:
    """Lead an image to its source as it lies now; one that must be repaired is copied, by this unit alone."""
    storage = Storage.at(item.root)
    if linked(storage, item.name) and not tally.repaired:
        link_again(storage, item.name, meta, stored_of(item, meta, sources))
    elif not is_complete(storage, item.name):  # else it was copied before
        copied(item, meta, sources)
