"""The walk of one protocol: teacher, student, then every scan and every subject as soon as it can go on.

Nothing here waits for the whole cohort. Slices are registered as soon as a scan is in, classes transferred
as soon as the teacher stands, students applied as soon as they are trained, lesions followed as soon as
all sessions of a subject have their masks.
"""

import asyncio
import itertools
from collections.abc import Awaitable
from typing import Any

import numpy as np

from somray.domain.scan import Scan
from somray.domain.teacher import TeacherModel
from somray.kernels.teacher.apply import scaled_windows
from somray.pipeline.digests import source_signature
from somray.pipeline.fitting import Fitted, Fitting, ProtocolWork, Reference
from somray.pipeline.gather import together
from somray.pipeline.objects import Called, ObjectStep
from somray.pipeline.units import slices as slice_units
from somray.pipeline.units.protocol import ScanState
from somray.pipeline.units.sessions import align_sessions_of
from somray.stages import drift, segment, truth
from somray.stages.evolution import evolve
from somray.stages.objects import BASELINE
from somray.stages.objects import GROUP as OBJECTS
from somray.stages.registration import align_slices, register, residuals

__all__ = ["ProtocolChain"]

LESION_CHANNEL = {"PETCT": "PET"}  # whose intensities `lesions` reports; else the first channel


class ProtocolChain(ProtocolWork):
    """Everything that is done for one protocol."""

    objects: ObjectStep

    async def run(self) -> None:
        """Walk the whole protocol."""
        self.objects = ObjectStep(self.units, self.scans, self.book)
        models_ready = asyncio.create_task(self._fitting().run())
        subjects: dict[str, list[Scan]] = {}
        for scan in self.scans:
            subjects.setdefault(scan.subject, []).append(scan)
        walks = [
            self._subject(sorted(sessions, key=lambda s: s.order), models_ready)
            for sessions in subjects.values()
        ]
        await together(models_ready, *walks)

    def _fitting(self) -> Fitting:
        parts = (self.units, self.scans, self.storage, self.book, self.executor, self.intake)
        return Fitting(*parts)

    # -- one scan --------------------------------------------------------------------------------

    async def _scan(
        self,
        state: ScanState,
        ready: Awaitable[Any],  # Any: what `Fitting.run` returns
    ) -> tuple[int, str] | None:
        """Register, segment and compare one scan.

        Returns:
            Voxels of the target under the method that lesions follow, and the digest of all models; None
            if the masks could not be made.
        """
        try:
            return await self._looked_at(state, ready)
        finally:
            self.objects.drop(state.scan)

    async def _looked_at(
        self,
        state: ScanState,
        ready: Awaitable[Any],  # Any: what `Fitting.run` returns
    ) -> tuple[int, str] | None:
        pairs = asyncio.create_task(self._slice_pairs(state))
        work: list[Awaitable[Any]] = [pairs]
        reference, training = await ready
        if reference is None:
            await together(*work)
            return None
        som = asyncio.create_task(self._labels(state, "som", reference.fitted, reference.teacher))
        work.append(som)
        last, fitted = som, reference.fitted
        if training is not None:
            trained = await training
            if trained is None:
                await together(*work)
                return None
            fitted = trained
            last = asyncio.create_task(self._labels(state, "student", trained, reference.teacher))
            work.append(last)
        await together(*work)
        if som.result() is None or last.result() is None:
            return None
        await together(
            self.objects.find(state, self._methods(reference)[-1], fitted),
            self._truth(state, reference, fitted.digest),
            self._slice_residuals(state, pairs.result(), reference, fitted.digest),
        )
        return last.result() or 0, fitted.digest

    async def _slice_pairs(self, state: ScanState) -> slice_units.Pairs:
        """Register neighbouring slices, compose them along z; return how each slab ended."""
        if "slices" not in self.units.config.registration.pairs:
            return []
        slabs = state.slabs()
        entries = await together(
            *(
                self.book.do(register.run_slices, slice_units.slice_pairs(self.units, state, where))
                for where in slabs
            )
        )
        pairs = list(zip(slabs, entries, strict=True))
        chains = (
            slice_units.slice_chain(self.units, state, t, pairs) for t in range(state.shape[0])
        )
        await together(*(self.book.do(align_slices.run, chain) for chain in chains))
        for t in range(state.shape[0]):
            if all(entry.ok for (when, _, _), entry in pairs if when == t):
                await asyncio.to_thread(register.forget_progress, state.place, t)
        return pairs

    async def _slice_residuals(
        self, state: ScanState, pairs: slice_units.Pairs, reference: Reference, digest: str
    ) -> None:
        masks = residuals.Masks(*self._methods(reference)[-1])
        jobs = (
            slice_units.slice_residuals(self.units, state, slab, masks, digest) for slab in pairs
        )
        await together(*(self.book.do(residuals.run_slices, job) for job in jobs))

    async def _labels(
        self, state: ScanState, label: str, fitted: Fitted, model: TeacherModel
    ) -> int | None:
        """Write one label group slab by slab; return the target's voxels, None if a slab failed."""
        stage, function = (
            ("som", segment.run_som) if label == "som" else ("segment", segment.run_student)
        )
        groups, prefix = self.units.label_groups(label), f"{state.name}+{label}"
        digest = "+".join((fitted.digest, *groups[1:]))
        for group in groups:
            opened = await self.book.do(
                segment.open_labels,
                self.units.open_labels(state, group, digest),
                invalidates=[(stage, prefix), ("close", f"{state.name}+{group}")],
            )
            if not opened.ok:
                return None
        value = model.value_of(self.units.config.teacher.target)
        seen = (scaled_windows(model, state.level), value)
        entries = await together(
            *(
                self.book.do(
                    function,
                    self.units.slab(state, label, where, digest, seen),
                    shared=fitted.shared,
                )
                for where in self.units.pieces(state, label)
            )
        )
        if not all(entry.ok for entry in entries):
            return None
        if label == "som":
            signatures = [entry.value["signature"] for entry in entries]
            judged = self.units.drift(state, signatures, fitted.digest)
            await self.book.do(drift.run, judged, shared=fitted.shared)
        for group in groups:
            classes = self._classes(group, model)
            closed = await self.book.do(
                segment.close_labels, self.units.close_labels(state, group, classes, digest)
            )
            if not closed.ok:
                return None
        pixels = state.shape[3] * state.shape[4]
        fractions = [float(row["target_fraction"]) for e in entries for row in e.rows["slices"]]
        return round(sum(fractions) * pixels)

    def _classes(self, label: str, model: TeacherModel) -> tuple[tuple[int, str], ...]:
        if label == segment.CONFIDENCE:
            return segment.confidence_classes()
        if label == "som":
            return tuple(sorted(model.class_names.items()))
        target = self.units.config.teacher.target
        return ((model.value_of(target), target),)

    def _methods(self, reference: Reference) -> tuple[tuple[str, int], ...]:
        """List the methods that ran, with the target's value in their labels."""
        target = self.units.config.teacher.target
        som = ("som", reference.teacher.value_of(target))
        if self.units.config.segment == "som":
            return (som,)
        return som, ("student", reference.teacher.value_of(target))

    async def _truth(self, state: ScanState, reference: Reference, digest: str) -> None:
        """Compare the masks of the methods that ran, as they are."""
        if state.scan.truth is None:
            return
        methods = tuple(truth.TruthMethod(m, m, (value,)) for m, value in self._methods(reference))
        inputs = [digest, source_signature(state.scan.truth)]
        await self.book.do(truth.run, self.units.truth(state, methods, inputs))

    async def _object_truth(
        self, state: ScanState, reference: Reference, called: Called | None, digest: str
    ) -> None:
        """Compare the lesions of a scan, and beside a student's those of direct transfer alone."""
        if state.scan.truth is None:
            return
        methods = [truth.TruthMethod("lesions", "lesions")]
        inputs = [digest, source_signature(state.scan.truth)]
        if called is not None and self.units.config.segment == "student":
            som = self._methods(reference)[0]
            baseline = await self.objects.baseline(state, som, reference.fitted, called)
            if baseline is not None:
                numbers, found = baseline
                methods.append(truth.TruthMethod("som_lesions", BASELINE, numbers))
                inputs.append(found)
        item = self.units.truth(state, tuple(methods), inputs, "lesions")
        await self.book.do(truth.run, item)

    # -- one subject -----------------------------------------------------------------------------

    async def _subject(self, sessions: list[Scan], ready: Awaitable[Any]) -> None:
        """Segment all sessions of a subject, align them, follow the lesions, list the labels."""
        found = await asyncio.gather(*(self.intake.accepted(scan) for scan in sessions))
        for scan, accepted in zip(sessions, found, strict=True):
            if accepted is None:
                self.objects.drop(scan)
        states = [state for state in found if state is not None]
        if not states:
            return
        *masks, transforms = await together(
            *(self._scan(state, ready) for state in states), self._session_pairs(states)
        )
        if any(mask is None for mask in masks):
            return
        reference, _ = await ready
        called = await together(*(self.objects.call(state) for state in states))
        if self.objects.rule is not None and any(one is None for one in called):
            return
        item = self._evolve_item(states, transforms, reference, called)
        voxels, digests = sum(m[0] for m in masks), masks[0][1]
        if self.objects.rule is not None:
            voxels = sum(one.voxels for one in called)
            digests = "+".join((digests, *(one.digest for one in called)))
        entry, *_ = await together(
            self.book.do(evolve.run, self.units.evolve(item, states, voxels, digests)),
            *self._session_residuals(states, item, digests),
        )
        if entry.ok:
            written = (
                group for m, _ in self._methods(reference) for group in self.units.label_groups(m)
            )
            drawn = () if self.objects.rule is None else (OBJECTS,)
            labels = (*written, *drawn, "lesions")
            await together(
                *(
                    self.book.do(segment.publish, self.units.publish(s, labels, digests))
                    for s in states
                ),
                *(
                    self._object_truth(s, reference, one, entry.digest)
                    for s, one in zip(states, called, strict=True)
                ),
            )

    async def _session_pairs(self, states: list[ScanState]) -> list[tuple[float, ...] | None]:
        """Align the sessions; return each one's 4×4 to the first, None where refused."""
        first: tuple[float, ...] = tuple(np.eye(4).ravel().tolist())
        if len(states) == 1 or "sessions" not in self.units.config.registration.pairs:
            return [first, *[None] * (len(states) - 1)]
        return await align_sessions_of(self.book, self.units, states)

    def _session_residuals(
        self, states: list[ScanState], item: evolve.EvolveItem, digest: str
    ) -> list[Awaitable[Any]]:
        """Compare consecutive sessions, as their common alignment brings them together."""
        if "sessions" not in self.units.config.registration.pairs:
            return []
        masks = residuals.Masks(item.method, item.value)
        jobs: list[Awaitable[Any]] = []
        for one, two in itertools.pairwise(range(len(states))):
            first, later = item.sessions[one].to_first, item.sessions[two].to_first
            matrix = None
            if first is not None and later is not None:
                between = np.linalg.solve(np.reshape(first, (4, 4)), np.reshape(later, (4, 4)))
                matrix = tuple(between.ravel().tolist())
            pair = states[one], states[two]
            unit = slice_units.session_residuals(self.units, pair, matrix, masks, digest)
            jobs.append(self.book.do(residuals.run_sessions, unit))
        return jobs

    def _evolve_item(
        self,
        states: list[ScanState],
        transforms: list[tuple[float, ...] | None],
        reference: Reference,
        called: list[Called | None],
    ) -> evolve.EvolveItem:
        config = self.units.config
        method, value = self._methods(reference)[-1]
        wanted = LESION_CHANNEL.get(config.modality, config.channels[0])
        channel = config.channels.index(wanted) if wanted in config.channels else 0
        return evolve.EvolveItem(
            sessions=tuple(
                evolve.EvolveSession(state.place, to_first, None if one is None else one.lesions)
                for state, to_first, one in zip(states, transforms, called, strict=True)
            ),
            method=method,
            value=value,
            channel=channel,
            config=config.lesions,
            apart=self.objects.rule is None or not self.objects.rule.follows_parts,
        )
