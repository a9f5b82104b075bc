"""Take the manifest's scans in: ingest each, judge duplicates in the manifest's order."""

import asyncio
from collections.abc import Sequence

from somray.domain.run import ScanPlace
from somray.domain.scan import Scan
from somray.domain.tables import FailureRow, ScanRow
from somray.io.ledger import Entry
from somray.pipeline.record import Record
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState
from somray.stages import ingest

__all__ = ["Intake"]


class Intake:
    """All scans of a cohort on their way into the run.

    A scan is accepted once it is ingested and every scan further up in the manifest has been judged, so
    that of two equal scans always the later one is the duplicate.
    """

    def __init__(self, record: Record, scans: Sequence[Scan]) -> None:
        """Prepare; nothing runs before `start`."""
        self._record = record
        self._scans = list(scans)
        self._accepted: dict[Scan, asyncio.Future[ScanState | None]] = {}

    def start(self, units: dict[str, Units]) -> asyncio.Task[None]:
        """Begin; the task ends when every scan is judged."""
        loop = asyncio.get_running_loop()
        self._accepted = {scan: loop.create_future() for scan in self._scans}
        return asyncio.create_task(self._judge(units))

    async def accepted(self, scan: Scan) -> ScanState | None:
        """Wait for a scan; None if it is quarantined."""
        return await asyncio.shield(self._accepted[scan])

    async def _judge(self, units: dict[str, Units]) -> None:
        tasks = [
            asyncio.create_task(self._ingest(scan, units[scan.protocol])) for scan in self._scans
        ]
        seen: dict[str, Scan] = {}
        try:
            for scan, task in zip(self._scans, tasks, strict=True):
                entry = await task
                state = await self._accept(scan, entry, seen, units[scan.protocol])
                self._accepted[scan].set_result(state)
        except BaseException as error:
            for task in tasks:
                task.cancel()
            for waiting in self._accepted.values():
                if not waiting.done():
                    waiting.set_exception(error)
                    waiting.exception()  # mark as seen: not every chain is waiting for it
            raise

    async def _ingest(self, scan: Scan, units: Units) -> Entry:
        return await self._record.do(
            ingest.run,
            units.ingest(scan),
            on_failure=lambda outcome: [_quarantined(scan, units)],
        )

    async def _accept(
        self, scan: Scan, entry: Entry, seen: dict[str, Scan], units: Units
    ) -> ScanState | None:
        place = ScanPlace(units.root, scan.subject, scan.session)
        pixels = entry.value.get("pixel_digest")
        if not entry.ok and entry.code != "duplicate":
            return None
        if pixels in seen:
            self._set_aside(scan, entry, seen[pixels], units)
            return None
        if entry.code == "duplicate" or not self._record.has_scan(place.name):
            self._record.forget(entry)
            entry = await self._ingest(scan, units)
            if not entry.ok:
                return None
        seen[str(entry.value["pixel_digest"])] = scan
        t, c, z, y, x = entry.value["shape"]
        return ScanState(
            scan,
            place,
            (t, c, z, y, x),
            str(entry.value["source_digest"]),
            entry.value.get("uptake_level"),
            tuple(entry.value["spacing_mm"]),
        )

    def _set_aside(self, scan: Scan, entry: Entry, twin: Scan, units: Units) -> None:
        """Quarantine a duplicate and remove its image."""
        message = (
            f"{scan.path}: its pixels equal those of {twin.subject} {twin.session}, further up in "
            "the manifest; remove one of the two rows, or correct the path"
        )
        failure = FailureRow(
            subject=scan.subject,
            session=scan.session,
            stage="ingest",
            code="duplicate",
            message=message,
            attempts=entry.attempts,
        )
        rows = [failure, _quarantined(scan, units)]
        self._record.replace(entry, "duplicate", message, rows)
        self._record.remove(ScanPlace(units.root, scan.subject, scan.session).name)


def _quarantined(scan: Scan, units: Units) -> ScanRow:
    """Make the row of `scans` for a scan that could not be used."""
    return ScanRow(
        subject=scan.subject,
        session=scan.session,
        path=scan.path,
        shape_t=None,
        shape_c=None,
        shape_z=None,
        shape_y=None,
        shape_x=None,
        spacing_z_mm=None,
        spacing_y_mm=None,
        spacing_x_mm=None,
        modality=units.config.modality,
        unit=None,
        days=scan.days,
        repairs=None,
        status="quarantined",
    )
