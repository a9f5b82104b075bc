"""A protocol's student on the page: loss, agreement by round with its baselines, verdict; scores with truth."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from somray.report.data import ReportData, Rows
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Details,
    Gallery,
    Heading,
    Notice,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.drawing.listing import MISSING, fact, listing, number
from somray.report.figures.lesions import truth_scores
from somray.report.figures.rounds import agreement_by_round, delta_by_round, loss_curves
from somray.report.notices import NOT_ACCURACY, TRUTH

__all__ = ["account", "comparisons", "student_section", "truth_section", "truth_table", "verdict"]

MOST_ROWS_OPEN = 40
COHORT = "cohort"  # the stage of the last round, which many scans teach
UNION = 0  # the label of `truth` that stands for all labels together
AGREEMENT_COLUMNS = (
    "round", "stage", "subject", "session", "t", "z", "role", "ref", "iou", "dice", "accuracy",
    "precision", "recall", "target_fraction", "confidence",
)  # fmt: skip
TRUTH_COLUMNS = (
    "subject", "session", "method", "label", "dice", "iou", "precision", "recall", "hd95_mm",
    "surface_dice_2mm", "lesions_true", "lesions_found", "lesions_predicted", "lesion_recall",
    "lesion_precision", "false_positive_ml", "false_negative_ml", "false_positive_lesions_ml",
    "false_negative_lesions_ml",
)  # fmt: skip


def student_section(data: ReportData, protocol: str, prefix: str) -> Section:
    """Build everything about a protocol's student."""
    convergence = data.rows("convergence", protocol=protocol)
    blocks: tuple[Block, ...]
    if data.protocol(protocol).segment == "som" and not convergence:
        blocks = (Text("Nothing to show: `segment: som` asks for no student in this protocol."),)
    elif not convergence:
        blocks = (Text("Nothing to show: no round of this protocol's student is finished."),)
    else:
        blocks = (*_rounds(data, protocol, prefix, convergence),)
    return Section(f"{prefix}-student", "Student: the U-Net", blocks)


def _rounds(data: ReportData, protocol: str, prefix: str, convergence: Rows) -> Iterable[Block]:
    agreement = data.rows("agreement", protocol=protocol)
    training = data.rows("training", protocol=protocol)
    tolerance = data.protocol(protocol).student.tolerance
    yield NOT_ACCURACY
    yield verdict(convergence, tolerance)
    yield from comparisons(convergence)
    yield from account(data.student_history(protocol))
    pictures = [_agreement_picture(agreement, convergence, prefix)]
    if any(r["delta_iou"] is not None for r in convergence):
        markup = delta_by_round(convergence, tolerance, f"{prefix}-delta")
        told = (f"Change of the mean IoU from round to round (ΔIoU); the grey band is the tolerance "
                f"of ±{tolerance:g}.")  # fmt: skip
        pictures.append(Picture(markup, told, "ΔIoU by round."))
    if training:
        stages = {r["round"]: r["stage"] for r in convergence}
        markup = loss_curves(training, stages, f"{prefix}-loss")
        told = "Training loss over the epochs of each round, on a logarithmic scale."
        pictures.append(Picture(markup, told, "Loss curves."))
    else:
        yield Text("Nothing to show for the loss: the training table holds no epoch.")
    yield Gallery(tuple(pictures), "chart")
    columns = (
        "round", "stage", "mean_iou", "delta_iou", "converged", "copy_forward_iou", "control_iou",
        "collapse",
    )  # fmt: skip
    told = (
        "Agreement by round: mean IoU of the student with the teacher, beside baseline and control."
    )
    yield listing("convergence", convergence, columns, (told, "no round is finished."))
    told = "Agreement of every slice after every round, student against teacher."
    table = listing("agreement", agreement, AGREEMENT_COLUMNS, (told, "no slice was compared."))
    yield Details(f"All {len(agreement)} comparisons, slice by slice", (table,))


def _agreement_picture(agreement: Rows, convergence: Rows, prefix: str) -> Picture:
    markup = agreement_by_round(agreement, convergence, f"{prefix}-agreement")
    told = (
        "Overlap (IoU) of student and teacher by round: every slice, their mean, the teacher's mask of A "
        "simply copied, and a student given equal compute on A alone."
    )
    return Picture(markup, told, "Agreement by round.")


def verdict(convergence: Sequence[dict[str, Any]], tolerance: float) -> Notice:  # Any: plain rows
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
    size = f"ΔIoU = {delta:+.4f}".replace("-", "−")
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


def _of_slices(convergence: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:  # Any: plain rows
    """Leave the cohort's round out."""
    return [row for row in convergence if row["stage"] != COHORT]


def comparisons(convergence: Sequence[dict[str, Any]]) -> Iterable[Text]:  # Any: plain rows
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


def _beside(last: dict[str, Any], mean: float) -> list[str]:  # Any: plain rows
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
            f"({f'{gain:+.3f}'.replace('-', '−')})."
        )
    return told


def _of_cohort(row: dict[str, Any]) -> Text:  # Any: plain rows
    """Say what became of the agreement when the cohort taught."""
    if row.get("collapse"):
        return Text(f"The cohort's round was not believed: {row['collapse']}.")
    if row["mean_iou"] is None:
        return Text("Then the cohort taught it; no slice here has an IoU.")
    return Text(
        f"Then the cohort taught it, and it agrees with the SOM on these slices to a mean IoU of "
        f"{row['mean_iou']:.3f}. Where that is lower, it has left its first teacher; whether for the better "
        "only a truth can tell."
    )


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


def truth_section(data: ReportData, protocol: str, prefix: str) -> Section:
    """Show the scores against the truth, method by method, where truth was given."""
    rows = data.rows("truth", protocol=protocol)
    title = "Against the reference truth"
    if not rows:
        told = (
            "Nothing to show: no scan of this protocol names a truth mask, or none is scored yet."
        )
        return Section(f"{prefix}-truth", title, (Text(told),))
    rows = _said_once(rows)
    unions = [r for r in rows if r["label"] == UNION]
    markup = truth_scores(unions, f"{prefix}-truth-scores")
    told = (
        "Dice overlap with the union of the truth's labels, scan by scan, each method sorted by its own "
        "scores."
    )
    picture = Picture(markup, told, "Dice with the truth.")
    table = truth_table(rows, "Scores of every scan", "")
    full: Block = (
        table if len(rows) <= MOST_ROWS_OPEN else Details(f"All {len(rows)} scores", (table,))
    )
    blocks = (TRUTH, _summary(rows), Gallery((picture,), "chart"), full)
    return Section(f"{prefix}-truth", title, blocks)


def truth_table(rows: Rows, told: str, why: str) -> Table:
    """Show rows of `truth`, label 0 as the union; `why` tells why there may be none.

    A truth of a single label is shown once: its row and its union's are the same.
    """
    named = [{**r, "label": _label(r["label"])} for r in _said_once(rows)]
    told = f"{told}, each mask beside the union of the truth's labels, and beside each where there are several."
    return listing("truth", named, TRUTH_COLUMNS, (told, why))


def _said_once(rows: Rows) -> Rows:
    """Leave out labels that are the only one of their scan's truth: the union says the same."""
    labels: dict[tuple[str, str], set[int]] = {}
    for r in rows:
        labels.setdefault((r["subject"], r["session"]), {UNION}).add(r["label"])
    return [r for r in rows if r["label"] == UNION or len(labels[r["subject"], r["session"]]) > 2]


def _label(label: int) -> str:
    return "union" if label == UNION else str(label)


def _summary(rows: Rows) -> Table:
    """Sum the scores up per label and method."""
    heads = (
        Heading("label", "", "label of the truth mask, or the union of all"), Heading("method"),
        Heading("scans", "", "", True), Heading("mean Dice", "", "", True),
        Heading("median Dice", "", "", True), Heading("least Dice", "", "", True),
        Heading("mean precision", "", "", True), Heading("mean recall", "", "", True),
        Heading("median HD95", "mm", "", True),
        Heading("median surface Dice", "", "share of both surfaces within 2 mm of each other", True),
        Heading("lesions found", "", "parts of the truth that the masks touch / all parts", True),
        Heading("right", "", "predicted parts that touch the truth / all predicted parts", True),
    )  # fmt: skip
    body = []
    for label, method in sorted({(r["label"], r["method"]) for r in rows}):
        part = [r for r in rows if (r["label"], r["method"]) == (label, method)]
        body.append((
            Cell(_label(label)), Cell(method), Cell(str(len(part))),
            _over(part, "dice", "mean"), _over(part, "dice", "median"), _over(part, "dice", "min"),
            _over(part, "precision", "mean"), _over(part, "recall", "mean"),
            _over(part, "hd95_mm", "median"), _over(part, "surface_dice_2mm", "median"),
            Cell(f"{sum(r['lesions_found'] for r in part)} / {sum(r['lesions_true'] for r in part)}"),
            Cell(_right(part)),
        ))  # fmt: skip
    return Table("Scores with the truth in short; scans without a figure are left out of its mean.",
                 heads, tuple(body), "")  # fmt: skip


def _right(rows: Rows) -> str:
    """Sum up the predicted parts that touch the truth, of all predicted ones."""
    predicted = [(r["lesions_predicted"], r["lesion_precision"] or 0.0) for r in rows]
    return f"{sum(round(n * share) for n, share in predicted)} / {sum(n for n, _ in predicted)}"


def _over(rows: Rows, column: str, how: str) -> Cell:
    values = [r[column] for r in rows if r[column] is not None]
    if not values:
        return Cell(MISSING, "muted")
    summed = {"mean": np.mean(values), "median": np.median(values), "min": np.min(values)}[how]
    return Cell(number(float(summed)))
