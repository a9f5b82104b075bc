"""Overlap with the truth, method beside method, scan by scan."""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from somray.report.data import Rows
from somray.report.drawing.blocks import Picture
from somray.report.drawing.style import (
    INK,
    MUTED,
    PAPER,
    RULE,
    chart,
    drawing,
    label_axes,
    plain_text,
    to_svg,
)

__all__ = ["method_rank", "truth_scores"]

_METHODS = {
    "som": "SOM (direct transfer)",
    "student": "student",
    "som_lesions": "objects of the SOM's mask",
    "lesions": "lesions (objects)",
}
"""Each mask that is compared with the truth: masks pixel by pixel, then the objects made of them."""

MOST_LINES = 60  # scans that are drawn one by one
MANY_LINES = 20  # scans whose lines are drawn fainter
LEAST_BOXED = 5  # scans from which quartiles say something
BOX, BAR = 0.13, 0.19  # half widths, of the room between two methods


def method_rank(method: str) -> tuple[int, str]:
    """Order methods as charts and tables show them; those of other programs come last, by name."""
    order = list(_METHODS)
    return (order.index(method) if method in order else len(order)), method


@drawing
def truth_scores(rows: Rows, name: str) -> Picture:
    """Draw the Dice overlap with the truth of every scan: a line joins one scan's scores over the methods.

    The rows of `truth` are one per scan and method: those of one label, or of the union.
    """
    methods = _methods_of(rows)
    scores = _by_scan(rows, methods)
    shown = _spread_out(scores)
    figure, axes = chart(max(4.4, 0.8 + 1.3 * len(methods)), 3.2)
    at, faint = np.arange(len(methods)), 0.25 if len(shown) > MANY_LINES else 0.6
    for line in scores[shown]:
        axes.plot(at, line, "-", color=MUTED, linewidth=0.9, alpha=faint)
        axes.plot(at, line, "o", color=INK, markersize=3.2, markeredgewidth=0)
    ticks, told = [], []
    for place, method in enumerate(methods):
        known = scores[:, place][np.isfinite(scores[:, place])]
        label = _METHODS.get(method, method)
        ticks.append(f"{fill(plain_text(label), 14, break_long_words=False)}\nn = {len(known)}")
        told.append(f"{label} mean {known.mean():.2f} over {len(known)}")
        _sum_up(axes, place, known)
    axes.set_xticks(at, ticks)
    axes.set_xlim(-0.5, max(len(methods), 1) - 0.5)
    axes.set_ylim(0, 1.005)
    label_axes(axes, "", "Dice with the truth")
    axes.tick_params(axis="x", length=0)
    markup = to_svg(figure, f"Dice with the truth: {'; '.join(told) or 'none'}.", name)
    return Picture(markup, _caption(len(scores), len(shown)))


def _methods_of(rows: Rows) -> list[str]:
    """List the methods that have any score."""
    return sorted({r["method"] for r in rows if r["dice"] is not None}, key=method_rank)


def _by_scan(rows: Rows, methods: list[str]) -> NDArray[np.float64]:
    """Return the scores (scan, method), NaN where there is none."""
    scans = sorted({(r["subject"], r["session"]) for r in rows})
    scores = np.full((len(scans), len(methods)), np.nan)
    places = {scan: row for row, scan in enumerate(scans)}
    for r in rows:
        if r["dice"] is not None:
            scores[places[r["subject"], r["session"]], methods.index(r["method"])] = r["dice"]
    return np.asarray(scores[np.isfinite(scores).any(axis=1)])


def _spread_out(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Choose the scans that are drawn: all, or as many as can be told apart, from the worst to the best."""
    if len(scores) <= MOST_LINES:
        return np.arange(len(scores))
    order = np.argsort(np.nanmean(scores, axis=1), kind="stable")
    return np.asarray(order[np.linspace(0, len(order) - 1, MOST_LINES).round().astype(int)])


def _sum_up(axes: Axes, place: int, known: NDArray[np.float64]) -> None:
    """Draw a method's mean as a bar, and its quartiles as a box where there are enough scans."""
    mean = float(known.mean())
    if len(known) >= LEAST_BOXED:
        low, high = np.quantile(known, (0.25, 0.75))
        box = Rectangle((place - BOX, low), 2 * BOX, high - low, facecolor="none", edgecolor=INK,
                        linewidth=1.0, zorder=3)  # fmt: skip
        axes.add_patch(box)
    axes.plot((place - BAR, place + BAR), (mean, mean), color=INK, linewidth=2.2, zorder=3.5,
              solid_capstyle="butt")  # fmt: skip
    axes.text(place + BAR + 0.03, mean, f"{mean:.2f}", va="center", fontsize=8.0, zorder=4,
              bbox={"facecolor": PAPER, "edgecolor": RULE, "linewidth": 0.5, "pad": 1.2})  # fmt: skip


def _caption(scans: int, shown: int) -> str:
    few = (
        f"; {shown} of {scans} scans are drawn, from the worst to the best" if shown < scans else ""
    )
    box = ", the box the quartiles" if scans >= LEAST_BOXED else ""
    return (
        "Dice overlap with the union of the truth's labels. A line joins the scores of one scan"
        f"{few}; the bar is a method's mean over all scans that have one{box}."
    )
