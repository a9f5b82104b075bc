"""Units of work as the chains ask for them: names, digests, needs.

Names join their parts with "+", which no subject, session or protocol may hold, so they cannot collide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from somray.config import CohortConfig, ProtocolConfig
from somray.domain.brick import Brick
from somray.domain.channel import Channel, channels_of
from somray.domain.scan import Scan
from somray.domain.work import Needs, Unit, digest_of
from somray.kernels.objects.scan_rule import ScanRule, rule_for
from somray.kernels.teacher.spec import TeacherSpec
from somray.pipeline.digests import code_digest, ingest_digest, ingest_recipe
from somray.pipeline.units.scan_state import (
    SLICE_PIXELS,
    ScanState,
    brick_name,
    scan_name,
    subject_name,
)
from somray.stages import drift, ingest, truth
from somray.stages.evolution import evolve
from somray.stages.segment import labels
from somray.stages.segment.rows import BrickItem
from somray.stages.segment.scales import Scales, scales_for
from somray.stages.segment.som import needs_som
from somray.stages.segment.student import needs_student
from somray.stages.student.lessons import sees_volumes
from somray.stages.student.volumes import VOLUME_MM
from somray.stages.teacher import fit as teacher

__all__ = ["Seen", "Units", "ingest_item"]


@dataclass(frozen=True)
class Seen:
    """How a scan's pixels are looked at: windows, the target's label, and what was measured of slices that are cut."""

    windows: tuple[tuple[float, float], ...]
    value: int
    scales: Scales = field(default_factory=dict, repr=False)


def ingest_item(root: str, scan: Scan, config: ProtocolConfig) -> ingest.IngestItem:
    """Say what a protocol asks of a scan on its way into a run at `root`."""
    return ingest.IngestItem.of(root, scan, config, ingest_recipe(scan, config))


@dataclass(frozen=True)
class Units:
    """Makes the units of one protocol of a run at `root`."""

    root: str
    protocol: str
    cohort: CohortConfig

    @property
    def config(self) -> ProtocolConfig:
        """The protocol's configuration."""
        return self.cohort.protocols[self.protocol]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The protocol's channels and what they measure."""
        return channels_of(self.config.modality, self.config.channels)

    def unit(
        self,
        stage: str,
        name: str,
        item: Any,
        needs: Needs,
        inputs: Sequence[object],
        *,
        of: Scan | str | None,
        work: float = 0.0,
        written: int = 0,
    ) -> Unit:
        """Name a unit of this protocol.

        Args:
            stage: a key of `STAGES`.
            name: unique within the stage.
            item: what its function takes.
            needs: resources.
            inputs: what decides its result beside the code; its digest holds all of it.
            of: the scan, or the subject, that a failure of it is told of; None where it is nobody's.
            work: in the stage's measure.
            written: bytes that it writes.
        """
        return Unit(
            stage=stage,
            name=name,
            protocol=self.protocol,
            digest=digest_of(stage, name, code_digest(stage), *inputs),
            item=item,
            needs=needs,
            subject=of.subject if isinstance(of, Scan) else of,
            session=of.session if isinstance(of, Scan) else None,
            work=work,
            written=written,
        )

    def ingest(self, scan: Scan) -> Unit:
        """Source files to OME-Zarr, or its opening; see `units.ingest`."""
        item = replace(ingest_item(self.root, scan, self.config), in_parts=True)
        return Unit(
            stage="ingest",
            name=scan_name(scan),
            protocol=self.protocol,
            digest=ingest_digest(scan, self.config),
            item=item,
            needs=ingest.needs(),
            subject=scan.subject,
            session=scan.session,
        )

    def teacher(
        self,
        chosen: Sequence[tuple[ScanState, tuple[int, ...] | None]],
        previous: str | None = None,
        passed: Sequence[str] = (),
    ) -> Unit:
        """Fit the SOM on the chosen scans and slices.

        Args:
            chosen: with None where slices are not named.
            previous: names an earlier model's content.
            passed: of scans before it that could teach nothing, in words.
        """
        settings = self.config.teacher
        overrule = settings.classes
        spec = TeacherSpec(
            modality=self.config.modality,
            channels=tuple(self.config.channels),
            windows=self.config.windows,
            features=settings.feature_names,
            grid=settings.grid,
            epochs=settings.epochs,
            engine=settings.engine,
            seed=self.cohort.seed,
            target=settings.target,
            classes=None if isinstance(overrule, str) else overrule,
            topology=settings.topology,
            torus=settings.torus,
            dimensions=settings.dimensions,
            smoothing_mm=settings.smoothing_mm,
            refit=settings.refit,
            denoise=settings.denoise,
        )
        scans = tuple(teacher.ReferenceScan(s.place, slices, s.level) for s, slices in chosen)
        item = teacher.TeacherItem(
            self.protocol, spec, scans, settings.every, settings.previous,
            is_cut=any(state.is_cut for state, _ in chosen), passed=tuple(passed),
        )  # fmt: skip
        slice_bytes = max(state.tile_bytes for state, _ in chosen)
        held = 1 if item.folds else len(chosen[0][1] or (0,))
        cpus = 1 if self.config.segment == "som" else self.config.student.threads
        needs = teacher.needs(slice_bytes, held, cpus, settings.dimensions)
        if settings.engine == "torch":
            needs = replace(needs, gpus=1.0)
        sources = [[state.source_digest, slices] for state, slices in chosen]
        inputs = [sources, spec, settings.every, previous, *passed]
        scan, passes = chosen[0][0].scan, settings.epochs + 3 if item.folds else 2
        work = passes * sum(state.shape[1] * state.slices() for state, _ in chosen)
        name = f"{self.protocol}+{scan_name(scan)}" if passed else self.protocol
        return self.unit("teacher", name, item, needs, inputs, of=scan, work=work)

    def missing_reference(self, passed: Sequence[str] = ()) -> Unit:
        """Tell that no scan that the configuration names as reference can be used, or that none can teach."""
        named = tuple(f"{n.subject} {n.session}" for n in self.config.teacher.named)
        item = teacher.MissingReference(named, tuple(passed))
        name = f"{self.protocol}+none" if passed else self.protocol
        return self.unit("teacher", name, item, Needs(cpus=0.1), [named, *passed], of=None)

    @property
    def volume_rule(self) -> ScanRule | None:
        """The rule whose grid a student of volumes sees; None where it sees slices."""
        rule = rule_for(self.config.modality, tuple(self.config.channels))
        return rule if sees_volumes(rule) else None

    def student_voxels(self, state: ScanState) -> int:
        """Voxels of the coarse grid that the student sees a scan on; 0 where it sees slices."""
        return 0 if self.volume_rule is None else state.grid_voxels(VOLUME_MM)

    def label_groups(self, label: str) -> tuple[str, ...]:
        """List the label groups that a method writes together, its own first."""
        if label == "student" and self.config.student.confidence:
            return label, labels.CONFIDENCE
        return (label,)

    def label_group(
        self, stage: str, state: ScanState, item: labels.LabelItem, model_digest: str
    ) -> Unit:
        """Make an empty label group (open), or name its classes and mark it complete (close)."""
        name, inputs = f"{state.name}+{item.label}", (state.source_digest, model_digest)
        return self.unit(stage, name, item, Needs(cpus=0.1), inputs, of=state.scan)

    def slabs(self, state: ScanState, label: str) -> list[Brick]:
        """List what one unit segments each: a brick, or a time point for a student of volumes."""
        if label == "student" and self.volume_rule is not None:
            plane, depth = (state.shape[3], state.shape[4]), state.shape[2]
            return [Brick.of_slices(t, 0, depth, plane) for t in range(state.shape[0])]
        return state.bricks()

    def slab(
        self, state: ScanState, label: str, where: Brick, model_digest: str, seen: Seen
    ) -> Unit:
        """Segment one slab by direct transfer (som) or the student."""
        target, settings, by_map = self.config.teacher.target, self.config.student, label == "som"
        item = BrickItem(
            state.place, target, where, state.level, seen.windows, value=seen.value
        )  # fmt: skip
        sizes, gpus = (state.slab_bytes, state.tile_bytes), self.cohort.resources.segment_gpus
        if by_map:
            sizes, dimensions = (state.slab_bytes, state.tile_bytes), self.config.teacher.dimensions
            needs = needs_som(*sizes, dimensions)
            if state.is_cut:
                span, depth = (where.z0, where.z1), state.shape[2]
                scales = scales_for(seen.scales, where.t, span, depth, dimensions)
                item = replace(item, scales=scales)
        else:
            item = replace(item, confidence=settings.confidence, gpu=gpus > 0)
            needs = needs_student(*sizes, gpus, self.student_voxels(state))
        slices = where.voxels / SLICE_PIXELS
        return self.unit(
            "som" if by_map else "segment",
            f"{state.name}+{label}+{brick_name(where, is_cut=state.is_cut)}",
            item,
            needs,
            [state.source_digest, model_digest, target],
            of=state.scan,
            work=slices * (state.shape[1] if by_map else 1),
            written=round(slices * SLICE_PIXELS) * len(self.label_groups(label)),
        )

    def drift(
        self, state: ScanState, signatures: Sequence[Mapping[str, Any]], model_digest: str
    ) -> Unit:
        """Judge how well the teacher carries over to a scan."""
        item = drift.DriftItem(state.place, tuple(signatures), state.level)
        inputs = state.source_digest, model_digest
        return self.unit("drift", state.name, item, drift.NEEDS, inputs, of=state.scan)

    def evolve(
        self, item: evolve.EvolveItem, states: list[ScanState], lesion_voxels: int, model: str
    ) -> Unit:
        """Follow the lesions of one subject."""
        lesions = evolve.expected_lesions(item, lesion_voxels)
        thickness = item.config.local_thickness
        needs = evolve.needs(max(s.slab_bytes for s in states), lesions, thickness=thickness)
        settings = [item.method, item.value, item.channel, item.config.model_dump(mode="json")]
        settings += [[s.objects for s in item.sessions], item.follows_missing]
        sources = [s.source_digest for s in states], [s.to_first for s in item.sessions]
        subject, work = states[0].scan.subject, sum(state.slices() for state in states)
        name, inputs = subject_name(subject), [sources, settings, model]
        unit = self.unit("evolve", name, item, needs, inputs, of=subject, work=work)
        return replace(unit, written=sum(4 * state.voxels for state in states))

    def publish(self, state: ScanState, names: tuple[str, ...], model_digest: str) -> Unit:
        """List the complete labels of a scan."""
        item = labels.PublishItem(state.place, names)
        needs = Needs(cpus=0.1)
        inputs = [state.source_digest, names, model_digest]
        return self.unit("publish", state.name, item, needs, inputs, of=state.scan)

    def truth(
        self,
        state: ScanState,
        methods: tuple[truth.TruthMethod, ...],
        inputs: object,
        part: str = "",
    ) -> Unit:
        """Compare with the truth mask; `part` names a unit of its own beside the scan's first."""
        path, source = str(state.scan.truth), state.scan.paths[0]
        item = truth.TruthItem(state.place, path, methods, source, tells=not part)
        needs = truth.needs(state.shape)
        name = f"{state.name}+{part}" if part else state.name
        work = len(methods) * state.slices(state.shape[2])
        found = [state.source_digest, inputs, methods]
        return self.unit("truth", name, item, needs, found, of=state.scan, work=work)
