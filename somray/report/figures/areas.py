"""How classes fill a scan along z."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from somray.domain.teacher import TeacherModel
from somray.report.data import Rows
from somray.report.drawing.blocks import Picture
from somray.report.drawing.style import INK, chart, class_colour, drawing, label_axes, to_svg

__all__ = ["areas_along_z"]


@drawing
def areas_along_z(rows: Rows, teacher: TeacherModel, where: str, name: str) -> Picture | None:
    """Draw the share of each slice that every class covers, stacked, along z.

    Args:
        rows: of `areas`, of one scan and time point.
        teacher: whose classes they are.
        where: which scan, in words.
        name: unique on the page.

    Returns:
        The picture; None without rows.
    """
    count = max((r["z"] for r in rows), default=-1) + 1
    if count == 0:
        return None
    figure, axes = chart(5.0, 2.7)
    edges = np.arange(count + 1) - 0.5  # a slice reaches from half before to half behind its index
    floor = np.zeros(count + 1)
    means = []
    for value, class_name in sorted(teacher.class_names.items()):
        part = [r for r in rows if r["class_name"] == class_name]
        if not part:
            continue
        share = np.full(count, np.nan)
        share[[r["z"] for r in part]] = [r["fraction"] for r in part]
        top = floor + np.append(np.nan_to_num(share), 0.0)
        colour = class_colour(class_name, value)
        axes.fill_between(edges, floor, top, step="post", color=colour, linewidth=0)
        floor = top
        means.append(f"{class_name} {100 * np.nanmean(share):.1f} %")
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    label_axes(axes, "slice (z index)", "share of the slice's pixels")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.spines["left"].set_visible(False)
    axes.set_axisbelow(False)
    axes.grid(axis="y", color=INK, alpha=0.12)
    mean = ", ".join(means)
    alt = f"Stacked shares of {len(means)} classes over {count} slices: mean {mean}."
    told = f"Share of every slice that each class of the direct transfer covers, {where}."
    return Picture(to_svg(figure, alt, name), told)
