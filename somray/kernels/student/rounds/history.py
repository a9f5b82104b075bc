"""What a training says of itself in plain words and numbers, for `model.json` and the report."""

from collections.abc import Sequence

from somray.kernels.student.rounds.figures import COHORT
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.spec import RoundState, Row, StudentSpec
from somray.kernels.student.training.calibration import Calibration

__all__ = ["History", "history_of", "verdict_of"]

History = dict[str, float | int | str | bool | None]


def history_of(
    state: RoundState, spec: StudentSpec, slices: Sequence[Lesson], calibration: Calibration
) -> History:
    """Say how the rounds went.

    Args:
        state: after the last round.
        spec: what was asked.
        slices: A, B, C …
        calibration: of the student that is kept.
    """
    rounds = [row for row in state.convergence if row["stage"] != COHORT]
    return {
        "dimensions": spec.dimensions,
        "rounds_asked": spec.rounds,
        "rounds_done": state.done,
        "kept_round": state.kept,
        "converged": bool(rounds[-1]["converged"]),
        "collapsed": bool(state.collapsed),
        "verdict": _verdict(state, spec, slices[0]),
        "calibration_pixels": calibration.pixels,
        "calibration_error_before": calibration.error_before,
        "calibration_error_after": calibration.error_after,
        "note": "; ".join(_notes(state, spec, slices, calibration)),
    }


def _notes(
    state: RoundState, spec: StudentSpec, slices: Sequence[Lesson], calibration: Calibration
) -> list[str]:
    notes = []
    if not slices[0].has_both_sides:
        done = (
            "a constant student" if _is_constant(state, slices[0]) else "the cohort alone teaches"
        )
        notes.append(f"the target {_one_side(slices[0])} the labelled slice: {done}")
    elif len(slices) < spec.rounds:
        notes.append(f"{spec.rounds} rounds asked, {len(slices)} slices: as many rounds")
    for number in state.collapsed:
        why = state.convergence[number - 1]["collapse"]
        notes.append(f"collapsed in round {number} ({why}): the student before it was kept")
    if not calibration.pixels and not _is_constant(state, slices[0]):
        reason = "one round" if state.done == 1 else "too few pixels to hold out"
        notes.append(f"{reason}: probabilities are not calibrated")
    return notes


def _is_constant(state: RoundState, first: Lesson) -> bool:
    """Tell whether nothing was learned from A, and nothing that was kept from the cohort."""
    return not first.has_both_sides and state.kept == 1


def _one_side(first: Lesson) -> str:
    return "fills" if first.mask.any() else "is absent from"


def _verdict(state: RoundState, spec: StudentSpec, first: Lesson) -> str:
    if _is_constant(state, first):
        side = _one_side(first)
        return f"the target {side} the labelled slice: the student must not replace the SOM"
    return verdict_of(state.convergence, spec.tolerance)


def verdict_of(convergence: Sequence[Row], tolerance: float) -> str:
    """Say whether the rounds of slices have come to rest, and what the cohort's round did after them.

    Args:
        convergence: rows of the rounds, the last one last.
        tolerance: change of the mean IoU under which they have.
    """
    rounds = [row for row in convergence if row["stage"] != COHORT]
    told = _of_slices(rounds[-1], tolerance)
    for row in convergence:
        if row["stage"] == COHORT and row["collapse"]:
            told += "; the cohort's round collapsed and was dropped"
        elif row["stage"] == COHORT and row["mean_iou"] is not None:
            told += (
                f"; taught by the cohort, it agrees with the SOM on these slices to a mean IoU of "
                f"{row['mean_iou']:.3f}"
            )
            told += f" ({row['doubt']})" if row.get("doubt") else ""
    return told


def _of_slices(last: Row, tolerance: float) -> str:
    mean, delta, number = last["mean_iou"], last["delta_iou"], last["round"]
    if last["collapse"]:
        return f"round {number} collapsed: the student may not replace the SOM"
    if delta is None:
        reason = "one round has nothing to be compared with" if number == 1 else "no IoU exists"
        return f"{reason}, so convergence cannot be judged: the student may not replace the SOM yet"
    told = f"ΔIoU {delta:+.4f} in round {number}"
    if last["converged"]:
        return (
            f"converged, {told} within ±{tolerance:g}: the student may replace the SOM, at a mean "
            f"IoU of {mean:.3f} with it"
        )
    return f"not converged, {told} beyond ±{tolerance:g}: the student may not replace the SOM yet"
