"""The walk of one protocol: teacher, student, then every scan and every subject as soon as it can go on.

Nothing here waits for the whole cohort. Slices are registered as soon as a scan is in, classes transferred
as soon as the teacher stands, students applied as soon as they are trained, lesions followed as soon as
all sessions of a subject have their masks.
"""

import asyncio
import itertools
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import numpy as np

from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.domain.teacher import TeacherModel
from somray.io.signatures import source_signature
from somray.kernels.teacher.apply import scaled_windows
from somray.pipeline.fitting import FittedTeacher, Fitting, Models, ProtocolWork, SharedModel
from somray.pipeline.gather import gather_or_cancel, owned
from somray.pipeline.objects import Called, ObjectStep
from somray.pipeline.units import slices as slice_units
from somray.pipeline.units import tiles
from somray.pipeline.units.protocol import Seen
from somray.pipeline.units.scan_state import ScanState
from somray.pipeline.units.sessions import align_sessions_of
from somray.pipeline.units.slices import RegisteredSlab
from somray.stages import drift, truth
from somray.stages.evolution import evolve
from somray.stages.objects import BASELINE
from somray.stages.objects import GROUP as OBJECTS
from somray.stages.registration import align_slices, register, residuals
from somray.stages.registration.residuals import Masks
from somray.stages.segment import labels
from somray.stages.segment.som import run_som
from somray.stages.segment.student import run_student

__all__ = ["ProtocolChain"]

LESION_CHANNEL = {"PETCT": "PET"}  # whose intensities `lesions` reports; else the first channel


@dataclass(frozen=True)
class Masked:
    """A scan whose masks stand.

    Args:
        voxels: of the target under the method that lesions follow.
        models: digest of all models.
    """

    voxels: int
    models: str


class ProtocolChain(ProtocolWork):
    """Everything that is done for one protocol."""

    objects: ObjectStep

    async def run(self) -> None:
        """Walk the whole protocol."""
        self.objects = ObjectStep(self.units, self.scans, self.record)
        fitting = Fitting(self.units, self.scans, self.record, self.executor, self.intake)
        models_ready = asyncio.create_task(fitting.run())
        subjects: dict[str, list[Scan]] = {}
        for scan in self.scans:
            subjects.setdefault(scan.subject, []).append(scan)
        walks = [
            self._subject(sorted(sessions, key=lambda s: s.order), models_ready)
            for sessions in subjects.values()
        ]
        await gather_or_cancel(models_ready, *walks)

    # -- one scan --------------------------------------------------------------------------------

    async def _scan(self, state: ScanState, ready: Awaitable[Models]) -> Masked | None:
        """Register, segment and compare one scan; None if the masks could not be made."""
        try:
            return await self._looked_at(state, ready)
        finally:
            self.objects.drop(state.scan)

    async def _looked_at(self, state: ScanState, ready: Awaitable[Models]) -> Masked | None:
        async with owned() as work:
            work.append(pairs := asyncio.create_task(self._slice_pairs(state)))
            models = await ready
            teacher, training = models.teacher, models.training
            if teacher is None:
                await asyncio.gather(*work)
                return None
            som = asyncio.create_task(self._labels(state, "som", teacher.shared, teacher.model))
            work.append(som)
            last, model = som, teacher.shared
            if training is not None:
                trained = await training
                if trained is None:
                    await asyncio.gather(*work)
                    return None
                model = trained
                last = asyncio.create_task(self._labels(state, "student", trained, teacher.model))
                work.append(last)
            await asyncio.gather(*work)
        if som.result() is None or last.result() is None:
            return None
        await gather_or_cancel(
            self.objects.find(state, self._masks(teacher)[-1], model),
            self._truth(state, teacher, model.digest),
            self._slice_residuals(state, pairs.result(), teacher, model.digest),
        )
        return Masked(last.result() or 0, model.digest)

    async def _slice_pairs(self, state: ScanState) -> list[RegisteredSlab]:
        """Register neighbouring slices, compose them along z; return how each slab ended."""
        if "slices" not in self.units.config.registration.pairs:
            return []
        slabs = state.slabs()
        entries = await gather_or_cancel(
            *(
                self.record.do(
                    register.run_slices, slice_units.slice_pairs(self.units, state, where)
                )
                for where in slabs
            )
        )
        pairs = [RegisteredSlab(*one) for one in zip(slabs, entries, strict=True)]
        chains = (
            slice_units.slice_chain(self.units, state, t, pairs) for t in range(state.shape[0])
        )
        await gather_or_cancel(*(self.record.do(align_slices.run, chain) for chain in chains))
        for t in range(state.shape[0]):  # in the ledger now: nobody goes on from what they kept
            if all(one.entry.ok for one in pairs if one.slab.t == t):
                await self.record.remove(RunLayout.pairs(state.name, t))
        return pairs

    async def _slice_residuals(
        self, state: ScanState, pairs: list[RegisteredSlab], teacher: FittedTeacher, digest: str
    ) -> None:
        masks = self._masks(teacher)[-1]
        jobs = (
            slice_units.slice_residuals(self.units, state, slab, masks, digest) for slab in pairs
        )
        await gather_or_cancel(*(self.record.do(residuals.run_slices, job) for job in jobs))

    async def _labels(
        self, state: ScanState, label: str, fitted: SharedModel, model: TeacherModel
    ) -> int | None:
        """Write one label group slab by slab; return the target's voxels, None if a slab failed."""
        function = run_som if label == "som" else run_student
        groups = self.units.label_groups(label)
        digest = "+".join((fitted.digest, *groups[1:]))
        for group in groups:
            opening = self.units.open_labels(state, group, digest)
            opened = await self.record.do(labels.open_labels, opening)
            if not opened.ok:
                return None
        value = model.value_of(self.units.config.teacher.target)
        by_map, pair = label == "som", (fitted.digest, fitted.shared)
        scales = await tiles.scales_of(self.record, self.units, state, pair) if by_map else {}
        if scales is None:
            return None
        seen = Seen(scaled_windows(model, state.level), value, scales)
        entries = await gather_or_cancel(
            *(
                self.record.do(
                    function,
                    self.units.slab(state, label, where, digest, seen),
                    shared=fitted.shared,
                )
                for where in self.units.slabs(state, label)
            )
        )
        if not all(entry.ok for entry in entries):
            return None
        if label == "som":
            signatures = [entry.value["signature"] for entry in entries]
            judged = self.units.drift(state, signatures, fitted.digest)
            await self.record.do(drift.run, judged, shared=fitted.shared)
        for group in groups:
            classes = self._classes(group, model)
            if state.is_cut and group == label:
                item = labels.LabelItem(state.place, group, classes=classes)
                told = item, value, digest
                closed = await tiles.close_tiles(self.record, self.units, state, told, entries)
            else:
                closed = await self.record.do(
                    labels.close_labels, self.units.close_labels(state, group, classes, digest)
                )
            if not closed.ok:
                return None
        return sum(int(entry.value["voxels"]) for entry in entries)

    def _classes(self, label: str, model: TeacherModel) -> tuple[tuple[int, str], ...]:
        if label == labels.CONFIDENCE:
            return labels.confidence_classes()
        if label == "som":
            return tuple(sorted(model.class_names.items()))
        target = self.units.config.teacher.target
        return ((model.value_of(target), target),)

    def _masks(self, fitted: FittedTeacher) -> tuple[Masks, ...]:
        """List the methods that ran, with the target's value in their labels; lesions follow the last."""
        value = fitted.model.value_of(self.units.config.teacher.target)
        names = ("som",) if self.units.config.segment == "som" else ("som", "student")
        return tuple(Masks(name, value) for name in names)

    async def _truth(self, state: ScanState, teacher: FittedTeacher, digest: str) -> None:
        """Compare the masks of the methods that ran, as they are."""
        if state.scan.truth is None:
            return
        methods = tuple(
            truth.TruthMethod(m.method, m.method, (m.value,)) for m in self._masks(teacher)
        )
        inputs = [digest, source_signature(state.scan.truth)]
        await self.record.do(truth.run, self.units.truth(state, methods, inputs))

    async def _object_truth(
        self, state: ScanState, teacher: FittedTeacher, called: Called | None, digest: str
    ) -> None:
        """Compare the lesions of a scan, and beside a student's those of direct transfer alone."""
        if state.scan.truth is None:
            return
        methods = [truth.TruthMethod("lesions", "lesions")]
        inputs = [digest, source_signature(state.scan.truth)]
        if called is not None and self.units.config.segment == "student":
            som = self._masks(teacher)[0]
            baseline = await self.objects.baseline(state, som, teacher.shared, called)
            if baseline is not None:
                numbers, found = baseline
                methods.append(truth.TruthMethod("som_lesions", BASELINE, numbers))
                inputs.append(found)
        item = self.units.truth(state, tuple(methods), inputs, "lesions")
        await self.record.do(truth.run, item)

    # -- one subject -----------------------------------------------------------------------------

    async def _subject(self, sessions: list[Scan], ready: Awaitable[Models]) -> None:
        """Segment all sessions of a subject, align them, follow the lesions, list the labels."""
        found = await asyncio.gather(*(self.intake.accepted(scan) for scan in sessions))
        for scan, accepted in zip(sessions, found, strict=True):
            if accepted is None:
                self.objects.drop(scan)
        states = [state for state in found if state is not None]
        if not states:
            return
        *masks, transforms = await gather_or_cancel(
            *(self._scan(state, ready) for state in states), self._session_pairs(states)
        )
        teacher = (await ready).teacher
        if teacher is None or any(mask is None for mask in masks):
            return
        called = await gather_or_cancel(*(self.objects.call(state) for state in states))
        if self.objects.rule is not None and any(one is None for one in called):
            return
        item = self._evolve_item(states, transforms, teacher, called)
        voxels, digests = sum(mask.voxels for mask in masks), masks[0].models
        if self.objects.rule is not None:
            voxels = sum(one.voxels for one in called)
            digests = "+".join((digests, *(one.digest for one in called)))
        entry, *_ = await gather_or_cancel(
            self.record.do(evolve.run, self.units.evolve(item, states, voxels, digests)),
            *self._session_residuals(states, item, digests),
        )
        if entry.ok:
            written = (
                group for m in self._masks(teacher) for group in self.units.label_groups(m.method)
            )
            drawn = () if self.objects.rule is None else (OBJECTS,)
            names = (*written, *drawn, "lesions")
            await gather_or_cancel(
                *(
                    self.record.do(labels.publish, self.units.publish(s, names, digests))
                    for s in states
                ),
                *(
                    self._object_truth(s, teacher, one, entry.digest)
                    for s, one in zip(states, called, strict=True)
                ),
            )

    async def _session_pairs(self, states: list[ScanState]) -> list[tuple[float, ...] | None]:
        """Align the sessions; return each one's 4×4 to the first, None where refused."""
        first: tuple[float, ...] = tuple(np.eye(4).ravel().tolist())
        if len(states) == 1 or "sessions" not in self.units.config.registration.pairs:
            return [first, *[None] * (len(states) - 1)]
        return await align_sessions_of(self.record, self.units, states)

    def _session_residuals(
        self, states: list[ScanState], item: evolve.EvolveItem, digest: str
    ) -> list[Awaitable[Any]]:
        """Compare consecutive sessions, as their common alignment brings them together."""
        if "sessions" not in self.units.config.registration.pairs:
            return []
        masks = Masks(item.method, item.value)
        jobs: list[Awaitable[Any]] = []
        for one, two in itertools.pairwise(range(len(states))):
            first, later = item.sessions[one].to_first, item.sessions[two].to_first
            matrix = None
            if first is not None and later is not None:
                between = np.linalg.solve(np.reshape(first, (4, 4)), np.reshape(later, (4, 4)))
                matrix = tuple(between.ravel().tolist())
            pair = states[one], states[two]
            unit = slice_units.session_residuals(self.units, pair, matrix, masks, digest)
            jobs.append(self.record.do(residuals.run_sessions, unit))
        return jobs

    def _evolve_item(
        self,
        states: list[ScanState],
        transforms: list[tuple[float, ...] | None],
        teacher: FittedTeacher,
        called: list[Called | None],
    ) -> evolve.EvolveItem:
        config = self.units.config
        masks = self._masks(teacher)[-1]
        wanted = LESION_CHANNEL.get(config.modality, config.channels[0])
        channel = config.channels.index(wanted) if wanted in config.channels else 0
        return evolve.EvolveItem(
            sessions=tuple(
                evolve.EvolveSession(state.place, to_first, None if one is None else one.lesions)
                for state, to_first, one in zip(states, transforms, called, strict=True)
            ),
            method=masks.method,
            value=masks.value,
            channel=channel,
            config=config.lesions,
            apart=self.objects.rule is None or not self.objects.rule.follows_parts,
        )
