"""Overlap with the truth, scan by scan."""

import numpy as np
from markupsafe import Markup

from somray.report.data import Rows
from somray.report.drawing.style import SERIES, chart, drawing, label_axes, to_svg

__all__ = ["truth_scores"]

_METHODS = (
    ("som", "SOM (direct transfer)", "s--", SERIES[0]),
    ("student", "student", "o-", SERIES[1]),
    ("lesions", "lesions (objects)", "^-.", SERIES[2]),
)
"""Each mask that is compared with the truth: its label, mark with line, and colour."""


@drawing
def truth_scores(rows: Rows, name: str) -> Markup:
    """Draw the Dice overlap with the truth of every scan, sorted, all methods side by side.

    The rows of `truth` are one per scan and method: those of one label, or of the union.
    """
    figure, axes = chart(5.0, 3.2)
    told = []
    for method, label, line, colour in _METHODS:
        scores = [r["dice"] for r in rows if r["method"] == method and r["dice"] is not None]
        if not scores:
            continue
        mean = f"{label}, mean {np.mean(scores):.2f}"
        axes.plot(range(1, len(scores) + 1), sorted(scores, reverse=True), line, color=colour,
                  linewidth=1, markersize=4.5, label=mean)  # fmt: skip
        told.append(f"{label} mean {np.mean(scores):.2f} over {len(scores)}")
    axes.set_ylim(-0.02, 1.02)
    x = "scans, each method sorted by its own score"
    label_axes(axes, x, "Dice with the truth", whole=True)
    if told:
        axes.legend(loc="best")
    return to_svg(figure, f"Dice with the truth: {'; '.join(told) or 'none'}.", name)
