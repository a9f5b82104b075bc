"""Charts of classes: the nodes' profiles as a heat map, how classes fill a scan along z, and their legend."""

from collections.abc import Collection, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from somray.domain.teacher import TeacherModel
from somray.report.data import Rows
from somray.report.drawing.blocks import Legend, LegendEntry, Picture
from somray.report.drawing.classes import Profile
from somray.report.drawing.scales import runs
from somray.report.drawing.style import (
    INK,
    NO_DATA_COLOUR,
    PAPER,
    chart,
    class_colour,
    class_colours,
    drawing,
    label_axes,
    label_scale,
    plain_text,
    to_svg,
)

__all__ = [
    "areas_along_z",
    "classes_in",
    "classes_on_map",
    "has_blank",
    "node_heatmap",
    "shown_legend",
]

HEAT_LIMIT = 2.5  # standard deviations at the ends of the heat map's colours
WHOLE_SLICE = 1e-6  # of a slice: shares that add up to one but for rounding
BLANK = 0.003  # share of a slice that is drawn blank without being told: less than a line's width


def classes_on_map(teacher: TeacherModel) -> set[str]:
    """Name the classes that have a node: those that a picture of the map shows."""
    values = set(teacher.node_classes.tolist())
    return {name for value, name in teacher.class_names.items() if value in values}


def classes_in(areas: Rows) -> set[str]:
    """Name the classes that cover anything by rows of `areas`: those that a class map of theirs shows.

    Beside PET, CT tells classes that no node stands for: the map does not name all that a class map shows.
    """
    return {r["class_name"] for r in areas if r["fraction"]}


def has_blank(areas: Rows) -> bool:
    """Tell by rows of `areas` whether any of their slices has pixels without data."""
    covered: dict[int, float] = {}
    for r in areas:
        covered[r["z"]] = covered.get(r["z"], 0.0) + r["fraction"]
    return any(share < 1 - WHOLE_SLICE for share in covered.values())


def shown_legend(
    teacher: TeacherModel, shown: Collection[str], *, has_no_data: bool = False
) -> Legend:
    """Tell what the colours of the classes mean that a picture shows, and of no others; doubtful ones are marked.

    Args:
        teacher: whose classes they are.
        shown: names of the classes that have a node, or a pixel, on the picture.
        has_no_data: whether the picture has pixels without data, or nodes without a class.
    """
    colours = class_colours(teacher.class_names)
    entries = [
        LegendEntry(name, colours[value], doubtful=name in teacher.doubtful)
        for value, name in sorted(teacher.class_names.items())
        if name in shown
    ]
    blank = [LegendEntry("no data", NO_DATA_COLOUR)] if has_no_data else []
    return Legend((*entries, *blank))


@drawing
def node_heatmap(profiles: Sequence[Profile], labels: Sequence[str], name: str) -> Markup:
    """Draw profiles as rows of colours: purple below the reference's mean, orange above.

    A strip in front of each row wears its class's colour.
    """
    rows, columns = len(profiles), len(labels)
    figure, axes = chart(max(4.6, 1.7 + 0.3 * columns), 1.35 + 0.19 * rows)
    means = np.ma.masked_invalid(np.array([p.mean for p in profiles]))
    mesh = axes.pcolormesh(means, cmap="PuOr_r", vmin=-HEAT_LIMIT, vmax=HEAT_LIMIT,
                           edgecolors=PAPER, linewidth=0.6)  # fmt: skip
    for row, profile in enumerate(profiles):
        axes.add_patch(Rectangle((-0.75, row), 0.55, 1, color=profile.colour, linewidth=0))
    axes.set_xlim(-0.75, columns)
    axes.set_ylim(rows, 0)
    ticks = [f"{plain_text(p.name)} · {100 * p.share:.1f} %" for p in profiles]
    axes.set_yticks(np.arange(rows) + 0.5, ticks, fontsize=7.6)
    axes.set_xticks(np.arange(columns) + 0.5, labels, rotation=55, ha="right",
                    rotation_mode="anchor", fontsize=7.8)  # fmt: skip
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    shrink = min(1.0, 14 / rows)
    bar = figure.colorbar(
        mesh, ax=axes, fraction=0.035, pad=0.02, extend="both", aspect=30, shrink=shrink
    )
    label_scale(bar, "standard deviations from the mean")
    alt = f"Heat map of {rows} nodes (rows) by {columns} features (columns)."
    return to_svg(figure, alt, name)


@drawing
def areas_along_z(rows: Rows, teacher: TeacherModel, where: str, name: str) -> Picture | None:
    """Draw the share of each slice that every class covers, stacked, along z; None without rows.

    The rows are those of `areas` of one scan and time point, which `where` names.
    """
    count = max((r["z"] for r in rows), default=-1) + 1
    if count == 0:
        return None
    figure, axes = chart(5.0, 2.7)
    starts = runs(
        count
    )  # of neighbouring slices, where there are more than the picture has room for
    edges = starts - 0.5  # a slice reaches from half before to half behind its index
    floor = np.zeros(len(starts))
    means = []
    seen = classes_in(rows)
    for value, class_name in sorted(teacher.class_names.items()):
        part = [r for r in rows if r["class_name"] == class_name]
        if class_name not in seen:
            continue
        share = np.full(count, np.nan)
        share[[r["z"] for r in part]] = [r["fraction"] for r in part]
        heights = np.add.reduceat(np.nan_to_num(share), starts[:-1]) / np.diff(starts)
        top = floor + np.append(heights, 0.0)
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
    if float(floor[:-1].min()) < 1 - BLANK:
        told += " What is left blank holds no data."
    return Picture(to_svg(figure, alt, name), told)
