"""What a training says of itself in plain words and numbers, for `model.json` and the report."""

from collections.abc import Sequence

from somray.kernels.student.calibration import Calibration
from somray.kernels.student.spec import RoundState, Row, StudentSpec

__all__ = ["History", "constant_history", "history_of", "verdict_of"]

History = dict[str, float | int | str | bool | None]


def history_of(
    state: RoundState, spec: StudentSpec, slices: int, calibration: Calibration
) -> History:
    """Say how the rounds went.

    Args:
        state: after the last round.
        spec: what was asked.
        slices: that there were.
        calibration: of the student that is kept.
    """
    notes = []
    if slices < spec.rounds:
        notes.append(f"{spec.rounds} rounds asked, {slices} slices: as many rounds")
    if state.collapsed:
        notes.append(
            f"collapsed in round {state.collapsed[-1]} ({state.convergence[-1]['collapse']}): stopped, "
            f"the student of round {state.kept} is kept"
        )
    if not calibration.pixels:
        reason = "one round" if min(spec.rounds, slices) == 1 else "too few pixels to hold out"
        notes.append(f"{reason}: probabilities are not calibrated")
    return {
        "start": "centroids" if spec.start else "labels",
        "rounds_asked": spec.rounds,
        "rounds_done": state.done,
        "kept_round": state.kept,
        "converged": bool(state.convergence[-1]["converged"]),
        "collapsed": bool(state.collapsed),
        "verdict": verdict_of(state.convergence, spec.tolerance),
        "calibration_pixels": calibration.pixels,
        "calibration_error_before": calibration.error_before,
        "calibration_error_after": calibration.error_after,
        "note": "; ".join(notes),
    }


def constant_history(spec: StudentSpec, *, inside: bool) -> History:
    """Say why nothing was trained: the labelled slice shows one side only."""
    what = "fills" if inside else "is absent from"
    return {
        "rounds_asked": spec.rounds,
        "rounds_done": 1,
        "kept_round": 1,
        "converged": False,
        "collapsed": False,
        "verdict": f"the target {what} the labelled slice: the student must not replace the SOM",
        "calibration_pixels": 0,
        "calibration_error_before": None,
        "calibration_error_after": None,
        "note": f"the target {what} the labelled slice: a constant student, nothing was trained",
    }


def verdict_of(convergence: Sequence[Row], tolerance: float) -> str:
    """Say whether the student may replace the SOM: the change of the mean IoU has come to rest.

    Args:
        convergence: rows of the rounds, the last one last.
        tolerance: change under which it has.
    """
    last = convergence[-1]
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
