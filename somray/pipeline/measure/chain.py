"""The walk of one protocol on foreign masks: scans are taken from the run that has them, then followed as ever.

What `ProtocolChain` does once masks stand is done here by its own methods: lesions, residuals, labels, truth. Its
teacher, student and objects have no part in it, and no pair of images is registered anew.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import somray.stages.foreign
from somray.domain.run import ScanPlace
from somray.domain.scan import Scan
from somray.domain.tables import ScanRow
from somray.domain.work import Needs, Outcome, Unit, digest_of
from somray.io.ledger import Entry
from somray.io.signatures import source_signature
from somray.pipeline.chains import SUBJECTS_AT_ONCE, Masked, MaskedSubject, ProtocolChain
from somray.pipeline.digests import code_digest
from somray.pipeline.fitting import FittedTeacher
from somray.pipeline.gather import gather_or_cancel, in_turn
from somray.pipeline.measure.matching import MatchedMask
from somray.pipeline.measure.source import MeasuredRun, to_first
from somray.pipeline.objects import Called, ObjectStep
from somray.pipeline.record import Record
from somray.pipeline.units.comparing import Comparing
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState, scan_name, subject_name
from somray.pipeline.units.slices import RegisteredSlab
from somray.stages.foreign.take import (
    FOREIGN,
    RefusedItem,
    RowsItem,
    TakeItem,
    carry_rows,
    needs,
    refuse,
    take,
)
from somray.stages.registration.residuals import Masks

__all__ = ["MeasuredChain"]

MASKS = Masks(FOREIGN, 1)
NOBODY: Any = None  # in the place of a teacher: `_masks` asks none


@cache
def _own_code() -> str:
    """Name the code that takes scans; readers and what they need stand behind truth's."""
    found = hashlib.sha256(f"{code_digest('ingest')} {code_digest('truth')}".encode())
    for file in sorted(Path(str(somray.stages.foreign.__file__)).parent.glob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()[:32]


class GivenInstances(ObjectStep):
    """Instances that the masks hold, in the place of objects that are found and called."""

    def __init__(self, units: Units, record: Record) -> None:
        """Prepare; nothing is found by itself."""
        super().__init__(units, (), record)
        self.rule = None
        self._given: dict[str, Called] = {}

    def give(self, state: ScanState, entry: Entry) -> None:
        """Take what is known of a scan's instances; nothing where its mask has none."""
        numbers = entry.value["numbers"]
        if numbers is not None:
            lesions = tuple(tuple(one) for one in numbers)
            self._given[state.name] = Called(lesions, int(entry.value["voxels"]), entry.digest)

    async def call(self, state: ScanState) -> Called | None:
        """Return the instances of a scan, None where what is connected is one lesion."""
        return self._given.get(state.name)


@dataclass
class MeasuredChain(ProtocolChain):
    """Everything that is measured for one protocol; `numbered` tells whether masks hold instances."""

    source: MeasuredRun
    matched: Mapping[Scan, MatchedMask]
    numbered: bool

    async def run(self) -> None:
        """Walk the whole protocol, a window of subjects at a time."""
        self.objects = self._instances = GivenInstances(self.units, self.record)
        self.comparing = Comparing(self.record, self.units, self.objects)
        subjects: dict[str, list[Scan]] = {}
        for scan in self.scans:
            subjects.setdefault(scan.subject, []).append(scan)
        await in_turn(self._measure, subjects.values(), SUBJECTS_AT_ONCE)

    async def _measure(self, sessions: list[Scan]) -> None:
        """Take the sessions of a subject, carry their registration over, follow the lesions."""
        in_time = sorted(sessions, key=lambda scan: scan.order)
        found = await gather_or_cancel(*(self._taken(scan) for scan in in_time))
        pairs = [pair for pair in found if pair is not None]
        if not pairs:
            return
        states, entries = [state for state, _ in pairs], [entry for _, entry in pairs]
        alignment, registration = await self._carried(states)
        digest = digest_of([[entry.digest, entry.value["mask_digest"]] for entry in entries])
        masks = [Masked(int(entry.value["voxels"]), digest) for entry in entries]
        motions = to_first([state.scan.session for state in states], alignment)
        await gather_or_cancel(
            *(self.comparing.masks(state, MASKS, entry.digest) for state, entry in pairs),
            *(
                self._slice_residuals(state, _slabs(state, registration), NOBODY, entry.digest)
                for state, entry in pairs
            ),
            self._follow(MaskedSubject(states, masks, motions, NOBODY, found[0] is None)),
        )

    async def _taken(self, scan: Scan) -> tuple[ScanState, Entry] | None:
        """Take one scan, or set it aside; its row says which."""
        row = self.source.row(scan)
        mask = self.matched.get(scan)
        aside = ScanRow.quarantined(row.subject, row.session, row.path, row.modality, row.days)

        def on_failure(outcome: Outcome) -> list[ScanRow]:
            return [aside]

        if mask is None or mask.refusal is not None:
            why = self.source.failures.get((scan.subject, scan.session), _UNTOLD)
            item = RefusedItem(*(why if mask is None or mask.refusal is None else mask.refusal))
            unit = self._unit(scan, item, Needs(cpus=0.1), [item])
            await self.record.do(refuse, unit, on_failure=on_failure)
            return None
        entry = await self.record.do(take, self._take_unit(scan, row, mask), on_failure=on_failure)
        if not entry.ok:
            return None
        place = ScanPlace(self.units.root, scan.subject, scan.session)
        state = ScanState.of(place, scan, entry.value)
        self._instances.give(state, entry)
        return state, entry

    def _take_unit(self, scan: Scan, row: ScanRow, mask: MatchedMask) -> Unit:
        place, target = ScanPlace(self.units.root, scan.subject, scan.session), self._target
        item = TakeItem(place, self.source.root, row, mask.parts, target, self.numbered)
        meta = self.source.metas[scan]
        files = [source_signature(part.path) for part in mask.parts]
        inputs = [meta.source_digest, row, mask.parts, files, target, self.numbered]
        return self._unit(scan, item, needs(meta), inputs)

    @property
    def _target(self) -> str:
        return self.units.config.teacher.target

    def _unit(self, scan: Scan, item: object, needed: Needs, inputs: list[object]) -> Unit:
        return self.units.unit(
            "ingest", scan_name(scan), item, needed, [_own_code(), *inputs], of=scan
        )

    async def _carried(self, states: list[ScanState]) -> tuple[list[Any], list[Any]]:
        """Hand on what the run says of how these sessions and their slices lie; rows of both tables."""
        subject, kept = states[0].scan.subject, {state.scan.session for state in states}
        protocol = self.units.protocol
        alignment = self.source.read("alignment", protocol, subject)
        registration = [
            row
            for row in self.source.read("registration", protocol, subject)
            if {row["fixed_session"], row["moving_session"]} <= kept
        ]
        aligned = [row for row in alignment if row["session"] in kept]
        rows = {"registration": registration, "alignment": aligned}
        name = f"{subject_name(subject)}+carried"
        unit = self.units.unit(
            "register", name, RowsItem(rows), Needs(cpus=0.1), [rows], of=subject
        )
        await self.record.do(carry_rows, unit)
        return alignment, registration

    def _masks(self, fitted: FittedTeacher) -> tuple[Masks, ...]:
        """Name the one method: masks from outside."""
        return (MASKS,)


_UNTOLD = ("missing", "the run set this scan aside; its table `failures` does not say why")


def _slabs(state: ScanState, registration: list[Any]) -> list[RegisteredSlab]:
    """Put a scan's pairs of slices to the slabs that their first slices lie in; none where there are none."""
    mine = [
        row
        for row in registration
        if row["kind"] == "slices" and row["moving_session"] == state.scan.session
    ]
    found = []
    for slab in state.slabs() if mine else ():
        rows = [row for row in mine if row["t"] == slab.t and slab.z0 <= row["fixed_z"] < slab.z1]
        entry = Entry("register", state.name, state.scan.protocol, "", rows={"registration": rows})
        found.append(RegisteredSlab(slab, entry))
    return found
