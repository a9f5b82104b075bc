"""The walk of one protocol: teacher, student, then every scan and every subject as soon as it can go on.

Nothing here waits for the whole cohort, but for calls where the cohort is asked. Slices are registered as soon as a
scan is in, classes transferred as soon as the teacher stands, students applied as soon as they are trained, lesions
followed as soon as all sessions of a subject have their masks.
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
from somray.pipeline.fitting import FittedTeacher, Fitting, Models, ProtocolWork, SharedModel
from somray.pipeline.gather import gather_or_cancel, in_turn, owned
from somray.pipeline.objects import Baseline, Called, ObjectStep
from somray.pipeline.units import slices as slice_units
from somray.pipeline.units.comparing import Comparing
from somray.pipeline.units.labelling import Labelling
from somray.pipeline.units.scan_state import ScanState
from somray.pipeline.units.sessions import align_sessions_of
from somray.pipeline.units.slices import RegisteredSlab
from somray.stages.evolution import evolve
from somray.stages.objects import GROUP as OBJECTS
from somray.stages.registration import align_slices, register, residuals
from somray.stages.registration.residuals import Masks
from somray.stages.segment import labels

__all__ = ["ProtocolChain"]

SUBJECTS_AT_ONCE = 2048
"""Subjects of a protocol that are on their way: enough for a thousand cores, and the driver's memory stays bounded."""
LESION_CHANNEL = {"PETCT": "PET"}  # whose intensities `lesions` reports; else the first channel


@dataclass(frozen=True)
class Masked:
    """A scan whose masks stand, by models of a digest.

    `voxels` are the target's under the method that lesions follow; the baseline is there where a truth judges direct
    transfer beside a student.
    """

    voxels: int
    models: str
    baseline: Baseline | None = None


@dataclass(frozen=True)
class MaskedSubject:
    """A subject whose sessions, in order of time, have their masks and stand in one place.

    `transforms` are each one's 4×4 to the first, None where refused; `follows_missing` tells whether a session before
    the first of these could not be used.
    """

    states: list[ScanState]
    masks: list[Masked]
    transforms: list[tuple[float, ...] | None]
    teacher: FittedTeacher
    follows_missing: bool = False


async def _encoder(ready: Awaitable[Models]) -> None:
    """Wait for a protocol's encoder, where one is asked for: nobody else may."""
    models = await ready
    if models.encoder is not None:
        await models.encoder


class ProtocolChain(ProtocolWork):
    """Everything that is done for one protocol."""

    objects: ObjectStep
    comparing: Comparing

    async def run(self) -> None:
        """Walk the whole protocol, a window of subjects at a time.

        Where calls ask the cohort, every subject's masks are made before the first is called.
        """
        self.objects = ObjectStep(self.units, self.scans, self.record)
        self.comparing = Comparing(self.record, self.units, self.objects)
        fitting = Fitting(self.units, self.scans, self.record, self.executor, self.intake)
        models_ready = asyncio.create_task(fitting.run())
        subjects: dict[str, list[Scan]] = {}
        for scan in self.scans:
            subjects.setdefault(scan.subject, []).append(scan)
        aside: list[MaskedSubject] = []

        async def look(sessions: list[Scan]) -> None:
            masked = await self._masked(sorted(sessions, key=lambda s: s.order), models_ready)
            if masked is not None and self.objects.asks_cohort:
                aside.append(masked)
            elif masked is not None:
                await self._follow(masked)

        async with owned() as tasks:
            tasks.append(models_ready)
            tasks.append(pretrained := asyncio.create_task(_encoder(models_ready)))
            await in_turn(look, subjects.values(), SUBJECTS_AT_ONCE)
            await pretrained
            await in_turn(self._follow, aside, SUBJECTS_AT_ONCE)

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
            last, model, ahead = som, teacher.shared, None
            if training is not None:
                work.append(ahead := asyncio.create_task(self._ahead(state, som, teacher)))
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
            self.comparing.masks(state, self._masks(teacher)[-1], model.digest),
            self._slice_residuals(state, pairs.result(), teacher, model.digest),
        )
        baseline = None if ahead is None else ahead.result()
        return Masked(last.result() or 0, model.digest, baseline)

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
        """Write one label group; return the target's voxels, None if a slab failed."""
        by = fitted.digest, fitted.shared
        return await Labelling(self.record, self.units, label, by, model).write(state)

    def _masks(self, fitted: FittedTeacher) -> tuple[Masks, ...]:
        """List the methods that ran, with the target's value in their labels; lesions follow the last."""
        value = fitted.model.value_of(self.units.config.teacher.target)
        names = ("som",) if self.units.config.segment == "som" else ("som", "student")
        return tuple(Masks(name, value) for name in names)

    async def _ahead(
        self, state: ScanState, som: Awaitable[int | None], teacher: FittedTeacher
    ) -> Baseline | None:
        """Judge direct transfer by the truth beside the training, which leaves cores idle."""
        if await som is None:
            return None
        return await self.comparing.ahead(state, self._masks(teacher)[0], teacher.shared)

    # -- one subject -----------------------------------------------------------------------------

    async def _masked(self, sessions: list[Scan], ready: Awaitable[Models]) -> MaskedSubject | None:
        """Segment all sessions of a subject and align them; None where that could not be done."""
        found = await asyncio.gather(*(self.intake.accepted(scan) for scan in sessions))
        for scan, accepted in zip(sessions, found, strict=True):
            if accepted is None:
                self.objects.drop(scan)
        states = [state for state in found if state is not None]
        if not states:
            return None
        *masks, transforms = await gather_or_cancel(
            *(self._scan(state, ready) for state in states), self._session_pairs(states)
        )
        teacher = (await ready).teacher
        if teacher is None or any(mask is None for mask in masks):
            return None
        return MaskedSubject(states, masks, transforms, teacher, found[0] is None)

    async def _follow(self, subject: MaskedSubject) -> None:
        """Call a subject's objects, follow its lesions, list its labels."""
        states, teacher = subject.states, subject.teacher
        called = await gather_or_cancel(*(self.objects.call(state) for state in states))
        if self.objects.rule is not None and any(one is None for one in called):
            return
        item = self._evolve_item(subject, called)
        voxels, digests = sum(mask.voxels for mask in subject.masks), subject.masks[0].models
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
                    self.comparing.lesions(s, one, mask.baseline, entry.digest)
                    for s, one, mask in zip(states, called, subject.masks, strict=True)
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
        self, subject: MaskedSubject, called: list[Called | None]
    ) -> evolve.EvolveItem:
        config = self.units.config
        masks = self._masks(subject.teacher)[-1]
        wanted = LESION_CHANNEL.get(config.modality, config.channels[0])
        channel = config.channels.index(wanted) if wanted in config.channels else 0
        return evolve.EvolveItem(
            sessions=tuple(
                evolve.EvolveSession(state.place, to_first, None if one is None else one.lesions)
                for state, to_first, one in zip(
                    subject.states, subject.transforms, called, strict=True
                )
            ),
            method=masks.method,
            value=masks.value,
            channel=channel,
            config=config.lesions,
            apart=self.objects.rule is None or not self.objects.rule.follows_parts,
            settles=config.objects.rule != "none",
            follows_missing=subject.follows_missing,
        )
