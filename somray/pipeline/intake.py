"""Take the manifest's scans in: ingest each, judge duplicates and units in the manifest's order."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from somray.domain.channel import kinds_of
from somray.domain.run import ScanPlace
from somray.domain.scan import Scan
from somray.domain.tables import FailureRow, ScanRow
from somray.io.ledger import Entry
from somray.pipeline.gather import in_turn, owned
from somray.pipeline.record import Record
from somray.pipeline.units.ingest import take_in
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState

__all__ = ["Intake"]

_TELLING = ("SUVbw", "Bq/ml", "HU", "raw")  # of units that are met equally often, the first is kept
_ONE_UNIT = {
    "CT",
    "MR",
}  # modalities whose scans hardly ever differ in unit: nobody waits for all of them

SCANS_AT_ONCE = 2048
"""Scans that are taken in at the same time."""
Ingests = dict[Scan, asyncio.Future[Entry]]


class Intake:
    """All scans of a cohort on their way into the run.

    A scan is accepted once it is ingested and every scan further up in the manifest has been judged, so
    that of two equal scans always the later one is the duplicate.

    Figures of unlike units must not stand side by side in one table: where the scans of a protocol differ in unit,
    the unit that most of them have is the protocol's (CT and MR: the first scan's), and the others are set aside.
    To know it, a protocol waits until all its scans are in.
    """

    def __init__(self, record: Record, scans: Sequence[Scan]) -> None:
        """Prepare; nothing runs before `start`."""
        self._record = record
        self._scans = list(scans)
        self._accepted: dict[Scan, asyncio.Future[ScanState | None]] = {}
        self._entries: dict[Scan, list[Entry]] = {}

    def start(self, units: dict[str, Units]) -> asyncio.Task[None]:
        """Begin; the task ends when every scan is judged."""
        loop = asyncio.get_running_loop()
        self._accepted = {scan: loop.create_future() for scan in self._scans}
        return asyncio.create_task(self._judge(units))

    def is_judged(self, scan: Scan) -> bool:
        """Whether `accepted` answers at once."""
        return self._accepted[scan].done()

    async def accepted(self, scan: Scan) -> ScanState | None:
        """Wait for a scan; None if it is quarantined."""
        return await asyncio.shield(self._accepted[scan])

    async def _judge(self, units: dict[str, Units]) -> None:
        loop = asyncio.get_running_loop()
        ingests: Ingests = {scan: loop.create_future() for scan in self._scans}

        async def ingest(scan: Scan) -> None:
            entry = await self._ingest(scan, units[scan.protocol])
            if not ingests[scan].done():  # cancelled, where the run ends early
                ingests[scan].set_result(entry)

        async with owned() as tasks:
            tasks.append(asyncio.create_task(in_turn(ingest, self._scans, SCANS_AT_ONCE)))
            tasks.append(asyncio.create_task(self._judge_each(units, ingests)))
            try:
                await asyncio.gather(*tasks)
            except BaseException as error:
                for waiting in self._accepted.values():
                    if not waiting.done():
                        waiting.set_exception(error)
                        waiting.exception()  # mark as seen: not every chain is waiting for it
                raise

    async def _judge_each(self, units: dict[str, Units], ingests: Ingests) -> None:
        seen: dict[str, Scan] = {}
        wanted: dict[str, str] = {}
        for scan in self._scans:
            entry = await ingests[scan]
            if _was_ingested(entry) and scan.protocol not in wanted:
                wanted[scan.protocol] = await _unit_of(units[scan.protocol], entry, ingests)
            reason = self._against(scan, entry, seen, wanted)
            state = await self._accept(scan, entry, reason, units[scan.protocol])
            if state is not None:
                seen[str(entry.value["pixel_digest"])] = scan
            del ingests[scan], self._entries[scan]
            self._accepted[scan].set_result(state)

    async def _ingest(self, scan: Scan, units: Units) -> Entry:
        """Take a scan in; return what the last of its units told."""
        rows = [_quarantined(scan, units)]
        self._entries[scan] = await take_in(self._record, units, scan, lambda outcome: rows)
        for entry in self._entries[scan]:
            await self._record.retell(entry, "scans", days=scan.days)
        return self._entries[scan][-1]

    async def _accept(
        self, scan: Scan, entry: Entry, reason: tuple[str, str] | None, units: Units
    ) -> ScanState | None:
        """Take one ingested scan; set it aside where there is a reason, a code and what to do."""
        place = ScanPlace(units.root, scan.subject, scan.session)
        if not entry.ok and not _was_ingested(entry):
            return None
        if reason is not None:
            await self._set_aside(scan, entry, reason, units)
            return None
        if not entry.ok or not await self._record.has_scan(place.name):
            for one in self._entries[scan]:
                await self._record.forget(one)
            entry = await self._ingest(scan, units)
            if not entry.ok:
                return None
        return ScanState.of(place, scan, entry.value)

    def _against(
        self, scan: Scan, entry: Entry, seen: Mapping[str, Scan], units: Mapping[str, str]
    ) -> tuple[str, str] | None:
        """Say why a scan that was ingested cannot stay beside the others of the cohort."""
        if not _was_ingested(entry):
            return None
        twin = seen.get(str(entry.value["pixel_digest"]))
        if twin is not None:
            return "duplicate", (
                f"{scan.path}: its pixels equal those of {twin.subject} {twin.session}, further up in "
                "the manifest; remove one of the two rows, or correct the path"
            )
        own, unit = entry.value["unit"], units[scan.protocol]
        if own != unit:
            return "no_units", (
                f"{scan.path}: its values are in {own}, those of protocol {scan.protocol} in {unit}, and figures "
                f"of both cannot stand in one table; export it in {unit}, or give scans in {own} a protocol of "
                "their own"
            )
        return None

    async def _set_aside(
        self, scan: Scan, entry: Entry, reason: tuple[str, str], units: Units
    ) -> None:
        """Quarantine a scan that was ingested, and remove its image."""
        code, message = reason
        failure = FailureRow(
            subject=scan.subject,
            session=scan.session,
            stage="ingest",
            code=code,
            message=message,
            attempts=entry.attempts,
        )
        rows = [failure, _quarantined(scan, units)]
        await self._record.replace(entry, code, message, rows)
        await self._record.remove(ScanPlace(units.root, scan.subject, scan.session).name)


async def _unit_of(units: Units, first: Entry, ingests: Ingests) -> str:
    """Return the unit that most of a protocol's scans have; the first one's where they hardly ever differ."""
    if _ONE_UNIT.issuperset(kinds_of(units.channels)):
        return str(first.value["unit"])
    mine = [waiting for scan, waiting in ingests.items() if scan.protocol == units.protocol]
    entries = [await waiting for waiting in mine]
    met = Counter(str(entry.value["unit"]) for entry in entries if _was_ingested(entry))

    def rank(unit: str) -> tuple[int, ...]:
        parts = unit.split(",")
        return -met[unit], *(_TELLING.index(p) if p in _TELLING else 0 for p in parts)

    return min(met, key=rank)


def _was_ingested(entry: Entry) -> bool:
    """Whether a scan could be ingested, even if it was set aside afterwards."""
    return "pixel_digest" in entry.value


def _quarantined(scan: Scan, units: Units) -> ScanRow:
    """Make the row of `scans` for a scan that could not be used."""
    modality = units.config.modality
    return ScanRow.quarantined(scan.subject, scan.session, scan.path, modality, scan.days)
