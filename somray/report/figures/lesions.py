"""Charts over time and over scans: lesion volumes by session, overlap with the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from somray.report.drawing.style import INK, MUTED, SERIES, chart, drawing, plain_text, to_svg

__all__ = ["CHANGES", "TimeAxis", "lesion_volumes", "truth_scores"]

CHANGES = {
    "new": ("P", "not there before"),
    "resolved": ("X", "not there any more"),
    "enlarging": ("^", "grown by more than the threshold"),
    "shrinking": ("v", "shrunk by more than the threshold"),
    "stable": ("o", "changed by less than the threshold"),
    "merged": ("D", "grown together with another"),
    "split": ("*", "fallen into parts"),
}
"""Kind of change to its mark and what it means."""
OPEN = r"$?$"  # mark of a change that could not be named

MOST_LINES = 12  # lesions drawn in colour; smaller ones stay grey
WIDE_RANGE = 50.0  # largest over smallest volume from which a linear axis hides the small ones
LABEL_GAP = 0.048  # of the axes' height: one line of text
_DASHES = ("-", "--", "-.", ":")
_METHODS = {
    "som": ("SOM (direct transfer)", "s", "--", SERIES[0]),
    "student": ("student", "o", "-", SERIES[1]),
    "lesions": ("lesions (objects)", "^", "-.", SERIES[2]),
}
"""Label, mark, line and colour of each mask that is compared with the truth."""


@dataclass(frozen=True)
class TimeAxis:
    """Where the sessions of a subject stand on the x axis: days, or 0, 1, 2 … where days are unknown."""

    sessions: tuple[str, ...]
    places: tuple[float, ...]
    in_days: bool

    @classmethod
    def of(cls, rows: Sequence[dict[str, Any]]) -> "TimeAxis":  # Any: rows of `scans`
        """Build from a subject's scans in order of time."""
        sessions = tuple(str(r["session"]) for r in rows)
        days = [r["days"] for r in rows]
        if len(set(days)) == len(days) and all(d is not None for d in days):
            return cls(sessions, tuple(float(d) for d in days), True)
        return cls(sessions, tuple(float(i) for i in range(len(rows))), False)

    def place(self, session: str) -> float:
        """Return a session's place."""
        return self.places[self.sessions.index(session)]


@drawing
def lesion_volumes(
    lesions: Sequence[dict[str, Any]],  # Any: plain table rows
    evolution: Sequence[dict[str, Any]],
    time: TimeAxis,
    name: str,
) -> Markup:
    """Draw the volume of every lesion over the sessions, each change marked where it was found."""
    figure, axes = chart(7.4, 3.8)
    volumes: dict[int, dict[str, float]] = {}
    for row in lesions:
        volumes.setdefault(row["lesion_id"], {})[row["session"]] = row["volume_mm3"] / 1000
    by_size = sorted(volumes, key=lambda i: (-max(volumes[i].values()), i))
    _volume_scale(axes, [v for by_session in volumes.values() for v in by_session.values()])
    ends: dict[float, list[tuple[float, str, str]]] = {}
    for rank, lesion in reversed(list(enumerate(by_size))):
        shown = rank < MOST_LINES
        colour = SERIES[rank % len(SERIES)] if shown else MUTED
        line = _DASHES[rank // len(SERIES) % len(_DASHES)] if shown else "-"
        end = _one_lesion(axes, volumes[lesion], time, (colour, line, shown))
        if shown:
            ends.setdefault(end[0], []).append((end[1], f"#{lesion}", colour))
        changes = [r for r in evolution if r["lesion_id"] == lesion]
        _changes(axes, changes, volumes[lesion], time, colour)
    seen = [kind for kind in CHANGES if any(r["change"] == kind for r in evolution)]
    for kind in seen:
        axes.plot([], [], CHANGES[kind][0], color=INK, markersize=6, label=kind)
    doubted = sum(r["change"] is None for r in evolution)
    if doubted:
        axes.plot([], [], marker=OPEN, linestyle="", color=INK, markersize=6, label="in doubt")
    _time_frame(axes, time)
    for place, labels in ends.items():
        _end_labels(axes, place, labels)
    if seen or doubted:
        axes.legend(loc="upper left", bbox_to_anchor=(1.06, 1), title="change", alignment="left")
    counts = ", ".join(f"{sum(r['change'] == k for r in evolution)} {k}" for k in seen)
    counts += f"{', ' if seen else ''}{doubted} in doubt" if doubted else ""
    alt = (
        f"Volumes of {len(volumes)} lesions over {len(time.sessions)} sessions; "
        f"changes: {counts or 'none'}."
    )
    return to_svg(figure, alt, name)


def _volume_scale(axes: Axes, volumes: Sequence[float]) -> None:
    """Scale volumes linearly, or, where they span much, logarithmically above the smallest."""
    known = [v for v in volumes if v > 0]
    if known and max(known) / min(known) > WIDE_RANGE:
        least = 10 ** np.floor(np.log10(min(known)))
        axes.set_yscale("symlog", linthresh=least, linscale=0.4)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(f"volume (ml), logarithmic above {least:g}")
        axes.set_ylim(0, 2.0 * max(known))
    else:
        axes.set_ylabel("volume (ml)")
        axes.set_ylim(0, 1.08 * max([*known, 1e-3]))


def _end_labels(axes: Axes, place: float, labels: list[tuple[float, str, str]]) -> None:
    """Name the lines that end at one session, pushed apart so that no name covers another."""
    height = axes.transScale + axes.transLimits  # data to the axes' own 0..1, whatever the layout
    last = -1.0
    for value, text, colour in sorted(labels):
        wanted = float(height.transform((place, value))[1])
        last = max(wanted, last + LABEL_GAP)
        axes.annotate(
            text,
            (place, last),
            xycoords=("data", "axes fraction"),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
        )


def _one_lesion(
    axes: Axes, volumes: dict[str, float], time: TimeAxis, look: tuple[str, str, bool]
) -> tuple[float, float]:
    """Draw one lesion's line, broken where a session does not show it; return its last point."""
    colour, line, shown = look
    values = [volumes.get(s, np.nan) for s in time.sessions]
    axes.plot(
        time.places,
        values,
        color=colour,
        linestyle=line,
        marker="o",
        markersize=3.4,
        linewidth=1.8 if shown else 0.8,
        alpha=1.0 if shown else 0.6,
    )
    last = max(i for i, v in enumerate(values) if np.isfinite(v))
    return time.places[last], values[last]


def _changes(
    axes: Axes,
    changes: Sequence[dict[str, Any]],
    volumes: dict[str, float],
    time: TimeAxis,
    colour: str,
) -> None:
    for row in changes:
        if row["from_session"] not in time.sessions or row["to_session"] not in time.sessions:
            continue
        start, end = time.place(row["from_session"]), time.place(row["to_session"])
        before, after = volumes.get(row["from_session"]), volumes.get(row["to_session"])
        if after is None and before is not None:  # a dotted line down to "not there"
            axes.plot([start, end], [before, 0], color=colour, linestyle=":", linewidth=1.1)
        if after is not None and before is None:
            axes.plot([start, end], [0, after], color=colour, linestyle=":", linewidth=1.1)
        mark = CHANGES[row["change"]][0] if row["change"] else OPEN
        axes.plot(
            end,
            after or 0.0,
            marker=mark,
            color=colour,
            markersize=7.5,
            markeredgecolor=INK,
            markeredgewidth=0.5,
            clip_on=False,
            zorder=3,
        )


def _time_frame(axes: Axes, time: TimeAxis) -> None:
    labels = [plain_text(s) for s in time.sessions]
    if time.in_days:
        labels = [f"{s}\nday {d:g}" for s, d in zip(labels, time.places, strict=True)]
    axes.set_xticks(time.places, labels)
    span = (max(time.places) - min(time.places)) or 1.0
    axes.set_xlim(min(time.places) - 0.06 * span, max(time.places) + 0.08 * span)
    axes.set_xlabel("session" if not time.in_days else "session, to scale in days")
    axes.grid(axis="y")


@drawing
def truth_scores(rows: Sequence[dict[str, Any]], name: str) -> Markup:
    """Draw the Dice overlap with the truth of every scan, sorted, all methods side by side.

    Args:
        rows: of `truth`, one per scan and method: those of one label, or of the union.
        name: what the picture's marks are named after.
    """
    figure, axes = chart(5.0, 3.2)
    told = []
    for method, (label, marker, line, colour) in _METHODS.items():
        scores = sorted(
            (r["dice"] for r in rows if r["method"] == method and r["dice"] is not None),
            reverse=True,
        )
        if not scores:
            continue
        axes.plot(
            range(1, len(scores) + 1),
            scores,
            marker,
            color=colour,
            linestyle=line,
            linewidth=1,
            markersize=4.5,
            label=f"{label}, mean {np.mean(scores):.2f}",
        )
        told.append(f"{label} mean {np.mean(scores):.2f} over {len(scores)}")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("scans, each method sorted by its own score")
    axes.set_ylabel("Dice with the truth")
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if told:
        axes.legend(loc="best")
    return to_svg(figure, f"Dice with the truth: {'; '.join(told) or 'none'}.", name)
