"""Radar plots of a class: its features around, in standard deviations of the reference.

The radius runs from −limit (centre) to +limit (rim), the ring at 0 is the reference's mean; a class that means the
same keeps its shape. Drawn in inches on a plain sheet: matplotlib's polar axes take ten times as long, and a page
holds one plot for each class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from somray.report.drawing.classes import Profile
from somray.report.drawing.style import (
    INK,
    MUTED,
    RULE,
    SERIES,
    drawing,
    plain_text,
    to_svg,
)
from somray.report.drawing.table import signed

__all__ = ["radar", "radar_limit", "radar_over_sessions"]

RADAR_MOST = 4.0  # standard deviations; a profile beyond is drawn on the rim
CROWDED = 12  # features from which a radar plot needs more room
DASHES = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
"""Sessions are told apart without colour too."""
LINE_INCHES, LETTER_INCHES = 0.16, 0.0086  # of the legend; of a letter, for each point of its size
LEGEND_COLUMNS = 4
RING: dict[str, Any] = {"color": RULE, "linewidth": 0.8}  # Any: as matplotlib takes them
ZERO: dict[str, Any] = {"color": MUTED, "linewidth": 1.0, "dashes": (3, 2)}


def radar_limit(profiles: Sequence[Profile]) -> float:
    """Return the radius all radars of a protocol share, in standard deviations."""
    reach = [np.nanmax(np.abs(p.mean)) for p in profiles if p.is_known]
    return float(min(RADAR_MOST, max([1.0, *(float(np.ceil(r * 2) / 2) for r in reach)])))


class _Sheet:
    """A sheet of paper with the rings, spokes and names of one radar plot.

    Args:
        labels: of the features, clockwise from the top.
        limit: value at the rim; −limit lies in the centre.
        legend: lines to be left free below.
    """

    def __init__(self, labels: Sequence[str], limit: float, legend: int = 0) -> None:
        self.limit = limit
        crowded = len(labels) > CROWDED
        self._points = 7.6 if crowded else 8.5
        self._radius = 1.35 if crowded else 1.15
        # Half a step off the top where there are many: two labels share the top, none stands on it.
        turn = np.pi / len(labels) if crowded else 0.0
        self._angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False) - turn
        across = np.abs(np.sin(self._angles))
        wide = [len(t) * self._points * LETTER_INCHES for t in labels]
        reach = self._radius * 1.1
        half = max(reach * a + w for a, w in zip(across, wide, strict=True))
        width, below = 2 * half + 0.1, legend * LINE_INCHES + (0.08 if legend else 0.0)
        height = 2 * reach + 0.36 + below
        self._centre = width / 2, below + reach + 0.18
        self.figure = Figure(figsize=(width, height))
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(0, height)
        self._rings()
        self._spokes(labels, reach)

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
        around = np.linspace(0, 2 * np.pi, 121)
        rings = [
            r
            for r in np.arange(-np.floor(self.limit), self.limit + 0.1)
            if abs(r) < self.limit + 1e-9
        ]
        shown = rings if len(rings) <= 5 else [r for r in rings if r % 2 == 0]
        step = self._angles[0] + np.pi / len(self._angles)
        for value in (*shown, self.limit):
            radius = np.full_like(around, self._inches(np.array(value)))
            style = ZERO if value == 0 else RING
            self.axes.plot(*self._place(around, radius), **style)
        for value in shown:
            x, y = self._place(np.array([step]), self._inches(np.array([value])))[:, 0]
            told = signed(value, "+.0f").replace("+0", "0")
            self.axes.text(x, y, told, fontsize=7.5, color=MUTED, ha="center", va="center")

    def _spokes(self, labels: Sequence[str], reach: float) -> None:
        ends = self._place(self._angles, np.full(len(labels), self._radius))
        x, y = self._centre
        for one, two in ends.T:
            self.axes.plot((x, one), (y, two), **RING)
        places = self._place(self._angles, np.full(len(labels), reach))
        for angle, label, (one, two) in zip(self._angles, labels, places.T, strict=True):
            across = np.sin(angle)  # labels grow away from the circle, so that none meets another
            side = "center" if abs(across) < 1e-3 else "left" if across > 0 else "right"
            self.axes.text(one, two, label, va="center", ha=side, fontsize=self._points)

    def line(self, profile: Profile, **style: object) -> Line2D:
        """Draw a profile; what lies beyond the rim is drawn on it."""
        return self.axes.plot(*self._closed(profile.mean), **style)[0]  # type: ignore[arg-type]  # as matplotlib's

    def spread(self, profile: Profile) -> None:
        """Draw what lies within a standard deviation of a class's mean, and its points."""
        low, high = (self._closed(profile.mean + n * profile.std) for n in (-1, 1))
        ring = np.concatenate((high, low[:, ::-1]), axis=1)
        if np.isfinite(ring).all():
            self.axes.fill(*ring, color=profile.colour, alpha=0.22, linewidth=0)
        points = self._closed(profile.mean)[:, :-1]
        self.axes.plot(*points, "o", color=profile.colour, markersize=3.2)


@drawing
def radar(
    profile: Profile, others: Sequence[Profile], labels: Sequence[str], limit: float, name: str
) -> Markup:
    """Draw one class's profile with features around, the other classes faint behind it."""
    sheet = _Sheet(labels, limit)
    for other in others:
        sheet.line(other, color=other.colour, linewidth=0.9, alpha=0.45)
    sheet.spread(profile)
    sheet.line(profile, color=profile.colour, linewidth=2.2)
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
    columns = min(LEGEND_COLUMNS, len(told))
    sheet = _Sheet(labels, limit, legend=-(-len(told) // columns))
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
    sheet.axes.legend(
        handles, told, loc="lower center", ncols=columns, fontsize=7.6, borderaxespad=0
    )
    base = reference or sessions[0]
    apart = [float(np.nanmax(np.abs(p.mean - base.mean))) for p in sessions if p.is_known]
    alt = (
        f"Radar plot of one class in {len(sessions)} sessions: {len(labels)} features around, scale "
        f"−{limit:g} to +{limit:g} standard deviations; no feature lies further than "
        f"{max(apart, default=0.0):.2f} from the {'reference' if reference else 'first'}."
    )
    return to_svg(sheet.figure, alt, name)
