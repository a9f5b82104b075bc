"""The models of one protocol: its teacher as soon as its reference is in, then its student.

Nobody waits for the student who needs the teacher alone.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, replace

from somray.domain.scan import Scan
from somray.domain.teacher import TeacherModel
from somray.domain.work import Executor, digest_of
from somray.io.models import encoder_bytes, read_encoder_file, read_model_info
from somray.io.storage import Storage
from somray.pipeline.intake import Intake
from somray.pipeline.pretrain.encoder import pretrain_encoder
from somray.pipeline.record import Record
from somray.pipeline.references import chosen_references, over_subjects
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState
from somray.pipeline.units.student import student_unit
from somray.stages.student import fit as student
from somray.stages.teacher import fit as teacher_stage
from somray.stages.training import TrainingShared

__all__ = ["FittedTeacher", "Fitting", "Models", "ProtocolWork", "SharedModel"]

Reference = list[tuple[ScanState, tuple[int, ...] | None]]


@dataclass(frozen=True)
class SharedModel:
    """A model that stands, as the executor shares it."""

    digest: str
    shared: object


@dataclass(frozen=True)
class FittedTeacher:
    """A teacher that stands, and the scan and slices that it was fitted on first."""

    state: ScanState
    slices: tuple[int, ...]
    model: TeacherModel
    shared: SharedModel


@dataclass
class ProtocolWork:
    """What all work on one protocol goes by; its scans stand in the manifest's order."""

    units: Units
    scans: Sequence[Scan]
    record: Record
    executor: Executor
    intake: Intake


@dataclass(frozen=True)
class Models:
    """What a protocol's scans are segmented with; no teacher where it could not be fitted.

    Student and encoder are trained by tasks, None where nothing asks for one; the encoder's gives its digest.
    """

    teacher: FittedTeacher | None
    training: asyncio.Task[SharedModel | None] | None
    encoder: asyncio.Task[str | None] | None = None


class Fitting(ProtocolWork):
    """Fits what a protocol's scans are segmented with."""

    async def run(self) -> Models:
        """Fit the teacher, then start encoder and student without waiting for them."""
        config, encoder = self.units.config, None
        fitted = await self.teacher()
        if fitted is not None and config.pretraining is not None:
            pretraining = pretrain_encoder(self, fitted, config.pretraining)
            encoder = asyncio.create_task(pretraining)
        if fitted is None or config.segment == "som":
            await self.executor.release(self.units.protocol)
            return Models(fitted, None, encoder)
        start = encoder if config.starts_pretrained else None
        return Models(fitted, asyncio.create_task(self._student(fitted, start)), encoder)

    async def teacher(self) -> FittedTeacher | None:
        """Fit the teacher; None where it cannot be. Where the reference is ours to choose, the first scan that can."""
        protocol, passed = self.units.protocol, list[str]()
        mapper = self.executor.mapper()
        async for chosen in self._references():
            unit = self.units.teacher(chosen, self._previous_digest(), passed)
            if mapper.waits and unit.item.folds:
                # An actor that held a CPU could starve its own parts.
                unit = replace(unit, needs=replace(unit.needs, cpus=0.0))
            entry = await self.record.do(teacher_stage.run, unit, shared=mapper, actor=protocol)
            if not entry.ok:
                return None
            if "passed" in entry.value:
                passed.append(entry.value["passed"])
                await self.executor.release(protocol)  # the next scan may need its CPU to get in
                continue
            model = await self.record.teacher(protocol)
            digest = f"{unit.digest}-{entry.value['digest']}"
            shared = SharedModel(digest, self.executor.share(model))
            if unit.item.folds:  # the student's lesson may need a CPU of its own
                await self.executor.release(protocol)
            return FittedTeacher(chosen[0][0], tuple(entry.value["slices"]), model, shared)
        if passed or self.units.config.teacher.named:
            await self.record.do(teacher_stage.missing, self.units.missing_reference(passed))
        return None

    def _previous_digest(self) -> str | None:
        """Name the content of the teacher that is carried over."""
        previous = self.units.config.teacher.previous
        if previous is None:
            return None
        return digest_of(read_model_info(Storage.at(previous), self.units.protocol))

    def _encoder_digest(self) -> str | None:
        """Name the content of an encoder from outside that the student starts from."""
        named = self.units.config.student.encoder
        if named is None or self.units.config.starts_pretrained:
            return None
        return hashlib.sha256(encoder_bytes(read_encoder_file(named))).hexdigest()[:32]

    async def _references(self) -> AsyncIterator[Reference]:
        """Yield what may be the reference, in the manifest's order: each scan by itself where it is ours to choose."""
        config = self.units.config.teacher
        wanted = {(named.subject, named.session) for named in config.named}
        found: list[ScanState] = []
        for scan in self.scans:
            if wanted and (scan.subject, scan.session) not in wanted:
                continue
            state = await self.intake.accepted(scan)
            if state is None:
                continue
            if config.reference == "auto":
                yield [(state, None)]
            else:
                found.append(state)
        if found:
            yield chosen_references(config, found)

    async def _student(
        self, fitted: FittedTeacher, start: Awaitable[str | None] | None
    ) -> SharedModel | None:
        protocol, config = self.units.protocol, self.units.config
        encoder = self._encoder_digest()
        if start is not None:
            await self.executor.release(protocol)  # shards may need its CPU
            encoder = await start
            if encoder is None:
                return None
        cohort = await self._cohort()
        parts = (fitted.state, fitted.slices[0], fitted.shared.digest)
        unit = student_unit(self.units, *parts, cohort, encoder)
        trainer = self.executor.trainer(config.student.workers, config.student.trainer)
        if trainer.waits:
            await self.executor.release(protocol)
            unit = replace(unit, needs=replace(unit.needs, cpus=0.0))
        shared = TrainingShared(fitted.model, trainer.run, trainer.name)
        entry = await self.record.do(student.run, unit, shared=shared, actor=protocol)
        await self.executor.release(protocol)
        if not entry.ok:
            return None
        model = self.executor.share(await self.record.student(protocol))
        return SharedModel(f"{unit.digest}-{entry.value['digest']}", model)

    async def _cohort(self) -> list[ScanState]:
        """Wait for the scans that teach the last round: every subject's first, then its next, and so on."""
        found: list[ScanState] = []
        for scan in over_subjects(self.scans):
            if len(found) == self.units.config.student.cohort:
                break
            if not self.intake.is_judged(scan):  # its ingest may need the CPU that the actor holds
                await self.executor.release(self.units.protocol)
            state = await self.intake.accepted(scan)
            found += [] if state is None else [state]
        return found
