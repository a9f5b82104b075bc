"""What a student's training is asked, where it stands between two rounds, and what it leaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.student import StudentModel
from somray.kernels.student.rounds.steps import STEPS
from somray.kernels.student.shape import NetworkShape
from somray.kernels.student.training.fit_state import FitState
from somray.kernels.student.training.schedule import ProcessGroup, TrainingSchedule
from somray.kernels.student.views import ImageViews, Window

if TYPE_CHECKING:
    from somray.kernels.student.network import UNet

__all__ = [
    "Distributed",
    "RoundState",
    "RoundsResult",
    "Row",
    "StudentSpec",
    "Weights",
    "network_of",
    "new_unet_of",
    "student_of",
]

Row = dict[str, Any]  # Any: a row's cells are strings, numbers, booleans and None
Weights = dict[str, NDArray[np.generic]]

PATCHES: Mapping[int, tuple[int, int, float]] = {2: (96, 2, 4e-2), 3: (20, 4, 1e-2)}
"""By dimension: side of a patch, patches in a step, peak rate (benchmarks/LOG.md)."""
LATER_RATE = 0.3
"""Of the peak rate, in rounds that go on from A with a few steps: at the whole one they forget A."""


@dataclass(frozen=True)
class StudentSpec:
    """What to train.

    Args:
        channels: names of the image channels.
        kinds: what each measures (`domain.channel`).
        windows: per channel (low, high) in the image's values.
        dimensions: 2 for slices, 3 for volumes.
        rounds: rounds asked for; there are never more than slices.
        tolerance: change of the mean IoU under which the rounds have converged.
        steps: optimizer steps of every round, the cohort's too; None for `STEPS`.
        threads: CPU threads; part of what fixes the bits.
        seed: decides initial weights and every draw.
        target: name of the class.
        spacing_mm: (y, x) distance of pixel centres.
        strength: of what makes patches worse (`degrade`).
    """

    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    windows: tuple[Window, ...]
    dimensions: int = 2
    rounds: int = 3
    tolerance: float = 0.002
    steps: int | None = None
    threads: int = 2
    seed: int = 0
    target: str = "lesion"
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    strength: float = 1.0

    def views(self, windows: tuple[Window, ...] | None = None) -> ImageViews:
        """Return how images are seen; `windows` where a scan has its own."""
        return ImageViews(self.kinds, windows or self.windows)

    def schedule(self, stage: int) -> TrainingSchedule:
        """Return how long and fast to train: stage 0 the first round, 1 later ones, 2 the cohort's."""
        steps = STEPS[self.dimensions][stage] if self.steps is None else self.steps
        patch, batch, rate = PATCHES[self.dimensions]
        return TrainingSchedule(steps, patch, batch, LATER_RATE * rate if stage == 1 else rate)


@dataclass(frozen=True, eq=False)
class RoundsResult:
    """What the rounds leave.

    Args:
        model: the student of the last round that did not collapse.
        agreement: a row per round and slice, as in the table but with `slice` for its place.
        convergence: a row per round, as in the table.
        training: a row per round and epoch, as in the table.
    """

    model: StudentModel
    agreement: list[Row]
    convergence: list[Row]
    training: list[Row]


@dataclass(frozen=True, eq=False)
class RoundState:
    """Where the rounds stand between two epochs: all that a resumed training needs.

    Args:
        done: rounds done.
        kept: the round whose weights are kept.
        student: weights of the kept round.
        control: weights of the control.
        agreement: rows so far.
        convergence: rows so far.
        training: rows so far.
        collapsed: rounds that collapsed.
        cohort: whether the cohort's round is over, or there is none.
        calibration: fields of the `Calibration` of what is kept; empty before round 1.
        fits: trainings of the round under way, the student's and then the control's; none between
            two rounds.
    """

    done: int
    kept: int
    student: Weights
    control: Weights
    agreement: list[Row] = field(default_factory=list)
    convergence: list[Row] = field(default_factory=list)
    training: list[Row] = field(default_factory=list)
    collapsed: tuple[int, ...] = ()
    cohort: bool = False
    calibration: Mapping[str, Any] = field(default_factory=dict)  # Any: numbers and None
    fits: tuple[FitState, ...] = ()


@dataclass(frozen=True)
class Distributed:
    """How rounds are run by several workers, or resumed.

    Args:
        group: this worker among the others, and its device.
        resume: state to go on from, None to begin.
        save: called by every worker with the new state, after each epoch and each round.
    """

    group: ProcessGroup = field(default_factory=ProcessGroup)
    resume: RoundState | None = None
    save: Callable[[RoundState], None] | None = None


def network_of(spec: StudentSpec) -> dict[str, int | float | str]:
    """Return the numbers and names that build a student's network and its views."""
    shape = NetworkShape(spec.dimensions, spec.views().count)
    return {**shape.as_numbers(), "kinds": ",".join(spec.kinds)}


def student_of(
    spec: StudentSpec, weights: Weights, history: Mapping[str, Any], temperature: float = 1.0
) -> StudentModel:
    """Join what was asked and what was learned."""
    return StudentModel(
        weights=weights,
        network=network_of(spec),
        channels=spec.channels,
        windows=spec.windows,
        spacing_mm=spec.spacing_mm,
        target=spec.target,
        history=dict(history),
        temperature=temperature,
    )


def new_unet_of(spec: StudentSpec, start: Weights | None = None) -> "UNet":
    """Build the network that a training starts from.

    Args:
        spec: what to train.
        start: weights by name to put in the place of drawn ones: all of an encoder's, which has no `out`.

    Raises:
        ShapeError: the start has weights that are not the network's, or of another shape.
    """
    from somray.kernels.student.network import new_unet, started  # torch: only here

    module = new_unet(NetworkShape.of(network_of(spec)), spec.seed)
    return module if start is None else started(module, start)
