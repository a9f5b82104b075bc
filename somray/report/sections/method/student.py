"""A protocol's student on the page: verdict, agreement by round with its baselines, loss."""

from collections.abc import Iterator

from somray.report.data import ProtocolData, Rows
from somray.report.drawing.blocks import Block, Details, Gallery, Picture, Section, Text
from somray.report.drawing.table import rows_table
from somray.report.figures.method.rounds import agreement_by_round, delta_by_round, loss_curves
from somray.report.texts.notices import NOT_ACCURACY
from somray.report.texts.student import account, comparisons, verdict

__all__ = ["student_section"]

MOST_ROWS = 200  # of comparisons
CONVERGENCE_COLUMNS = (
    "round", "stage", "mean_iou", "delta_iou", "converged", "copy_forward_iou", "control_iou",
    "collapse",
)  # fmt: skip
AGREEMENT_COLUMNS = (
    "round", "stage", "subject", "session", "t", "z", "role", "ref", "iou", "dice", "accuracy",
    "precision", "recall", "target_fraction", "confidence",
)  # fmt: skip


def student_section(protocol: ProtocolData, prefix: str) -> Section:
    """Build everything about a protocol's student."""
    convergence = protocol.rows("convergence")
    if convergence:
        blocks = tuple(_rounds(protocol, prefix, convergence))
    elif protocol.config.segment == "som":
        blocks = (Text("Nothing to show: `segment: som` asks for no student in this protocol."),)
    else:
        blocks = (Text("Nothing to show: no round of this protocol's student is finished."),)
    return Section(f"{prefix}-student", "Student: the U-Net", blocks)


def _rounds(protocol: ProtocolData, prefix: str, convergence: Rows) -> Iterator[Block]:
    agreement, training = protocol.rows("agreement"), protocol.rows("training")
    tolerance = protocol.config.student.tolerance
    yield NOT_ACCURACY
    yield verdict(convergence, tolerance)
    yield from comparisons(convergence)
    yield from account(protocol.student_history)
    if not training:
        yield Text("Nothing to show for the loss: the training table holds no epoch.")
    markup = agreement_by_round(agreement, convergence, f"{prefix}-agreement")
    told = (
        "Overlap (IoU) of student and teacher by round: every slice, their mean, the teacher's mask of A "
        "simply copied, and a student given equal compute on A alone."
    )
    pictures = [Picture(markup, told)]
    if any(r["delta_iou"] is not None for r in convergence):
        markup = delta_by_round(convergence, tolerance, f"{prefix}-delta")
        told = (
            "Change of the mean IoU from round to round (ΔIoU); the grey band is the tolerance of "
            f"±{tolerance:g}, bars inside it are green."
        )
        pictures.append(Picture(markup, told))
    if training:
        stages = {r["round"]: r["stage"] for r in convergence}
        markup = loss_curves(training, stages, f"{prefix}-loss")
        told = "Training loss over the epochs of each round, on a logarithmic scale."
        pictures.append(Picture(markup, told))
    yield Gallery(tuple(pictures), "chart")
    told = (
        "Agreement by round: mean IoU of the student with the teacher, beside baseline and control."
    )
    why = "no round is finished."
    columns = [c for c in CONVERGENCE_COLUMNS if any(r[c] is not None for r in convergence)]
    yield rows_table("convergence", convergence, columns, told, why)
    told = "Agreement of every slice after every round, student against teacher."
    title = f"All {len(agreement)} comparisons, slice by slice"
    if len(agreement) > MOST_ROWS:
        worst = sorted(range(len(agreement)), key=lambda n: (agreement[n]["iou"] or 0.0, n))
        agreement = [agreement[n] for n in sorted(worst[:MOST_ROWS])]
        told = f"The {MOST_ROWS} comparisons that agree least, slice by slice; all stand in tables/agreement."
        title = told[:-1]
    columns = [c for c in AGREEMENT_COLUMNS if any(r.get(c) not in (None, 0) for r in agreement)]
    table = rows_table("agreement", agreement, columns, told, "no slice was compared.")
    yield Details(title, (table,))
