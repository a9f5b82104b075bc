"""Radar plots of a class: its features around, in standard deviations of the reference.

The radius runs from −limit (centre) to +limit (rim), the ring at 0 is the reference's mean; a class that means the
same keeps its shape. Drawn in inches on a plain sheet: matplotlib's polar axes take ten times as long, and a page
holds one plot for each class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from somray.report.drawing.classes import Profile
from somray.report.drawing.style import (
    INK,
    MUTED,
    PAPER,
    RULE,
    SERIES,
    drawing,
    plain_text,
    to_svg,
)
from somray.report.drawing.table import plural, signed

__all__ = ["CROWDED", "radar", "radar_limit", "radar_over_sessions"]

RADAR_MOST = 4.0  # standard deviations; a profile beyond is drawn on the rim
CROWDED = 12  # features from which a radar plot needs more room
LINE_HEIGHT = 1.25  # of text, in its own size
LONG, LONGEST = (
    16,
    26,
)  # letters from which a name takes two lines, and at which a line is cut short
DASHES = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
"""Sessions are told apart without colour too."""
LINE_INCHES, LETTER_INCHES = 0.16, 0.0092  # of the legend; of a letter, for each point of its size
GAP_INCHES = 0.05  # between a name and what it stands beside
LEGEND_COLUMNS, LEGEND_POINTS = 4, 7.6
HANDLE_INCHES = 0.5  # of a legend: the piece of line before a name, and the room behind it
RING: dict[str, Any] = {"color": RULE, "linewidth": 0.8}  # Any: as matplotlib takes them
LEADER: dict[str, Any] = {"color": RULE, "linewidth": 0.6}
HALO: dict[str, Any] = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.8}
ZERO: dict[str, Any] = {"color": MUTED, "linewidth": 1.0, "linestyle": (0, (3, 2))}


def radar_limit(profiles: Sequence[Profile]) -> float:
    """Return the radius all radars of a protocol share, in standard deviations."""
    reach = [np.nanmax(np.abs(p.mean)) for p in profiles if p.is_known]
    return float(min(RADAR_MOST, max([1.0, *(float(np.ceil(r * 2) / 2) for r in reach)])))


@dataclass(frozen=True)
class _Label:
    """A feature's name beside the rings.

    Args:
        text: in one or two lines.
        side: 1 right of the rings, −1 left of them, 0 above or below.
        x: of the edge that is turned to the rings (of the middle where side is 0), in inches from the centre.
        y: of its middle.
    """

    text: str
    side: int
    x: float
    y: float


def _folded(name: str) -> str:
    """Break a long name at the space nearest to its middle, and cut short what is still too long."""
    middle = len(name) / 2
    spaces = [i for i, letter in enumerate(name) if letter == " "]
    lines = [name]
    if len(name) > LONG and spaces:
        at = min(spaces, key=lambda i: abs(i - middle))
        lines = [name[:at], name[at + 1 :]]
    return "\n".join(t if len(t) <= LONGEST else t[: LONGEST - 1] + "…" for t in lines)


def _letters(text: str) -> int:
    """Count the letters of the longest line, those of East Asian scripts twice."""
    return max(
        sum(2 if east_asian_width(letter) in "WF" else 1 for letter in line)
        for line in text.split("\n")
    )


def _apart(wanted: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move places (n,), from top to bottom, as little as keeps labels of these heights off one another.

    Labels that meet form a block, which stands where its labels wish to stand on average.
    """
    blocks: list[tuple[float, float, int]] = []  # middle, height, labels
    for place, height in zip(wanted, heights, strict=True):
        blocks.append((float(place), float(height), 1))
        while len(blocks) > 1:
            (high, above, more), (low, below, count) = blocks[-2:]
            if high - low >= (above + below) / 2 - 1e-9:
                break
            middle = (high * more + low * count) / (more + count)
            blocks[-2:] = [(middle, above + below, more + count)]
    tops = [np.full(count, middle + height / 2) for middle, height, count in blocks]
    first = np.cumsum([0, *(count for _, _, count in blocks)])[:-1]
    gone = np.cumsum(heights) - heights
    before = np.concatenate(
        [gone[f : f + c] - gone[f] for f, (_, _, c) in zip(first, blocks, strict=True)]
    )
    return np.asarray(np.concatenate(tops) - before - heights / 2)


def _labels_around(
    names: Sequence[str], angles: NDArray[np.float64], reach: float, line: float
) -> list[_Label]:
    """Place the names of features around a circle so that none covers another.

    Args:
        names: clockwise.
        angles: clockwise from the top.
        reach: radius outside of which labels stand, in inches.
        line: height of a line of text.
    """
    texts = [_folded(name) for name in names]
    heights = np.array([line * (1 + text.count("\n")) for text in texts])
    across, up = np.sin(angles), reach * np.cos(angles)
    sides = np.where(np.abs(across) < 1e-3, 0, np.sign(across)).astype(int)
    up = up + np.where(sides == 0, np.sign(up) * (heights - line) / 2, 0.0)
    placed: dict[int, _Label] = {}
    for side in (-1, 1):
        own = np.flatnonzero((sides == side) | (sides == 0))
        own = own[np.argsort(-up[own], kind="stable")]
        for node, y in zip(own, _apart(up[own], heights[own]), strict=True):
            x = max(np.sqrt(max(reach**2 - y**2, 0.0)), GAP_INCHES)
            if sides[node]:
                placed[int(node)] = _Label(texts[node], side, side * float(x), float(y))
            elif abs(y) >= abs(placed[int(node)].y if int(node) in placed else 0.0):
                placed[int(node)] = _Label(texts[node], 0, 0.0, float(y))
    return [placed[number] for number in range(len(texts))]


def _columns(legend: Sequence[str], width: float) -> int:
    """Return how many names of a legend stand side by side on a sheet of this width, in inches."""
    if not legend:
        return 1
    widest = max(map(_letters, legend)) * LEGEND_POINTS * LETTER_INCHES + HANDLE_INCHES
    return int(np.clip(width // widest, 1, min(LEGEND_COLUMNS, len(legend))))


class _Sheet:
    """A sheet of paper with the rings, spokes and names of one radar plot.

    Args:
        labels: of the features, clockwise from the top.
        limit: value at the rim; −limit lies in the centre.
        legend: names that are to have room below.
    """

    def __init__(self, labels: Sequence[str], limit: float, legend: Sequence[str] = ()) -> None:
        self.limit = limit
        crowded = len(labels) > CROWDED
        self._points = 7.6 if crowded else 8.5
        line = self._points / 72 * LINE_HEIGHT
        # Where there are very many, the circle is as high as their names on either side.
        self._radius = max(1.35 if crowded else 1.15, len(labels) * line / 4)
        # Half a step off the top where there are many: two labels share the top, none stands on it.
        turn = np.pi / len(labels) if crowded else 0.0
        self._angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False) - turn
        placed = _labels_around(labels, self._angles, self._radius * 1.1, line)
        letter = self._points * LETTER_INCHES
        wide = [_letters(label.text) * letter for label in placed]
        half = max(
            self._radius * 1.1 + GAP_INCHES,
            *(abs(t.x) + (w if t.side else w / 2) for t, w in zip(placed, wide, strict=True)),
        )
        high = max(self._radius * 1.1, *(abs(t.y) for t in placed)) + line * 1.2
        width = 2 * half + 0.1
        self.columns = _columns(legend, width)
        lines = -(-len(legend) // self.columns)
        below = lines * LINE_INCHES + (0.08 if lines else 0.0)
        height = 2 * high + below
        self._centre = width / 2, below + high
        self.figure = Figure(figsize=(width, height))
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(0, height)
        self._rings()
        self._spokes(placed)

    def _place(
        self, angles: NDArray[np.float64], radii: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return x and y in inches of angles clockwise from the top and radii in inches."""
        x, y = self._centre
        return np.stack((x + radii * np.sin(angles), y + radii * np.cos(angles)))

    def _inches(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        shown = np.clip(values, -self.limit, self.limit)
        return (shown + self.limit) / (2 * self.limit) * self._radius

    def _closed(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return x and y of a profile's line, which ends where it begins."""
        around, radii = (np.append(v, v[:1]) for v in (self._angles, self._inches(values)))
        return self._place(around, radii)

    def _rings(self) -> None:
        rings = [
            r
            for r in np.arange(-np.floor(self.limit), self.limit + 0.1)
            if abs(r) < self.limit + 1e-9
        ]
        shown = rings if len(rings) <= 5 else [r for r in rings if r % 2 == 0]
        step = self._angles[0] + np.pi / len(self._angles)
        for value in (*shown, self.limit):
            radius = float(self._inches(np.array(value)))
            style = ZERO if value == 0 else RING
            self.axes.add_patch(Circle(self._centre, radius, fill=False, **style))
        for value in shown:
            x, y = self._place(np.array([step]), self._inches(np.array([value])))[:, 0]
            told = signed(value, "+.0f").replace("+0", "0")
            self.axes.text(x, y, told, fontsize=7.5, color=MUTED, ha="center", va="center",
                           zorder=2.2, bbox=HALO)  # fmt: skip

    def _spokes(self, labels: Sequence[_Label]) -> None:
        ends = self._place(self._angles, np.full(len(labels), self._radius))
        x, y = self._centre
        for label, (one, two) in zip(labels, ends.T, strict=True):
            self.axes.plot((x, one), (y, two), **RING)
            self.axes.plot((one, x + label.x), (two, y + label.y), **LEADER)
            ha = {0: "center", 1: "left", -1: "right"}[label.side]
            self.axes.text(
                x + label.x + label.side * GAP_INCHES / 2,
                y + label.y,
                label.text,
                va="center",
                ha=ha,
                fontsize=self._points,
                linespacing=1.0,
            )

    def line(self, profile: Profile, **style: object) -> Line2D:
        """Draw a profile; what lies beyond the rim is drawn on it."""
        return self.axes.plot(*self._closed(profile.mean), **style)[0]  # type: ignore[arg-type]  # as matplotlib's

    def spread(self, profile: Profile) -> None:
        """Draw what lies within a standard deviation of a class's mean, and its points.

        A point whose mean lies beyond the rim is open.
        """
        low, high = (self._closed(profile.mean + n * profile.std) for n in (-1, 1))
        ring = np.concatenate((high, low[:, ::-1]), axis=1)
        if np.isfinite(ring).all():
            self.axes.fill(*ring, color=profile.colour, alpha=0.22, linewidth=0)
        x, y = self._closed(profile.mean)[:, :-1]
        beyond = np.abs(profile.mean) > self.limit
        for which, filling in ((~beyond, profile.colour), (beyond, PAPER)):
            self.axes.plot(x[which], y[which], "o", color=profile.colour, markersize=3.6,
                           markerfacecolor=filling, zorder=3)  # fmt: skip


@drawing
def radar(
    profile: Profile, others: Sequence[Profile], labels: Sequence[str], limit: float, name: str
) -> Markup:
    """Draw one class's profile with features around, the other classes faint behind it."""
    sheet = _Sheet(labels, limit)
    for other in others:
        sheet.line(other, color=other.colour, linewidth=0.9, alpha=0.45)
    sheet.spread(profile)
    sheet.line(
        profile, color=MUTED, linewidth=3.0, zorder=2.4
    )  # rim: some colours are as dark as a page
    sheet.line(profile, color=profile.colour, linewidth=2.2, zorder=2.5)
    worst = int(np.nanargmax(np.abs(profile.mean))) if profile.is_known else 0
    alt = (
        f"Radar plot of class {profile.name}: {len(labels)} features around, scale −{limit:g} to "
        f"+{limit:g} standard deviations; farthest from the mean is {labels[worst]} "
        f"at {profile.mean[worst]:+.1f}."
    )
    return to_svg(sheet.figure, alt, name)


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
    told = [plain_text(p.name) for p in sessions] + ["reference"] * (reference is not None)
    sheet = _Sheet(labels, limit, told)
    handles = [
        sheet.line(
            profile,
            linewidth=1.8,
            color=SERIES[number % len(SERIES)],
            linestyle=DASHES[number // len(SERIES) % len(DASHES)],
        )
        for number, profile in enumerate(sessions)
    ]
    if reference is not None:
        handles.append(sheet.line(reference, color=INK, linewidth=0.9))
    # matplotlib fills column by column, people read row by row
    order = sorted(range(len(told)), key=lambda n: (n % sheet.columns, n))
    sheet.axes.legend([handles[n] for n in order], [told[n] for n in order], loc="lower center",
                      ncols=sheet.columns, fontsize=LEGEND_POINTS, borderaxespad=0,
                      columnspacing=1.2)  # fmt: skip
    base = reference or sessions[0]
    apart = [float(np.nanmax(np.abs(p.mean - base.mean))) for p in sessions if p.is_known]
    alt = (
        f"Radar plot of one class in {plural(len(sessions), 'session')}: {len(labels)} features around, scale "
        f"−{limit:g} to +{limit:g} standard deviations; no feature lies further than "
        f"{max(apart, default=0.0):.2f} from the {'reference' if reference else 'first'}."
    )
    return to_svg(sheet.figure, alt, name)
