"""Charts of classes: radar plots, the nodes' profiles as a heat map, and how classes fill a scan along z.

A radar's radius runs from −limit (centre) to +limit (rim), the ring at 0 is the reference's mean; a class that
means the same keeps its shape.
"""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.report.data import Rows
from somray.report.drawing.blocks import Picture
from somray.report.drawing.classes import Profile
from somray.report.drawing.scales import runs
from somray.report.drawing.style import (
    INK,
    MUTED,
    PAPER,
    RULE,
    SERIES,
    chart,
    class_colour,
    drawing,
    label_axes,
    label_scale,
    plain_text,
    to_svg,
)
from somray.report.drawing.table import signed

__all__ = ["areas_along_z", "node_heatmap", "radar", "radar_limit", "radar_over_sessions"]

HEAT_LIMIT = 2.5  # standard deviations at the ends of the heat map's colours
CROWDED = 12  # features from which a radar plot needs more room
RADAR_MOST = 4.0  # standard deviations; a profile beyond is drawn on the rim
DASHES = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
"""Sessions are told apart without colour too."""


def radar_limit(profiles: Sequence[Profile]) -> float:
    """Return the radius all radars of a protocol share, in standard deviations."""
    reach = [np.nanmax(np.abs(p.mean)) for p in profiles if p.is_known]
    return float(min(RADAR_MOST, max([1.0, *(float(np.ceil(r * 2) / 2) for r in reach)])))


def _closed(values: NDArray[np.float64], limit: float = np.inf) -> NDArray[np.float64]:
    """Clip to the rim, and repeat the first value so that the line closes."""
    return np.clip(np.append(values, values[:1]), -limit, limit)


@drawing
def radar(
    profile: Profile, others: Sequence[Profile], labels: Sequence[str], limit: float, name: str
) -> Markup:
    """Draw one class's profile with features around, the other classes faint behind it."""
    width, height = (4.4, 3.5) if len(labels) > CROWDED else (3.5, 3.0)
    figure, axes = chart(width, height, projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False)
    around = _closed(angles)
    for other in others:
        axes.plot(around, _closed(other.mean, limit), color=other.colour, linewidth=0.9, alpha=0.45)
    low, high = (_closed(profile.mean + n * profile.std, limit) for n in (-1, 1))
    axes.fill_between(around, low, high, color=profile.colour, alpha=0.22, linewidth=0)
    mean = _closed(profile.mean, limit)
    axes.plot(around, mean, color=profile.colour, linewidth=2.2)
    axes.plot(angles, mean[:-1], "o", color=profile.colour, markersize=3.2)
    _rings_and_spokes(axes, angles, labels, limit)
    worst = int(np.nanargmax(np.abs(profile.mean))) if profile.is_known else 0
    alt = (
        f"Radar plot of class {profile.name}: {len(labels)} features around, scale −{limit:g} to "
        f"+{limit:g} standard deviations; farthest from the mean is {labels[worst]} "
        f"at {profile.mean[worst]:+.1f}."
    )
    return to_svg(figure, alt, name)


@drawing
def radar_over_sessions(
    reference: Profile | None,
    sessions: Sequence[Profile],
    labels: Sequence[str],
    limit: float,
    name: str,
) -> Markup:
    """Draw one class's profile in each session, and on the reference as a thin dark line.

    The reference is None where the class covered nothing there; sessions come in order of time, named by session.
    """
    width, height = (4.6, 4.0) if len(labels) > CROWDED else (3.7, 3.5)
    figure, axes = chart(width, height, projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False)
    handles = []
    for number, profile in enumerate(sessions):
        style = DASHES[number // len(SERIES) % len(DASHES)]
        handles += axes.plot(_closed(angles), _closed(profile.mean, limit), linewidth=1.8,
                             color=SERIES[number % len(SERIES)], linestyle=style)  # fmt: skip
    told = [plain_text(p.name) for p in sessions]
    if reference is not None:
        handles += axes.plot(
            _closed(angles), _closed(reference.mean, limit), color=INK, linewidth=0.9
        )
        told.append("reference")
    _rings_and_spokes(axes, angles, labels, limit)
    figure.legend(handles, told, loc="outside lower center", ncols=min(4, len(told)), fontsize=7.6)
    base = reference or sessions[0]
    apart = [float(np.nanmax(np.abs(p.mean - base.mean))) for p in sessions if p.is_known]
    alt = (
        f"Radar plot of one class in {len(sessions)} sessions: {len(labels)} features around, scale "
        f"−{limit:g} to +{limit:g} standard deviations; no feature lies further than "
        f"{max(apart, default=0.0):.2f} from the {'reference' if reference else 'first'}."
    )
    return to_svg(figure, alt, name)


def _rings_and_spokes(
    axes: Axes, angles: NDArray[np.float64], labels: Sequence[str], limit: float
) -> None:
    """Draw rings, spokes and names of a radar plot that reaches from −limit to +limit."""
    if not isinstance(axes, PolarAxes):
        raise TypeError("a radar plot needs polar axes")
    # Half a step off the top where there are many features: two labels share the top, none stands on it.
    crowded = len(labels) > CROWDED
    turn = np.pi / len(labels) if crowded else 0.0
    axes.set_theta_offset(np.pi / 2 - turn)
    axes.set_theta_direction(-1)
    axes.set_ylim(-limit, limit)
    around = np.linspace(0, 2 * np.pi, 181)
    axes.plot(around, np.zeros_like(around), color=MUTED, linewidth=1.0, dashes=(3, 2))
    rings = [r for r in np.arange(-np.floor(limit), limit + 0.1) if abs(r) < limit + 1e-9]
    shown = rings if len(rings) <= 5 else [r for r in rings if r % 2 == 0]
    axes.set_yticks(shown, [signed(r, "+.0f").replace("+0", "0") for r in shown])
    axes.set_rlabel_position(180 / max(len(labels), 1))
    axes.tick_params(axis="y", labelsize=7.5, labelcolor=MUTED)
    axes.set_xticks(angles, [""] * len(angles))
    for angle, label in zip(angles, labels, strict=True):
        across = np.sin(
            angle + turn
        )  # labels grow away from the circle, so that none meets another
        side = "center" if abs(across) < 1e-3 else "left" if across > 0 else "right"
        axes.text(
            angle, limit * 1.13, label, va="center", ha=side, fontsize=7.6 if crowded else 8.5
        )
    axes.spines["polar"].set_color(RULE)
    axes.grid(True, color=RULE)


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
    for value, class_name in sorted(teacher.class_names.items()):
        part = [r for r in rows if r["class_name"] == class_name]
        if not part:
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
    return Picture(to_svg(figure, alt, name), told)
