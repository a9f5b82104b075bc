"""Charts of an encoder: its loss under masks, and what segmenters that start from it reach on scans held out."""

import numpy as np
from markupsafe import Markup

from somray.report.data import Rows
from somray.report.drawing.style import INK, MUTED, SERIES, chart, drawing, label_axes, to_svg

__all__ = ["ARM_NAMES", "dice_by_arm", "loss_under_masks"]

ARM_NAMES = {"pretrained": "from the encoder", "scratch": "from scratch", "label_free": "no label"}
"""Arms of the table `finetune` as a page calls them, in order."""


@drawing
def loss_under_masks(rows: Rows, name: str) -> Markup:
    """Draw the loss of each iteration's epochs."""
    figure, axes = chart(5.0, 3.1)
    ends = []
    for number, iteration in enumerate(sorted({r["iteration"] for r in rows})):
        part = sorted((r for r in rows if r["iteration"] == iteration), key=lambda r: r["epoch"])
        axes.plot([r["epoch"] for r in part], [r["loss"] for r in part], color=SERIES[number],
                  linestyle=("-", "--")[number % 2], marker="o" if len(part) < 15 else "",
                  markersize=3, label=f"iteration {iteration}")  # fmt: skip
        ends.append(f"iteration {iteration} ends at {part[-1]['loss']:.3g}")
    label_axes(axes, "epoch", "loss under masks", whole=True)
    axes.grid(True, which="major")
    if len(ends) > 1:
        axes.legend(loc="best")
    return to_svg(figure, f"Loss under masks over epochs: {'; '.join(ends)}.", name)


@drawing
def dice_by_arm(rows: Rows, name: str) -> Markup:
    """Draw every scan's Dice in each arm, a line for each scan, and the arms' means."""
    figure, axes = chart(5.0, 3.1)
    arms = [arm for arm in ARM_NAMES if any(r["arm"] == arm for r in rows)]
    scans: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        if row["dice"] is not None:
            scans.setdefault((row["subject"], row["session"]), {})[row["arm"]] = row["dice"]
    for found in scans.values():
        places = [n for n, arm in enumerate(arms) if arm in found]
        axes.plot(places, [found[arms[n]] for n in places], color=MUTED, marker="o", markersize=3.5,
                  linewidth=0.8)  # fmt: skip
    told = []
    for place, arm in enumerate(arms):
        known = [found[arm] for found in scans.values() if arm in found]
        if known:
            axes.plot([place - 0.2, place + 0.2], [np.mean(known)] * 2, color=INK, linewidth=2.2)
            told.append(f"{ARM_NAMES[arm]} {np.mean(known):.3f}")
    axes.set_xticks(range(len(arms)), [ARM_NAMES[arm] for arm in arms])
    axes.set_xlim(-0.5, len(arms) - 0.5)
    axes.set_ylim(-0.02, 1.02)
    label_axes(axes, "", "Dice with the truth")
    return to_svg(
        figure, f"Dice of scans held out by arm; means: {', '.join(told) or 'none'}.", name
    )
