"""Pretraining: a backbone learns what lies under masked blocks of unlabelled images.

The loop is the student's (`student.training.loop`): epochs from state to state, one cycle, averaged weights. An
epoch sees a few pieces, which the seed chooses; each worker sees others. With `nodes2` a second iteration begins
from fresh weights, so that what it learned in as many steps can be held against every other target, and is asked
for nodes of the first encoder's own planes.

What is left is the backbone alone, its normalisations with the statistics of images without masks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.encoder import EncoderModel
from somray.errors import ShapeError
from somray.kernels.pretrain.lessons import MaskedLessons
from somray.kernels.pretrain.masking import MaskedReader
from somray.kernels.pretrain.networks.backbone import Backbone, build_backbone, new_backbone
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.patches import PatchSampler
from somray.kernels.pretrain.piece import PieceSource
from somray.kernels.pretrain.prepare import first_of, grey_centers, own_nodes, settle_statistics
from somray.kernels.pretrain.spec import TARGETS, PretrainSpec
from somray.kernels.pretrain.state import PretrainGang, PretrainResult, PretrainState
from somray.kernels.pretrain.targets import (
    ClusterTarget,
    FeatureTarget,
    NodeTarget,
    OwnTarget,
    PixelTarget,
    Question,
)
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import unet_weights
from somray.kernels.student.training.fit_state import FitState
from somray.kernels.student.training.loop import TrainingCourse, train_course
from somray.kernels.student.training.schedule import ProcessGroup, TrainingHooks, TrainingSchedule

__all__ = ["iterations_of", "pretrain"]

RATES: Mapping[str, Mapping[int, float]] = {
    "unet": {2: 4e-2, 3: 1e-2},
    "vit": {2: 2e-2, 3: 2e-2},
    "resenc": {2: 4e-2, 3: 3e-2},
}
"""Peak rate by kind and dimensions (benchmarks/LOG.md)."""
EPOCH_STEPS = 25
Arrays = Mapping[str, NDArray[np.generic]]


def pretrain(
    source: PieceSource, spec: PretrainSpec, gang: PretrainGang | None = None
) -> PretrainResult:
    """Pretrain an encoder.

    Args:
        source: images, and what is told of their pixels.
        spec: what to pretrain, and for what.
        gang: the other workers, a clock, and where to go on; alone and from the start without.

    Raises:
        ShapeError: spec and pieces do not fit, or there is nothing to learn from.

    Cost: memory of `patches.POOL_BYTES` for pieces, beside the network's own.
    """
    run = _Pretraining(source, checked(spec), gang or PretrainGang())
    with deterministic(spec.threads):
        state = run.gang.resume or PretrainState()
        while True:
            state = run.iterate(state)
            backbone = run.backbone(state)
            if state.iteration == iterations_of(spec):
                break
            state = run.turned(state, backbone)
    return PretrainResult(run.model(state, backbone), [*state.rows, *run.rows(state)])


def iterations_of(spec: PretrainSpec) -> int:
    """Return how many trainings there are one after the other."""
    return 2 if spec.target == "nodes2" else 1


def checked(spec: PretrainSpec) -> PretrainSpec:
    """Return a spec that can be done.

    Raises:
        ShapeError: it cannot.
    """
    needs_nodes = spec.target in ("nodes", "shuffled", "nodes2", "kmeans")
    if spec.target not in TARGETS:
        raise ShapeError(f"target must be one of {TARGETS}, got {spec.target!r}")
    if needs_nodes and (not spec.classes or min(spec.classes) < 2):
        raise ShapeError(
            f"target {spec.target!r} needs codebooks of two nodes or more, got {spec.classes}"
        )
    if spec.target == "features" and spec.features < 1:
        raise ShapeError("target 'features' needs pieces with features")
    if spec.dimensions not in (2, 3) or spec.patch < 2 * spec.block or spec.patch % spec.block:
        raise ShapeError(
            f"a patch of a slice or volume must be two whole blocks or more a side, got "
            f"{spec.dimensions} dimensions, patch {spec.patch}, block {spec.block}"
        )
    if min(spec.steps, spec.batch, spec.block) < 1:
        raise ShapeError(f"steps, batch and block must be 1 or more, got {spec}")
    return spec


@dataclass(frozen=True, eq=False)
class _Pretraining:
    """One pretraining: what it learns from, what is asked, who takes part."""

    source: PieceSource
    spec: PretrainSpec
    gang: PretrainGang

    @property
    def group(self) -> ProcessGroup:
        """The workers."""
        return self.gang.group

    @property
    def network(self) -> dict[str, int | float | str]:
        """What builds the network."""
        return network_of_spec(self.spec)

    def seed(self, iteration: int) -> tuple[int, ...]:
        """Return what decides an iteration's draws."""
        return self.spec.seed, iteration

    def iterate(self, state: PretrainState) -> PretrainState:
        """Train one iteration, or what is left of it."""
        spec, group = self.spec, self.group
        threads = 1 if group.device == "cpu" else spec.threads  # there torch computes with them
        sampler = PatchSampler(self.source, spec, threads)
        if not state.prepared and spec.target == "kmeans":
            found = grey_centers(sampler, self.seed(1), spec.classes[0])
            state = replace(state, prepared=first_of(found, group))
        target = self._target(state)
        backbone = new_backbone(self.network, spec.seed + state.iteration - 1)
        reader = MaskedReader(backbone, target.heads, spec.seed).to(group.device)
        lessons = MaskedLessons(reader, target, sampler, spec, group)
        seed, save = self.seed(state.iteration), self.gang.save

        def saved(fit: FitState) -> None:
            if save is not None:
                save(replace(state, fit=fit))

        course = TrainingCourse(
            reader,
            self._schedule(),
            begin=lambda epoch: lessons.begin((*seed, epoch, group.rank)),
            loss=lessons.loss,
            group=group,
            hooks=TrainingHooks(self.gang.clock, None, state.fit, saved),
            facts=lessons.facts,
        )
        fit = train_course(course, flat=spec.dimensions == 2)
        lessons.finish()
        return replace(state, fit=fit)

    def _schedule(self) -> TrainingSchedule:
        spec = self.spec
        rate = RATES[spec.encoder][spec.dimensions]
        return TrainingSchedule(spec.steps, spec.patch, spec.batch, rate, EPOCH_STEPS)

    def _target(self, state: PretrainState) -> Question:
        """Return what is asked in an iteration."""
        spec = self.spec
        if spec.target == "kmeans":
            return ClusterTarget(np.asarray(state.prepared["centers"], dtype=np.float32))
        if spec.target == "features":
            return FeatureTarget((spec.features,))
        if spec.target == "pixels":
            return PixelTarget((spec.views().count,), spec.block)
        if spec.target == "nodes2" and state.iteration == 2:
            mean, deviation, nodes = (
                np.asarray(state.prepared[name], dtype=np.float32)
                for name in ("mean", "deviation", "nodes")
            )
            first = build_backbone(self.network, state.first).to(self.group.device)
            return OwnTarget(first, mean, deviation, nodes, self.group.device)
        return NodeTarget(spec.classes, shuffled=spec.target == "shuffled")

    def backbone(self, state: PretrainState) -> Backbone:
        """Build what an iteration left, for images without masks."""
        assert state.fit is not None  # `iterate` has been done
        weights = _without({**state.fit.weights, **state.fit.averaged}, "backbone.")
        found = build_backbone(self.network, weights).to(self.group.device)
        sampler = PatchSampler(self.source, self.spec)
        settle_statistics(found, sampler, self.seed(state.iteration), self.group)
        return found

    def turned(self, state: PretrainState, backbone: Backbone) -> PretrainState:
        """Return the state before the second iteration."""
        sampler, group = PatchSampler(self.source, self.spec), self.group
        count = self.spec.classes[0]
        found = own_nodes(backbone, sampler, self.seed(2), count, group.device)
        rows = tuple(self.rows(state))
        return PretrainState(2, first_of(found, group), unet_weights(backbone), None, rows)

    def rows(self, state: PretrainState) -> list[dict[str, Any]]:
        """Return an iteration's rows."""
        held = () if state.fit is None else state.fit.rows
        return [{"iteration": state.iteration, **row} for row in held]

    def model(self, state: PretrainState, backbone: Backbone) -> EncoderModel:
        """Join what was asked and what was learned."""
        spec, last = self.spec, self.rows(state)[-1]
        return EncoderModel(
            weights=unet_weights(backbone),
            network=self.network,
            channels=spec.channels,
            kinds=spec.kinds,
            windows=spec.windows,
            spacing_mm=spec.spacing_mm,
            target=spec.target,
            history={
                "steps": spec.steps,
                "iterations": state.iteration,
                "batch": spec.batch,
                "patch": spec.patch,
                "block": spec.block,
                "masked": spec.masked,
                "seed": spec.seed,
                "pieces": len(self.source),
                "data": self.source.digest(),
                "last_loss": last["loss"],
                "last_accuracy": last["accuracy"],
            },
        )


def _without(weights: Arrays, prefix: str) -> dict[str, NDArray[np.generic]]:
    """Return the weights under a prefix, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in weights.items()
        if name.startswith(prefix)
    }
