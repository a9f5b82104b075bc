"""Charts of the student: loss over epochs, agreement with the teacher over rounds."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from somray.report.data import Rows
from somray.report.drawing.style import (
    INK,
    MUTED,
    RULE,
    SERIES,
    chart,
    drawing,
    label_axes,
    plain_text,
    to_svg,
)
from somray.report.drawing.table import signed

__all__ = ["agreement_by_round", "delta_by_round", "loss_curves"]

ROLES = {
    "train": ("o", "trained on (teacher's mask)"),
    "pseudo": ("s", "trained on (pseudo-label)"),
    "held_out": ("^", "held out"),
}
_LINES = (
    ("mean_iou", INK, "-", "o", "mean"),
    ("copy_forward_iou", MUTED, ":", "", "baseline: A's mask copied"),
    ("control_iou", SERIES[3], "--", "D", "control: equal compute on A"),
)
"""Column of `convergence`, its colour, line, marker and name."""


@drawing
def loss_curves(rows: Rows, stages: Mapping[int, str], name: str) -> Markup:
    """Draw the training loss over the epochs of each round, on a logarithmic scale."""
    figure, axes = chart(5.0, 3.1)
    ends = []
    for number, this_round in enumerate(sorted({r["round"] for r in rows})):
        part = sorted((r for r in rows if r["round"] == this_round), key=lambda r: r["epoch"])
        stage = plain_text(stages.get(this_round, "?"))
        axes.plot([r["epoch"] for r in part], [r["loss"] for r in part],
                  color=SERIES[number % len(SERIES)], linestyle=("-", "--", "-.", ":")[number % 4],
                  marker="o" if len(part) < 15 else "", markersize=3,
                  label=f"round {this_round} ({stage})")  # fmt: skip
        ends.append(f"round {this_round} ends at {part[-1]['loss']:.3g}")
    if all(r["loss"] > 0 for r in rows):
        axes.set_yscale("log")
    label_axes(axes, "epoch within the round", "training loss (logarithmic)", whole=True)
    axes.grid(True, which="major")
    axes.legend(loc="best")
    return to_svg(figure, f"Training loss over epochs: {'; '.join(ends)}.", name)


@drawing
def agreement_by_round(agreement: Rows, convergence: Rows, name: str) -> Markup:
    """Draw each slice's IoU with the teacher, their mean, the baseline and the control, by round."""
    figure, axes = chart(5.0, 3.4)
    _slices(axes, agreement)
    for column, colour, line, marker, label in _LINES:
        known = [(r["round"], r[column]) for r in convergence if r[column] is not None]
        if known:
            axes.plot(*zip(*known, strict=True), color=colour, linestyle=line, marker=marker,
                      markersize=4.5, label=label)  # fmt: skip
    _round_ticks(axes, convergence, 0.45)
    axes.set_ylim(top=1.004)
    label_axes(axes, "round, slices trained on", "IoU with the teacher")
    if axes.get_legend_handles_labels()[0]:  # nothing is drawn where nothing could be learned
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2, handlelength=2.2)
    means = ", ".join(
        f"round {r['round']} {r['mean_iou']:.3f}" for r in convergence if r["mean_iou"] is not None
    )
    alt = f"IoU of the student with its teacher by round; mean: {means or 'none'}."
    return to_svg(figure, alt, name)


def _slices(axes: Axes, agreement: Rows) -> None:
    """Draw every slice as a mark, told by role, spread sideways so that none hides another."""
    for number, (role, (marker, label)) in enumerate(ROLES.items()):
        part = [r for r in agreement if r["role"] == role and r["iou"] is not None]
        met: Counter[int] = Counter()
        xs = []
        for row in part:
            xs.append(row["round"] + 0.1 + 0.06 * number + 0.03 * (met[row["round"]] % 3))
            met[row["round"]] += 1
        if part:
            axes.plot(xs, [r["iou"] for r in part], marker, color=SERIES[number], markersize=4.5,
                      alpha=0.85, label=f"slice {label}", markeredgewidth=0)  # fmt: skip


def _round_ticks(axes: Axes, convergence: Rows, margin: float) -> None:
    rounds: Sequence[int] = [r["round"] for r in convergence]
    axes.set_xticks(rounds, [f"{r['round']}\n{plain_text(str(r['stage']))}" for r in convergence])
    axes.set_xlim(min(rounds) - margin, max(rounds) + margin)


@drawing
def delta_by_round(convergence: Rows, tolerance: float, name: str) -> Markup:
    """Draw ΔIoU by round against the tolerance; a bar inside the band has converged."""
    figure, axes = chart(5.0, 3.4)
    known = [(r["round"], r["delta_iou"]) for r in convergence if r["delta_iou"] is not None]
    axes.axhspan(-tolerance, tolerance, color=RULE, label=f"tolerance ±{tolerance:g}")
    axes.axhline(0, color=MUTED, linewidth=0.9)
    for number, delta in known:
        axes.bar(number, delta, width=0.4, color=SERIES[2 if abs(delta) < tolerance else 1])
        side, away = ("bottom", 2) if delta >= 0 else ("top", -2)
        axes.annotate(signed(delta, "+.4f"), (number, delta), xytext=(0, away), ha="center",
                      va=side, textcoords="offset points", fontsize=8.5, color=INK)  # fmt: skip
    _round_ticks(axes, convergence, 0.6)
    reach = max([tolerance * 1.5, *(abs(d) * 1.25 for _, d in known)])
    floor = min([0.0, *(d for _, d in known)])
    axes.set_ylim(-reach if floor < -tolerance else -tolerance * 1.5, reach)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_axisbelow(True)
    label_axes(axes, "round, slices trained on", "ΔIoU since the round before")
    axes.legend(loc="best")
    told = ", ".join(f"round {n} {np.round(d, 4):+g}" for n, d in known)
    return to_svg(figure, f"Change of mean IoU by round: {told}; tolerance {tolerance:g}.", name)
