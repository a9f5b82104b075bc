"""What a student's rounds amount to, in words: verdict, comparisons, and its account of itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from somray.report.data import Row, Rows
from somray.report.drawing.blocks import Notice, Text
from somray.report.drawing.table import fact, signed

__all__ = ["account", "comparisons", "verdict"]

COHORT = "cohort"  # the stage of the last round, which many scans teach


def verdict(convergence: Rows, tolerance: float) -> Notice:
    """Say in words whether the rounds of slices have converged."""
    last = max(_of_slices(convergence), key=lambda r: r["round"])
    delta, rounds = last["delta_iou"], last["round"]
    if last.get("collapse"):
        told = f"Round {rounds} ({last['stage']}) was not believed: {last['collapse']}. The student of "
        told += f"round {rounds - 1} was kept; it may not replace the SOM."
        return Notice(told, "bad", "Collapsed.")
    if delta is None:
        told = "A single round has nothing to be compared with, so convergence cannot be judged."
        return Notice(told, "warn", "Convergence unknown.")
    size = f"ΔIoU = {signed(delta, '+.4f')}"
    if last["converged"]:
        told = (
            f"In round {rounds} ({last['stage']}) {size}, under the tolerance of {tolerance:g}: the "
            "student repeats its teacher as well as it ever will, and may replace the SOM on such slices."
        )
        return Notice(told, "good", "Converged.")
    told = (
        f"After round {rounds} ({last['stage']}) {size}, not under the tolerance of {tolerance:g}: "
        "more rounds or more steps may still change the student, which may not replace the SOM yet."
    )
    return Notice(told, "warn", "Not converged.")


def _of_slices(convergence: Rows) -> Rows:
    """Leave the cohort's round out."""
    return [row for row in convergence if row["stage"] != COHORT]


def comparisons(convergence: Rows) -> Iterable[Text]:
    """Say what the rounds of slices are worth beside baseline and control, and what the cohort's did."""
    believed = [r for r in _of_slices(convergence) if not r.get("collapse")]
    last = max(believed, key=lambda r: r["round"])
    mean = last["mean_iou"]
    if mean is None:
        yield Text("No mean IoU exists for this student: both masks are empty on every slice.")
    else:
        yield Text(" ".join(_beside(last, mean)))
    for row in convergence:
        if row["stage"] == COHORT:
            yield _of_cohort(row)


def _beside(last: Row, mean: float) -> list[str]:
    told = [f"Mean IoU with the teacher after round {last['round']}: {mean:.3f}."]
    copied, control = last["copy_forward_iou"], last["control_iou"]
    if copied is not None:
        better = "more" if mean > copied else "not more"
        told.append(
            f"Copying A's mask to every slice gives {copied:.3f}; the student is worth {better}."
        )
    if control is not None:
        gain = mean - control
        way = "helped" if gain > 0 else "did not help"
        told.append(
            f"Equal compute on A alone gives {control:.3f}, so pseudo-labels {way} here "
            f"({signed(gain, '+.3f')})."
        )
    return told


def _of_cohort(row: Row) -> Text:
    """Say what became of the agreement when the cohort taught."""
    if row.get("collapse"):
        return Text(f"The cohort's round was not believed: {row['collapse']}.")
    if row["mean_iou"] is None:
        return Text("Then the cohort taught it; no slice here has an IoU.")
    told = (
        f"Then the cohort taught it, and it agrees with the SOM on these slices to a mean IoU of "
        f"{row['mean_iou']:.3f}."
    )
    if doubt := row.get("doubt"):
        return Text(f"{told} {doubt[0].upper()}{doubt[1:]}.")
    left = "Where that is lower, it has left its first teacher; whether for the better only a truth can tell."
    return Text(f"{told} {left}")


def account(history: Mapping[str, Any]) -> Iterable[Text]:  # Any: JSON
    """Say what a student's history holds beside the rounds: what it sees, calibration, what was unusual."""
    if history.get("dimensions") == 3:
        yield Text(
            "This student sees volumes, on a coarse grid of its own; agreement is "
            "measured there, on the planes of A, B, C."
        )
    if history.get("cohort_scans"):
        yield Text(f"Scans that teach its last round: {fact(history['cohort_scans'])}.")
    before, after = (history.get(f"calibration_error_{n}") for n in ("before", "after"))
    if before is not None and after is not None:
        pixels = fact(history["calibration_pixels"])
        yield Text(
            f"Its probabilities were calibrated on {pixels} pixels that nothing was learned from: "
            f"they were off by {before:.4f} on average before, by {after:.4f} after."
        )
    if history.get("note"):
        yield Text(f"Of this training: {history['note']}.")
