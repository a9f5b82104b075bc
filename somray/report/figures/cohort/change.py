"""Change of disease over a cohort: a waterfall of subjects, their courses over time, totals by session.

However many subjects there are, the number of marks is bounded: beyond `MOST_BARS` every n-th subject of the sorted
order stands for its neighbours, beyond `MOST_LINES` bands stand for the courses and the extremes are drawn by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from somray.report.data.courses import DiseaseCourse
from somray.report.drawing.scales import runs
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
from somray.report.drawing.table import plural, signed

__all__ = ["session_totals", "spaghetti", "waterfall"]

MOST_BARS = 300
MOST_NAMED = 40  # bars with their subject's name below
MOST_LINES = 150
MOST_COLOURED = 8  # courses in colours of their own, each with a name
EXTREMES = 3  # courses of each end that are drawn by name where most are not
NAME_GAP = 0.05  # of the axes' height: one line of text
CAP = 2.0  # growth beyond this share is cut off and marked
WIDE_RANGE = 50.0  # largest over smallest volume from which an axis is logarithmic
GROUPS = (
    ("progression", SERIES[1], ("PD", "PMD")),
    ("response", SERIES[2], ("CR", "PR", "CMR", "PMR")),
    ("stable", SERIES[0], ("SD", "SMD")),
    ("no response told", MUTED, (None,)),
)
"""Name, colour and responses of a group."""


def _colour(course: DiseaseCourse) -> str:
    return next((colour for _, colour, own in GROUPS if course.response in own), MUTED)


@drawing
def waterfall(courses: Sequence[DiseaseCourse], name: str, doubted: bool = False) -> Markup:
    """Draw each subject's change of volume from the first session to the last, sorted, the growing first.

    Args:
        courses: of all subjects.
        name: prefix of ids.
        doubted: whether all responses are in doubt; the legend says so.
    """
    ordered = sorted(
        (c for c in courses if c.change is not None), key=lambda c: (-(c.change or 0.0), c.subject)
    )
    borders = runs(len(ordered), MOST_BARS)
    shown = [ordered[(a + b) // 2] for a, b in pairwise(borders.tolist())]
    changes = np.array([c.change for c in shown], dtype=np.float64)
    figure, axes = chart(9.2, 3.6)
    places = np.arange(len(shown))
    axes.bar(places, np.clip(changes, -1, CAP) * 100, width=0.8 if len(shown) <= 80 else 1.0,
             color=[_colour(c) for c in shown], linewidth=0)  # fmt: skip
    _marks(axes, shown, changes)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlim(-0.7, max(len(shown), 6) - 0.3)
    low = max(-108.0, 115 * float(np.min(changes, initial=0.0)) - 6)
    axes.set_ylim(low, max(30.0, min(CAP, float(np.max(changes, initial=0.0))) * 100 * 1.12 + 6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{signed(v, '+.0f') if v else 0} %"))
    label_axes(axes, _subjects(len(ordered), len(shown)), "change of total volume")
    if len(shown) <= MOST_NAMED:
        turn = 0 if sum(len(c.subject) for c in shown) < 90 else 90
        axes.set_xticks(places, [plain_text(c.subject) for c in shown], rotation=turn)
    else:
        axes.set_xticks([])
    _legend(axes, shown, doubted)
    grown = sum(c.change > 0 for c in ordered if c.change is not None)
    alt = (
        f"Waterfall of {plural(len(ordered), 'subject')}: {grown} with more volume at the last session than "
        f"at the first, {len(ordered) - grown} with as much or less."
    )
    return to_svg(figure, alt, name)


def _subjects(count: int, shown: int) -> str:
    if count == shown:
        return "subject, sorted by change"
    return f"{shown} of {count} subjects, evenly taken from the sorted order"


def _marks(axes: Axes, shown: Sequence[DiseaseCourse], changes: NDArray[np.float64]) -> None:
    """Mark new lesions, and bars that are cut off."""
    tops = np.clip(changes, -1, CAP) * 100
    fresh = [n for n, c in enumerate(shown) if c.new]
    heights = np.maximum(tops, 0)[fresh] + 5
    axes.plot(fresh, heights, "P", color=INK, markersize=6 if len(shown) <= 80 else 3,
              markeredgewidth=0)  # fmt: skip
    for n in np.flatnonzero(changes > CAP).tolist() if len(shown) <= MOST_NAMED else ():
        text = "new" if np.isinf(changes[n]) else f"+{100 * changes[n]:.0f} %"
        axes.annotate(text, (n, CAP * 100), xytext=(0, 9), ha="center", fontsize=7.5,
                      textcoords="offset points", color=INK)  # fmt: skip


def _legend(axes: Axes, shown: Sequence[DiseaseCourse], doubted: bool) -> None:
    met, care = {_colour(c) for c in shown}, ", in doubt" if doubted else ""
    handles: list[Artist] = [
        Patch(color=c, label=label if None in own else f"{label}{care}")
        for label, c, own in GROUPS
        if c in met
    ]
    if any(c.new for c in shown):
        handles += axes.plot([], [], "P", color=INK, markersize=6, label="new lesions")
    axes.legend(handles=handles, loc="upper right", ncols=len(handles))


@drawing
def spaghetti(
    courses: Sequence[DiseaseCourse], column: str, label: str, name: str, per: float = 1.0
) -> Markup:
    """Draw a figure over the sessions of every subject that has two or more.

    Args:
        courses: of all subjects.
        column: of `burden`.
        label: name of the axis, with its unit.
        name: prefix of ids.
        per: what the column is multiplied by, so that it is in that unit.
    """
    known = [(c, per * c.values(column)) for c in courses if len(c.rows) > 1]
    lines = [(c, v) for c, v in known if np.isfinite(v).any()]
    in_days = all(c.days is not None for c, _ in lines)
    figure, axes = chart(9.2, 3.4)
    named = (_bands if len(lines) > MOST_LINES else _thin)(axes, lines, in_days)
    _scale(axes, np.concatenate([v for _, v in lines]) if lines else np.zeros(1), label)
    axes.set_xlabel("days since the first session" if in_days else "session, in order of time")
    if not in_days:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.08)
    _names(axes, named)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    most = max((len(v) for _, v in lines), default=0)
    what = label.partition(" (")[0]
    alt = f"{what[:1].upper()}{what[1:]} of {plural(len(lines), 'subject')} over up to {most} sessions."
    return to_svg(figure, alt, name)


def _places(course: DiseaseCourse, in_days: bool) -> NDArray[np.float64]:
    if in_days and course.days is not None:
        return np.array(course.days)
    return np.arange(1.0, len(course.rows) + 1)


Line = tuple[DiseaseCourse, NDArray[np.float64]]


@dataclass(frozen=True)
class _CourseEnd:
    """Where a course that gets its name ends."""

    x: float
    y: float
    name: str
    colour: str


def _thin(axes: Axes, lines: Sequence[Line], in_days: bool) -> list[_CourseEnd]:
    """Draw every course: in colours of their own where they are few, else in those of their response."""
    if len(lines) <= MOST_COLOURED:
        return [
            _drawn(axes, course, values, SERIES[rank], in_days)
            for rank, (course, values) in enumerate(lines)
        ]
    for label, colour, own in GROUPS:
        part = [(c, v) for c, v in lines if c.response in own]
        if not part:
            continue
        # One path for all of a group: a gap between two subjects.
        xs = np.concatenate([np.append(_places(c, in_days), np.nan) for c, _ in part])
        ys = np.concatenate([np.append(v, np.nan) for _, v in part])
        axes.plot(xs, ys, color=colour, linewidth=0.9, alpha=0.75, label=label)
    return [_drawn(axes, c, v, _colour(c), in_days) for c, v in _extremes(lines)]


def _drawn(
    axes: Axes, course: DiseaseCourse, values: NDArray[np.float64], colour: str, in_days: bool
) -> _CourseEnd:
    """Draw one course by itself; return where its name belongs."""
    xs = _places(course, in_days)
    axes.plot(xs, values, color=colour, linewidth=1.7, marker="o", markersize=3.4)
    last = int(np.flatnonzero(np.isfinite(values))[-1])
    return _CourseEnd(float(xs[last]), float(values[last]), plain_text(course.subject), colour)


def _names(axes: Axes, ends: Sequence[_CourseEnd]) -> None:
    """Name courses at their ends, pushed apart so that no name covers another."""
    height = axes.transScale + axes.transLimits  # data to the axes' own 0..1
    lowest = -1.0
    for end in sorted(ends, key=lambda e: (e.y, e.name)):
        lowest = max(float(height.transform((end.x, end.y))[1]), lowest + NAME_GAP)
        axes.annotate(end.name, (end.x, lowest), xycoords=("data", "axes fraction"), xytext=(7, 0),
                      textcoords="offset points", va="center", fontsize=7.5, color=end.colour)  # fmt: skip


def _extremes(lines: Sequence[Line]) -> list[Line]:
    """Return those that grew and shrank most."""

    def growth(line: Line) -> float:
        known = line[1][np.isfinite(line[1])]
        return float(known[-1] - known[0])

    ordered = sorted(lines, key=lambda line: (growth(line), line[0].subject))
    return [*ordered[:EXTREMES], *ordered[-EXTREMES:]]


def _bands(axes: Axes, lines: Sequence[Line], in_days: bool) -> list[_CourseEnd]:
    """Draw the median and two bands over the sessions, and the extremes by name."""
    most = max(len(v) for _, v in lines)
    xs, quantiles = [], []
    for place in range(most):
        part = [(_places(c, in_days)[place], v[place]) for c, v in lines if len(v) > place]
        values = np.array([v for _, v in part if np.isfinite(v)])
        if not values.size:
            continue
        xs.append(float(np.median([x for x, _ in part])))
        quantiles.append(np.percentile(values, (5, 25, 50, 75, 95)))
    low, lower, middle, upper, high = np.array(quantiles).T
    axes.fill_between(xs, low, high, color=RULE, linewidth=0, label="90 % of subjects")
    axes.fill_between(xs, lower, upper, color=MUTED, alpha=0.45, linewidth=0, label="half of them")
    axes.plot(xs, middle, color=INK, marker="o", markersize=4, label="median")
    return [_drawn(axes, c, v, _colour(c), in_days) for c, v in _extremes(lines)]


def _scale(axes: Axes, values: NDArray[np.float64], label: str) -> None:
    """Scale linearly, or, where values span much, logarithmically above the smallest."""
    known = values[np.isfinite(values) & (values > 0)]
    if known.size and known.max() / known.min() > WIDE_RANGE:
        least = 10 ** np.floor(np.log10(max(known.min(), known.max() / 1e5)))
        axes.set_yscale("symlog", linthresh=least, linscale=0.4)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(f"{label}, logarithmic above {least:g}")
        axes.set_ylim(0, 2.0 * known.max())
    else:
        axes.set_ylabel(label)
        axes.set_ylim(0, 1.08 * float(known.max()) if known.size else 1.0)
    axes.grid(axis="y")


@drawing
def session_totals(totals: Sequence[dict[str, float]], unit: str, name: str) -> Markup:
    """Draw total volume and number of lesions of each session, over all subjects that have it.

    `totals` holds place, subjects, volume (in the unit) and lesions of each session in order of time.
    """
    figure, first = chart(9.2, 2.5)
    first.remove()
    xs = [t["place"] for t in totals]
    names = [f"{t['place']:.0f}\nn = {t['subjects']:.0f}" for t in totals]
    for n, (key, label) in enumerate(
        (("volume", f"total volume ({unit})"), ("lesions", "lesions"))
    ):
        axes = figure.add_subplot(1, 2, n + 1)
        axes.bar(xs, [t[key] for t in totals], width=0.6, color=SERIES[n])
        axes.set_xticks(xs, names)
        axes.set_axisbelow(True)
        axes.set_xlim(min(xs) - 0.8, max(xs) + 0.8)
        label_axes(axes, "session, in order of time; subjects", label)
    told = "; ".join(
        f"session {t['place']:.0f}: {t['volume']:.1f} {unit}, {t['lesions']:.0f} lesions, "
        f"{plural(int(t['subjects']), 'subject')}"
        for t in totals[:12]
    )
    return to_svg(figure, f"Totals by session: {told}.", name)
