"""The units that write one label group of one scan, from its opening to its closing."""

from collections.abc import Sequence
from dataclasses import dataclass

from somray.domain.teacher import TeacherModel
from somray.io.ledger import Entry
from somray.kernels.teacher.apply import scaled_windows
from somray.pipeline.gather import gather_or_cancel
from somray.pipeline.record import Record
from somray.pipeline.units import tiles
from somray.pipeline.units.protocol import Seen, Units
from somray.pipeline.units.scan_state import ScanState
from somray.stages import drift
from somray.stages.segment import labels
from somray.stages.segment.som import run_som
from somray.stages.segment.student import run_student

__all__ = ["Labelling"]


@dataclass(frozen=True)
class Labelling:
    """How one label group is written.

    `label` is som or student, `model` the digest of what labels and that as the executor shares it; `teacher` names
    the classes.
    """

    record: Record
    units: Units
    label: str
    model: tuple[str, object]
    teacher: TeacherModel

    async def write(self, state: ScanState) -> int | None:
        """Write the group of one scan slab by slab; return the target's voxels, None if a slab failed."""
        groups = self.units.label_groups(self.label)
        digest = "+".join((self.model[0], *groups[1:]))
        for group in groups:
            item = labels.LabelItem(state.place, group)
            opening = self.units.label_group("open", state, item, digest)
            if not (await self.record.do(labels.open_labels, opening)).ok:
                return None
        entries = await self._label(state, digest)
        if entries is None or not all(entry.ok for entry in entries):
            return None
        if self.label == "som":
            signatures = [entry.value["signature"] for entry in entries]
            judged = self.units.drift(state, signatures, self.model[0])
            await self.record.do(drift.run, judged, shared=self.model[1])
        for group in groups:
            if not (await self._close(state, group, digest, entries)).ok:
                return None
        return sum(int(entry.value["voxels"]) for entry in entries)

    @property
    def _target(self) -> int:
        return self.teacher.value_of(self.units.config.teacher.target)

    async def _label(self, state: ScanState, digest: str) -> Sequence[Entry] | None:
        by_map = self.label == "som"
        function = run_som if by_map else run_student
        scales = await tiles.scales_of(self.record, self.units, state, self.model) if by_map else {}
        if scales is None:
            return None
        seen = Seen(scaled_windows(self.teacher, state.level), self._target, scales)
        jobs = (
            self.units.slab(state, self.label, where, digest, seen)
            for where in self.units.slabs(state, self.label)
        )
        return await gather_or_cancel(
            *(self.record.do(function, job, shared=self.model[1]) for job in jobs)
        )

    async def _close(
        self, state: ScanState, group: str, digest: str, entries: Sequence[Entry]
    ) -> Entry:
        item = labels.LabelItem(state.place, group, classes=self._classes(group))
        if state.is_cut and group == self.label:
            told = item, self._target, digest
            return await tiles.close_tiles(self.record, self.units, state, told, entries)
        closing = self.units.label_group("close", state, item, digest)
        return await self.record.do(labels.close_labels, closing)

    def _classes(self, group: str) -> tuple[tuple[int, str], ...]:
        if group == labels.CONFIDENCE:
            return labels.confidence_classes()
        if group == "som":
            return tuple(sorted(self.teacher.class_names.items()))
        return ((self._target, self.units.config.teacher.target),)
