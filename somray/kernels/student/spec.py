"""What a student's training is asked, where it stands between two rounds, and what it leaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.student import StudentModel
from somray.kernels.student.centroids import Centroids
from somray.kernels.student.course import Gang
from somray.kernels.student.fit_state import FitState

__all__ = ["Distributed", "RoundState", "RoundsResult", "Row", "StudentSpec", "Weights"]

Row = dict[str, Any]  # Any: a row's cells are strings, numbers, booleans and None
Weights = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class StudentSpec:
    """What to train.

    Args:
        channels: names of the image channels.
        windows: per channel (low, high) in the image's values.
        feature_names: features of every channel that the network eats; empty for raw channels.
        rounds: rounds asked for; there are never more than slices.
        tolerance: change of the mean IoU under which the rounds have converged.
        steps: optimizer steps on patches per round.
        threads: CPU threads; part of what fixes the bits.
        seed: decides initial weights and every draw.
        target: name of the class.
        spacing_mm: (y, x) distance of pixel centres.
        neighbours: slices seen on either side of each; every lesson brings them with it.
        start: the teacher's centroids to start from; None to learn prototypes from labels alone.
        classes: label values of several classes that are learned at once, in order; empty for the
            target alone.
        target_value: the target's among them.
        labels: what is learned of A: "mask", "soft" (membership) or "classes".
        vote_mm: radius of the vote over the class map, where there are no centroids to tell it.
    """

    channels: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]
    feature_names: tuple[str, ...]
    rounds: int = 3
    tolerance: float = 0.002
    steps: int = 60
    threads: int = 2
    seed: int = 0
    target: str = "lesion"
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    neighbours: int = 0
    start: Centroids | None = None
    classes: tuple[int, ...] = ()
    target_value: int = 0
    labels: str = "mask"
    vote_mm: float = 0.0

    @property
    def target_place(self) -> int:
        """Place of the target among the classes; 0, beside the rest, without them."""
        return self.classes.index(self.target_value) if self.classes else 0


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
        calibration: fields of the `Calibration` that round 1 left; empty before.
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
    calibration: Mapping[str, Any] = field(default_factory=dict)  # Any: numbers and None
    fits: tuple[FitState, ...] = ()


@dataclass(frozen=True)
class Distributed:
    """How rounds are run by several workers, or resumed.

    Args:
        gang: this worker among the others, and its device.
        resume: state to go on from, None to begin.
        save: called by every worker with the new state, after each epoch and each round.
    """

    gang: Gang = field(default_factory=Gang)
    resume: RoundState | None = None
    save: Callable[[RoundState], None] | None = None
