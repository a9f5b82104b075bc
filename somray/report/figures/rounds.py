"""Charts of the student: loss over epochs, agreement with the teacher over rounds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from somray.report.drawing.style import (
    INK,
    MUTED,
    RULE,
    SERIES,
    chart,
    drawing,
    plain_text,
    to_svg,
)

__all__ = ["agreement_by_round", "delta_by_round", "loss_curves"]

ROLES = {
    "train": ("o", "trained on (teacher's mask)"),
    "pseudo": ("s", "trained on (pseudo-label)"),
    "held_out": ("^", "held out"),
}


@drawing
def loss_curves(
    rows: Sequence[dict[str, Any]],  # Any: plain table rows
    stages: Mapping[int, str],
    name: str,
) -> Markup:
    """Draw the training loss over the epochs of each round, on a logarithmic scale."""
    figure, axes = chart(5.0, 3.1)
    rounds = sorted({r["round"] for r in rows})
    ends = []
    for number, this_round in enumerate(rounds):
        part = sorted((r for r in rows if r["round"] == this_round), key=lambda r: r["epoch"])
        stage = plain_text(stages.get(this_round, "?"))
        axes.plot(
            [r["epoch"] for r in part],
            [r["loss"] for r in part],
            color=SERIES[number % len(SERIES)],
            marker="o" if len(part) < 15 else "",
            markersize=3,
            label=f"round {this_round} ({stage})",
            linestyle=("-", "--", "-.", ":")[number % 4],
        )
        ends.append(f"round {this_round} ends at {part[-1]['loss']:.3g}")
    if all(r["loss"] > 0 for r in rows):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch within the round")
    axes.set_ylabel("training loss")
    axes.grid(True, which="major")
    axes.legend(loc="best")
    return to_svg(figure, f"Training loss over epochs: {'; '.join(ends)}.", name)


@drawing
def agreement_by_round(
    agreement: Sequence[dict[str, Any]], convergence: Sequence[dict[str, Any]], name: str
) -> Markup:
    """Draw each slice's IoU with the teacher, their mean, the baseline and the control, by round."""
    figure, axes = chart(5.0, 3.4)
    rounds = [r["round"] for r in convergence]
    _slices(axes, agreement)
    _line(axes, rounds, [r["mean_iou"] for r in convergence], (INK, "-", "o"), "mean")
    _line(
        axes,
        rounds,
        [r["copy_forward_iou"] for r in convergence],
        (MUTED, ":", ""),
        "baseline: A's mask copied",
    )
    _line(
        axes,
        rounds,
        [r["control_iou"] for r in convergence],
        (SERIES[3], "--", "D"),
        "control: equal compute on A",
    )
    stages = [f"{r['round']}\n{plain_text(str(r['stage']))}" for r in convergence]
    axes.set_xticks(rounds, stages)
    axes.set_xlim(min(rounds) - 0.45, max(rounds) + 0.45)
    axes.set_ylim(top=1.004)
    axes.set_xlabel("round, slices trained on")
    axes.set_ylabel("IoU with the teacher")
    axes.grid(axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2, handlelength=2.2)
    means = ", ".join(
        f"round {r['round']} {r['mean_iou']:.3f}" for r in convergence if r["mean_iou"] is not None
    )
    alt = f"IoU of the student with its teacher by round; mean: {means or 'none'}."
    return to_svg(figure, alt, name)


def _slices(axes: Axes, agreement: Sequence[dict[str, Any]]) -> None:
    """Draw every slice as a mark, told by role, spread sideways so that none hides another."""
    for number, (role, (marker, label)) in enumerate(ROLES.items()):
        part = [r for r in agreement if r["role"] == role and r["iou"] is not None]
        if not part:
            continue
        places: dict[int, int] = {}
        xs = []
        for row in part:
            place = places[row["round"]] = places.get(row["round"], -1) + 1
            xs.append(row["round"] + 0.1 + 0.06 * number + 0.03 * (place % 3))
        axes.plot(
            xs,
            [r["iou"] for r in part],
            marker,
            color=SERIES[number],
            markersize=4.5,
            alpha=0.85,
            label=f"slice {label}",
            markeredgewidth=0,
        )


def _line(
    axes: Axes,
    rounds: Sequence[int],
    values: Sequence[float | None],
    look: tuple[str, str, str],
    label: str,
) -> None:
    known = [(r, v) for r, v in zip(rounds, values, strict=True) if v is not None]
    if known:
        colour, style, marker = look
        axes.plot(
            *zip(*known, strict=True),
            color=colour,
            linestyle=style,
            marker=marker,
            markersize=4.5,
            label=label,
        )


@drawing
def delta_by_round(convergence: Sequence[dict[str, Any]], tolerance: float, name: str) -> Markup:
    """Draw ΔIoU by round against the tolerance; a bar inside the band has converged."""
    figure, axes = chart(5.0, 3.4)
    known = [(r["round"], r["delta_iou"]) for r in convergence if r["delta_iou"] is not None]
    axes.axhspan(-tolerance, tolerance, color=RULE, label=f"tolerance ±{tolerance:g}")
    axes.axhline(0, color=MUTED, linewidth=0.9)
    for number, delta in known:
        inside = abs(delta) < tolerance
        axes.bar(number, delta, width=0.4, color=SERIES[2] if inside else SERIES[1])
        axes.annotate(
            f"{delta:+.4f}".replace("-", "−"),
            (number, delta),
            ha="center",
            fontsize=8.5,
            va="bottom" if delta >= 0 else "top",
            xytext=(0, 2 if delta >= 0 else -2),
            textcoords="offset points",
            color=INK,
        )
    rounds = [r["round"] for r in convergence]
    axes.set_xticks(rounds, [f"{r['round']}\n{plain_text(str(r['stage']))}" for r in convergence])
    axes.set_xlim(min(rounds) - 0.6, max(rounds) + 0.6)
    reach = max([tolerance * 1.5, *(abs(d) * 1.25 for _, d in known)])
    floor = min([0.0, *(d for _, d in known)])
    axes.set_ylim(-reach if floor < -tolerance else -tolerance * 1.5, reach)
    axes.set_xlabel("round, slices trained on")
    axes.set_ylabel("ΔIoU since the round before")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_axisbelow(True)
    axes.grid(axis="y")
    axes.legend(loc="best")
    told = ", ".join(f"round {n} {np.round(d, 4):+g}" for n, d in known)
    return to_svg(figure, f"Change of mean IoU by round: {told}; tolerance {tolerance:g}.", name)
