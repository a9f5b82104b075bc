"""How a round is measured: the student's masks against the teacher's, slice by slice."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.metrics import agreement
from somray.kernels.student.inputs import student_inputs
from somray.kernels.student.spec import Row, StudentSpec

__all__ = ["TrainingSlices", "agreement_rows", "mean_iou", "prepare_slices", "stage_name"]

LETTERS = 26


@dataclass(frozen=True, eq=False)
class TrainingSlices:
    """Slices A, B, C … as the network sees them.

    Args:
        stacks: (n, d, y, x) float32 inputs, NaN where there is no data.
        teacher: (n, y, x) bool, the teacher's target where a pixel counts.
        known: (n, y, x) bool, where a pixel has data and counts.
    """

    stacks: NDArray[np.float32]
    teacher: NDArray[np.bool_]
    known: NDArray[np.bool_]

    @property
    def has_both_sides(self) -> bool:
        """Whether the labelled slice shows target and something else."""
        inside = self.teacher[0][self.known[0]]
        return bool(inside.any() and not inside.all())


def prepare_slices(
    images: NDArray[np.float32],
    teacher: NDArray[np.bool_],
    valid: NDArray[np.bool_],
    spec: StudentSpec,
) -> TrainingSlices:
    """Check the arrays that `train_rounds` is given and compute the network's inputs.

    Raises:
        ShapeError: arrays or spec do not fit each other, or the first slice has no pixel that counts.
    """
    if images.ndim != 4 or images.shape[1] != len(spec.channels):
        raise ShapeError(f"images must be (n, {len(spec.channels)}, y, x), got {images.shape}")
    shape = (len(images), *images.shape[2:])
    if teacher.shape != shape or valid.shape != shape:
        raise ShapeError(
            f"teacher and valid must be {shape}, got {teacher.shape} and {valid.shape}"
        )
    if min(spec.rounds, spec.steps, spec.threads) < 1:
        raise ShapeError(
            "rounds, steps and threads must be positive, got "
            f"{spec.rounds}, {spec.steps}, {spec.threads}"
        )
    known = valid & ~np.isnan(images).any(axis=1)
    if not known[:1].any():
        raise ShapeError("the labelled slice (the first one) has no pixel that counts")
    stacks = [student_inputs(i, spec.windows, spec.feature_names, spec.spacing_mm) for i in images]
    return TrainingSlices(np.stack(stacks), teacher & known, known)


def stage_name(count: int) -> str:
    """Return the slices trained on as the tables name them: A, A+B, A+B+C; after Z come S27, S28."""
    names = [chr(ord("A") + n) if n < LETTERS else f"S{n + 1}" for n in range(count)]
    return "+".join(names)


def agreement_rows(number: int, masks: NDArray[np.bool_], slices: TrainingSlices) -> list[Row]:
    """Measure every slice after round `number`; one without a pixel that counts has no row."""
    rows = []
    for index, known in enumerate(slices.known):
        if known.any():
            role = "train" if index == 0 else "pseudo" if index < number else "held_out"
            place = {"round": number, "stage": stage_name(number), "slice": index, "role": role}
            figures = agreement(masks[index][known], slices.teacher[index][known])
            rows.append({**place, "ref": "som_teacher", **figures})
    return rows


def mean_iou(masks: NDArray[np.bool_], slices: TrainingSlices, count: int) -> float | None:
    """Return the mean IoU with the teacher over the first slices; None where none has an IoU."""
    found = [
        agreement(masks[n][slices.known[n]], slices.teacher[n][slices.known[n]])["iou"]
        for n in range(count)
    ]
    figures = [iou for iou in found if iou is not None]
    return math.fsum(figures) / len(figures) if figures else None
