"""Charts of the teacher: what the classes look like in feature space, and how they fill a scan along z."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from somray.report.drawing.style import INK, MUTED, PAPER, RULE, chart, drawing, plain_text, to_svg

__all__ = [
    "CROWDED",
    "Profile",
    "areas_along_z",
    "draw_radar_frame",
    "profile_heatmap",
    "radar",
    "radar_limit",
]

SHORT_NAMES = {
    "intensity": "intensity",
    "edge": "edge",
    "local_contrast": "contrast",
    "thickness": "thickness",
    "mean3": "mean 3×3",
    "mean5": "mean 5×5",
    "anisotropy_p": "anisotr. p",
    "anisotropy_q": "anisotr. q",
    "ratio_row_column": "row/column",
    "ratio_local_global": "local/global",
}
HEAT_LIMIT = 2.5  # standard deviations at the ends of the heat map's colours
CROWDED = 12  # features from which a radar plot needs more room
RADAR_MOST = 4.0  # standard deviations; a profile beyond is drawn on the rim


@dataclass(frozen=True)
class Profile:
    """Mean and spread of one class or node over the features, in standard deviations.

    Args:
        name: class, or node number with class.
        colour: colour of its class.
        mean: (f,), NaN where it does not exist.
        std: (f,), likewise.
        share: share of the reference's pixels, 0 to 1.
    """

    name: str
    colour: str
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    share: float


def _short(channel: str, feature: str, several: bool) -> str:
    name = SHORT_NAMES.get(feature, feature)
    return plain_text(f"{channel} {name}" if several else name)


def short_names(names: Sequence[tuple[str, str]]) -> list[str]:
    """Shorten (channel, feature) for charts; the channel stands only where there are several."""
    several = len({channel for channel, _ in names}) > 1
    return [_short(channel, feature, several) for channel, feature in names]


def radar_limit(profiles: Sequence[Profile]) -> float:
    """Return the radius all radars of a protocol share, in standard deviations."""
    reach = [np.nanmax(np.abs(p.mean)) for p in profiles if np.isfinite(p.mean).any()]
    return float(min(RADAR_MOST, max([1.0, *(float(np.ceil(r * 2) / 2) for r in reach)])))


@drawing
def radar(
    profile: Profile, others: Sequence[Profile], labels: Sequence[str], limit: float, name: str
) -> Markup:
    """Draw one class's profile with features around, the other classes faint behind it.

    The radius runs from −limit (centre) to +limit (rim); the ring at 0 is the reference's mean.
    """
    crowded = len(labels) > CROWDED
    width, height = (4.4, 3.5) if crowded else (3.5, 3.0)
    figure, axes = chart(width, height, projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False)
    closed = np.append(angles, angles[:1])
    for other in others:
        values = np.clip(np.append(other.mean, other.mean[:1]), -limit, limit)
        axes.plot(closed, values, color=other.colour, linewidth=0.9, alpha=0.45)
    low, high = (
        np.clip(np.append(v, v[:1]), -limit, limit)
        for v in (profile.mean - profile.std, profile.mean + profile.std)
    )
    axes.fill_between(closed, low, high, color=profile.colour, alpha=0.22, linewidth=0)
    mean = np.clip(np.append(profile.mean, profile.mean[:1]), -limit, limit)
    axes.plot(closed, mean, color=profile.colour, linewidth=2.2)
    axes.plot(angles, mean[:-1], "o", color=profile.colour, markersize=3.2)
    draw_radar_frame(axes, angles, labels, limit)
    worst = int(np.nanargmax(np.abs(profile.mean))) if np.isfinite(profile.mean).any() else 0
    alt = (
        f"Radar plot of class {profile.name}: {len(labels)} features around, scale −{limit:g} to "
        f"+{limit:g} standard deviations; farthest from the mean is {labels[worst]} "
        f"at {profile.mean[worst]:+.1f}."
    )
    return to_svg(figure, alt, name)


def draw_radar_frame(
    axes: Axes, angles: NDArray[np.float64], labels: Sequence[str], limit: float
) -> None:
    """Draw rings, spokes and names of a radar plot that reaches from −limit to +limit."""
    if not isinstance(axes, PolarAxes):
        raise TypeError("a radar plot needs polar axes")
    # Half a step off the top where there are many features: two labels share the top, none stands on it.
    turn = np.pi / len(labels) if len(labels) > CROWDED else 0.0
    axes.set_theta_offset(np.pi / 2 - turn)
    axes.set_theta_direction(-1)
    axes.set_ylim(-limit, limit)
    around = np.linspace(0, 2 * np.pi, 181)
    axes.plot(around, np.zeros_like(around), color=MUTED, linewidth=1.0, dashes=(3, 2))
    rings = [r for r in np.arange(-np.floor(limit), limit + 0.1) if abs(r) < limit + 1e-9]
    shown = rings if len(rings) <= 5 else [r for r in rings if r % 2 == 0]
    axes.set_yticks(shown, [f"{r:+.0f}".replace("+0", "0").replace("-", "−") for r in shown])
    axes.set_rlabel_position(180 / max(len(labels), 1))
    axes.tick_params(axis="y", labelsize=7.5, labelcolor=MUTED)
    axes.set_xticks(angles, [""] * len(angles))
    for angle, label in zip(angles, labels, strict=True):
        across = np.sin(
            angle + turn
        )  # labels grow away from the circle, so that none meets another
        axes.text(
            angle,
            limit * 1.13,
            label,
            va="center",
            ha="center" if abs(across) < 1e-3 else "left" if across > 0 else "right",
            fontsize=7.6 if len(labels) > CROWDED else 8.5,
        )
    axes.spines["polar"].set_color(RULE)
    axes.grid(True, color=RULE)


@drawing
def profile_heatmap(
    profiles: Sequence[Profile], labels: Sequence[str], what: str, name: str
) -> Markup:
    """Draw profiles as rows of colours: purple below the reference's mean, orange above."""
    rows = len(profiles)
    figure, axes = chart(max(4.6, 1.7 + 0.3 * len(labels)), 1.35 + 0.19 * rows)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(np.array([p.mean for p in profiles])),
        cmap="PuOr_r",
        vmin=-HEAT_LIMIT,
        vmax=HEAT_LIMIT,
        edgecolors=PAPER,
        linewidth=0.6,
    )
    _heat_frame(axes, profiles, labels)
    shrink = min(1.0, 14 / rows)
    bar = figure.colorbar(
        mesh, ax=axes, fraction=0.035, pad=0.02, extend="both", aspect=30, shrink=shrink
    )
    bar.set_label("standard deviations from the mean", fontsize=7.6)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5)
    alt = f"Heat map of {rows} {what} (rows) by {len(labels)} features (columns)."
    return to_svg(figure, alt, name)


def _heat_frame(axes: Axes, profiles: Sequence[Profile], labels: Sequence[str]) -> None:
    """Name rows and columns; a strip in front of each row wears its class's colour."""
    rows = len(profiles)
    for row, profile in enumerate(profiles):
        axes.add_patch(Rectangle((-0.75, row), 0.55, 1, color=profile.colour, linewidth=0))
    axes.set_xlim(-0.75, len(labels))
    axes.set_ylim(rows, 0)
    ticks = [f"{plain_text(p.name)} · {100 * p.share:.1f} %" for p in profiles]
    axes.set_yticks(np.arange(rows) + 0.5, ticks, fontsize=7.6)
    axes.set_xticks(
        np.arange(len(labels)) + 0.5,
        labels,
        rotation=55,
        ha="right",
        rotation_mode="anchor",
        fontsize=7.8,
    )
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


@drawing
def areas_along_z(
    fractions: Mapping[str, NDArray[np.float64]], colours: Mapping[str, str], name: str
) -> Markup:
    """Draw the share of each slice that every class covers, stacked, along z."""
    figure, axes = chart(5.0, 2.7)
    count = len(next(iter(fractions.values())))
    edges = np.arange(count + 1) - 0.5  # a slice reaches from half before to half behind its index
    floor = np.zeros(count + 1)
    for class_name, share in fractions.items():
        top = floor + np.append(np.nan_to_num(share), 0.0)
        axes.fill_between(edges, floor, top, step="post", color=colours[class_name], linewidth=0)
        floor = top
    axes.set_xlim(-0.5, count - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("slice (z index)")
    axes.set_ylabel("share of the slice's pixels")
    axes.spines["left"].set_visible(False)
    axes.set_axisbelow(False)
    axes.grid(axis="y", color=INK, alpha=0.12)
    alt = (
        f"Stacked shares of {len(fractions)} classes over {count} slices: mean "
        + ", ".join(f"{n} {100 * np.nanmean(v):.1f} %" for n, v in fractions.items())
        + "."
    )
    return to_svg(figure, alt, name)
