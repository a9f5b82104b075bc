"""Units of a scan that several take in, and their walk: it is opened, filled part by part, closed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from somray.domain.run import ScanPlace
from somray.domain.scan import Scan
from somray.domain.tables import Row
from somray.domain.work import MIB, Needs, Outcome, Unit, digest_of
from somray.io.ledger import Entry
from somray.io.ome.metadata import bricks
from somray.pipeline.gather import gather_or_cancel
from somray.pipeline.record import FailureRows, Record
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import SLICE_PIXELS
from somray.stages import ingest

__all__ = ["closing_unit", "part_units", "take_in"]


def part_units(units: Units, scan: Scan, opened: Mapping[str, Any]) -> list[Unit]:
    """List the units that fill an opened scan; `opened` is what its opening told."""
    whole = units.ingest(scan)
    every = bricks(tuple(opened["shape"]))
    limit = units.cohort.resources.task_memory_mb * MIB
    slices, held = int(opened["slices"]), int(opened["bytes"])
    is_too_large = slices > 0 and held > limit
    needs = whole.needs if is_too_large else Needs(cpus=1, memory_bytes=held)
    found = []
    for first, last in opened["parts"]:
        item = ingest.PartItem(whole.item, first, last, slices, limit if is_too_large else 0)
        voxels = opened["shape"][1] * sum(brick.voxels for brick in every[first:last])
        found.append(
            replace(
                whole,
                name=f"{whole.name}+part+{first:06d}",
                digest=digest_of(whole.digest, first, last, item.limit),
                item=item,
                needs=needs,
                work=voxels / SLICE_PIXELS,
                written=4 * voxels // (3 if opened.get("in_place") else 1),  # smaller levels alone
            )
        )
    return found


def closing_unit(
    units: Units, scan: Scan, opened: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]
) -> Unit:
    """Join what the parts of a scan told, in their order, and mark it complete."""
    whole = units.ingest(scan)
    item = ingest.ClosingItem(whole.item, opened, tuple(parts))
    digest = digest_of(whole.digest, parts)
    return replace(whole, name=f"{whole.name}+close", digest=digest, item=item)


async def take_in(record: Record, units: Units, scan: Scan, on_failure: FailureRows) -> list[Entry]:
    """Ingest one scan, by as many units as it is worth.

    `on_failure` makes further rows where the scan cannot be used; they are told once. Of the entries that are
    returned the last one says what became of the scan.
    """
    opening = units.ingest(scan)
    await record.renew(ingest.look, opening)
    opened = await record.do(ingest.run, opening, on_failure=on_failure)
    if not opened.ok or "parts" not in opened.value:
        return [opened]
    parts = part_units(units, scan, opened.value)
    await gather_or_cancel(*(record.renew(ingest.look_again, part) for part in parts))
    name = ScanPlace(units.root, scan.subject, scan.session).name
    is_closed_or_gone = await record.has_scan(name) or not await record.has_group(name)
    if is_closed_or_gone and any([await record.is_due(part) for part in parts]):
        await record.forget(opened)  # a brick is never written into a complete scan
        opened = await record.do(ingest.run, opening, on_failure=on_failure)
        if not opened.ok:
            return [opened]
    once = _Once(on_failure)
    entries = await gather_or_cancel(
        *(record.do(ingest.fill, part, on_failure=once) for part in parts)
    )
    done = [opened, *entries]
    if not all(entry.ok for entry in entries):  # not the scan's fault; it goes on with the next run
        return [*done, next(entry for entry in entries if not entry.ok)]
    told = [entry.value for entry in entries]
    closing = closing_unit(units, scan, opened.value, told)
    return [*done, await record.do(ingest.close, closing, on_failure=on_failure)]


class _Once:
    """Rows for the first of several units that fail."""

    def __init__(self, rows: FailureRows) -> None:
        self._rows: FailureRows | None = rows

    def __call__(self, outcome: Outcome) -> Sequence[Row]:
        rows, self._rows = self._rows, None
        return () if rows is None else rows(outcome)
