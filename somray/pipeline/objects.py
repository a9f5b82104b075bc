"""The object step of one protocol: every scan is looked at by itself, then called with the cohort's voice.

Looking needs nothing but the scan's own masks and goes on at once. Calling waits until every scan of the protocol
has been looked at (or dropped out), and only where the cohort is asked; it reads no pixel.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from somray.domain.scan import Scan
from somray.domain.work import Unit
from somray.io.ledger import Entry
from somray.io.signatures import source_signature
from somray.kernels.objects.calls import Word
from somray.kernels.objects.found import LESION
from somray.kernels.objects.prior import Landmark, occurrence
from somray.kernels.objects.scan_rule import ScanRule, rule_for
from somray.pipeline.fitting import SharedModel
from somray.pipeline.record import Record
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState
from somray.stages import object_calls, objects
from somray.stages.registration.residuals import Masks

__all__ = ["Baseline", "Called", "ObjectStep"]

Voice = tuple[float | None, int | None]
Voices = Mapping[str, list[tuple[tuple[float, float], list[Landmark]]]]
Facts = Mapping[str, Any]  # Any: fields of a FoundObject


@dataclass(frozen=True)
class Called:
    """What became of a scan's objects: per time index the numbers that were called lesion, voxels of all, a digest."""

    lesions: tuple[tuple[int, ...], ...]
    voxels: int
    digest: str


@dataclass(frozen=True)
class Baseline:
    """What the object step makes of a scan by direct transfer alone, beside a student.

    Args:
        lesions: numbers of the lesions at t 0 in `objects.BASELINE`; None where they are those that are called
            lesions: objects of uptake are the same with and without a student.
        digest: of the finding.
    """

    lesions: tuple[int, ...] | None
    digest: str


class ObjectStep:
    """Finds and calls the objects of a protocol's scans."""

    def __init__(self, units: Units, scans: Sequence[Scan], record: Record) -> None:
        """Prepare; nothing runs before `find`."""
        self._units, self._record = units, record
        self.rule = object_rule(units, scans)
        self._voices: Voices | None = None
        loop = asyncio.get_running_loop()
        self._found: dict[Scan, asyncio.Future[Entry | None]] = {
            scan: loop.create_future() for scan in scans
        }

    @property
    def asks_cohort(self) -> bool:
        """Whether a scan is called with the voice of all others, and so waits until all have been looked at."""
        has_uptake = self.rule is not None and self.rule.has_uptake
        return has_uptake and bool(self._units.config.objects.cohort)

    async def find(self, state: ScanState, masks: Masks, model: SharedModel) -> None:
        """Look at one scan, once its masks by a model stand."""
        if self.rule is None:
            return
        unit = find_unit(self._units, state, self.rule, masks, model.digest)
        entry = await self._record.do(objects.find, unit, shared=model.shared)
        self._settle(state.scan, replace(entry, rows={}) if entry.ok else None)

    async def baseline(self, state: ScanState, masks: Masks, model: SharedModel) -> Baseline | None:
        """Find the objects of direct transfer alone, for the comparison with truth; None where it failed."""
        if self.rule is None:
            return None
        unit = find_unit(self._units, state, self.rule, masks, model.digest, objects.BASELINE)
        entry = await self._record.do(objects.find, unit, shared=model.shared)
        if not entry.ok:
            return None
        facts = [] if self.rule.has_uptake else entry.value["times"][0]
        numbers = tuple(int(o["number"]) for o in facts if o["called"] == LESION)
        return Baseline(None if self.rule.has_uptake else numbers, entry.digest)

    def drop(self, scan: Scan) -> None:
        """Say that a scan will not be looked at, so that nobody waits for it."""
        self._settle(scan, None)

    def _settle(self, scan: Scan, entry: Entry | None) -> None:
        if not self._found[scan].done():
            self._found[scan].set_result(entry)

    async def call(self, state: ScanState) -> Called | None:
        """Call the objects of one scan; None where they could not be found or called."""
        entry = await self._found[state.scan]
        if not self.asks_cohort:
            del self._found[state.scan]  # nobody else asks
        if self.rule is None or entry is None:
            return None
        cohort = await self._cohort()
        times = tuple(tuple(facts) for facts in entry.value["times"])
        heard = tuple(
            tuple(_heard(one, state.scan.subject, cohort) for one in facts) for facts in times
        )
        item = object_calls.CallItem(state.place, times, heard, self._words(state.scan))
        called = await self._record.do(
            object_calls.call, call_unit(self._units, state, item, entry.digest)
        )
        if not called.ok:
            return None
        lesions = tuple(tuple(numbers) for numbers in called.value["lesions"])
        return Called(lesions, int(entry.value["voxels"]), called.digest)

    async def _cohort(self) -> Voices:
        """Gather what all subjects show, once, in the manifest's order; nothing where the cohort is not asked."""
        if self._voices is not None:
            return self._voices
        cohort: dict[str, list[tuple[tuple[float, float], list[Landmark]]]] = {}
        if not self.asks_cohort:
            return cohort
        for scan, waiting in self._found.items():
            entry = await waiting
            for shown, facts in _shown(entry):
                marks = [Landmark(*one["landmark"]) for one in facts if one["landmark"]]
                cohort.setdefault(scan.subject, []).append((shown, marks))
        self._voices = cohort
        return cohort

    def _words(self, scan: Scan) -> tuple[Word, ...]:
        return tuple(
            Word(word.at_mm, word.call)
            for word in self._units.config.objects.calls
            if (word.subject, word.session) == (scan.subject, scan.session)
        )


def _shown(entry: Entry | None) -> list[tuple[tuple[float, float], Sequence[Facts]]]:
    """List the time points of a scan that show a body, with their objects."""
    if entry is None:
        return []
    times = zip(entry.value["heights"], entry.value["times"], strict=True)
    return [((heights[0], heights[1]), facts) for heights, facts in times if heights is not None]


def _heard(
    facts: Facts,
    subject: str,
    cohort: Voices,
) -> Voice:
    if not cohort or not facts["landmark"]:
        return None, None
    found = occurrence(Landmark(*facts["landmark"]), subject, cohort)
    return found.fraction, found.subjects


def object_rule(units: Units, scans: Sequence[Scan]) -> ScanRule | None:
    """Return the rule of a protocol; None where lesions are what the map draws and nobody calls any of them."""
    config = units.config
    if config.objects.rule == "none":
        return None
    rule = rule_for(config.modality, tuple(config.channels), config.objects.rule)
    is_called = bool(config.objects.calls) or any(scan.anatomy is not None for scan in scans)
    return rule if is_called or rule.name != "map" else None


def find_unit(
    units: Units,
    state: ScanState,
    rule: ScanRule,
    masks: Masks,
    model: str,
    group: str = objects.GROUP,
) -> Unit:
    """Find the objects of one scan, drawn into a label group."""
    config, anatomy = units.config, None
    if state.scan.anatomy is not None:
        names = tuple(sorted(config.anatomy.items()))
        anatomy = objects.AnatomyItem(state.scan.anatomy, names, tuple(config.exclude))
    item = objects.FindItem(
        state.place, rule, masks.method, masks.value, anatomy, group, state.scan.paths[0]
    )
    found = [rule, masks, anatomy, source_signature(state.scan.anatomy)]
    inputs = [state.source_digest, model, found]
    blocks = state.grid_voxels(rule.grid_mm(state.shape[2:], state.spacing_mm))
    needs = objects.needs(state.slab_bytes, blocks, rule, units.student_voxels(state))
    name = state.name if group == objects.GROUP else f"{state.name}+{group}"
    work, written = state.shape[1] * state.slices(), 4 * state.voxels
    return units.unit(
        "objects", name, item, needs, inputs, of=state.scan, work=work, written=written
    )


def call_unit(units: Units, state: ScanState, item: object_calls.CallItem, found: str) -> Unit:
    """Call the objects of one scan."""
    inputs = [state.source_digest, found, [item.occurrences, item.words]]
    needs = object_calls.CALL_NEEDS
    return units.unit("calls", state.name, item, needs, inputs, of=state.scan)
