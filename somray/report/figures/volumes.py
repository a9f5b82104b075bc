"""Lesion volumes by session, one line per lesion, every change marked where it was found."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from somray.report.data import Rows
from somray.report.drawing.changes import (
    CHANGES,
    OPEN,
    LesionTables,
    TimeAxis,
    counted,
    mark_key,
)
from somray.report.drawing.scales import volume_unit
from somray.report.drawing.style import INK, MUTED, SERIES, chart, drawing, plain_text, to_svg

__all__ = ["lesion_volumes"]

MOST_LINES = 12  # lesions drawn in colour; smaller ones stay grey
WIDE_RANGE = 50.0  # largest over smallest volume from which a linear axis hides the small ones
ASIDE = 0.022  # of the time shown: one mark on the axis beside another
LABEL_GAP = 0.048  # of the axes' height: one line of text
_DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class _LineEnd:
    """Where a lesion's line ends, and the name that it gets there."""

    volume: float
    text: str
    colour: str


@drawing
def lesion_volumes(tables: LesionTables, time: TimeAxis, name: str) -> Markup:
    """Draw the volume of every lesion over the sessions; its rows of `lesions` are those at time index 0."""
    lesions, evolution = tables.lesions, tables.evolution
    figure, axes = chart(7.4, 3.8)
    unit, per_mm3 = volume_unit(max((r["volume_mm3"] for r in lesions), default=0.0))
    volumes: dict[int, dict[str, float]] = {}
    for row in lesions:
        volumes.setdefault(row["lesion_id"], {})[row["session"]] = row["volume_mm3"] * per_mm3
    changes: dict[int, Rows] = defaultdict(list)
    for row in evolution:
        changes[row["lesion_id"]].append(row)
    every = [v for by_session in volumes.values() for v in by_session.values()]
    _volume_scale(axes, every, unit)
    ends: dict[float, list[_LineEnd]] = defaultdict(list)
    gone: Counter[float] = Counter()
    for lesion, rank in reversed(tables.ranks.items()):
        shown = rank < MOST_LINES
        colour = SERIES[rank % len(SERIES)] if shown else MUTED
        line = _DASHES[rank // len(SERIES) % len(_DASHES)] if shown else "-"
        values = [volumes[lesion].get(s, np.nan) for s in time.sessions]  # broken where not seen
        axes.plot(time.places, values, color=colour, linestyle=line, marker="o", markersize=3.4,
                  linewidth=1.8 if shown else 0.8, alpha=1.0 if shown else 0.6)  # fmt: skip
        last = max(i for i, v in enumerate(values) if np.isfinite(v))
        if shown:
            ends[time.places[last]].append(_LineEnd(values[last], f"#{lesion}", colour))
        _changes(axes, changes[lesion], volumes[lesion], time, _Hand(colour, gone))
    for kind in CHANGES:
        if any(r["change"] == kind for r in evolution):
            mark_key(axes, kind, CHANGES[kind].sign)
    doubted = sum(r["change"] is None for r in evolution)
    if doubted:
        mark_key(axes, "in doubt", OPEN)
    _time_frame(axes, time)
    for place, labels in ends.items():
        _end_labels(axes, place, labels)
    if evolution:
        axes.legend(loc="upper left", bbox_to_anchor=(1.06, 1), title="change", alignment="left")
    changes_told = counted(Counter(r["change"] for r in evolution))
    told = ", ".join(c for c in (changes_told, f"{doubted} in doubt" if doubted else "") if c)
    alt = f"Volumes of {tables.told} over {len(time.sessions)} sessions"
    return to_svg(figure, f"{alt}; changes: {told or 'none'}.", name)


def _volume_scale(axes: Axes, volumes: Sequence[float], unit: str) -> None:
    """Scale volumes linearly, or, where they span much, logarithmically above the smallest."""
    known = [v for v in volumes if v > 0]
    if known and max(known) / min(known) > WIDE_RANGE:
        least = 10 ** np.floor(np.log10(min(known)))
        axes.set_yscale("symlog", linthresh=least, linscale=0.4)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(f"volume ({unit}), logarithmic above {least:g}")
        axes.set_ylim(0, 2.0 * max(known))
    else:
        axes.set_ylabel(f"volume ({unit})")
        axes.set_ylim(0, 1.08 * max([*known, 1e-3]))


def _end_labels(axes: Axes, place: float, ends: Sequence[_LineEnd]) -> None:
    """Name the lines that end at one session, pushed apart so that no name covers another."""
    height = axes.transScale + axes.transLimits  # data to the axes' own 0..1, whatever the layout
    ordered = sorted(ends, key=lambda e: (e.volume, e.text))
    places: list[float] = []
    for end in ordered:
        wanted = float(height.transform((place, end.volume))[1])
        places.append(max(wanted, places[-1] + LABEL_GAP) if places else wanted)
    most = 1.0
    for rank in reversed(range(len(places))):  # and none above the frame
        places[rank] = min(places[rank], most)
        most = places[rank] - LABEL_GAP
    for end, at in zip(ordered, places, strict=True):
        axes.annotate(end.text, (place, at), xycoords=("data", "axes fraction"), xytext=(7, 0),
                      textcoords="offset points", va="center", fontsize=8, color=end.colour)  # fmt: skip


@dataclass(frozen=True)
class _Hand:
    """A lesion's colour, and how many lesions are marked as gone at each place, whichever they are."""

    colour: str
    gone: Counter[float]


def _changes(
    axes: Axes, changes: Rows, volumes: Mapping[str, float], time: TimeAxis, hand: _Hand
) -> None:
    """Mark each change at its later session; dotted lines lead to or from "not there"."""
    beside = ASIDE * (max(time.places) - min(time.places))
    for row in changes:
        if row["from_session"] not in time.sessions or row["to_session"] not in time.sessions:
            continue
        before, after = (volumes.get(row[s]) for s in ("from_session", "to_session"))
        start, end = time.place(row["from_session"]), time.place(row["to_session"])
        if after is None:  # marks on the axis would cover each other
            hand.gone[end] += 1
            end -= (hand.gone[end] - 1) * beside
        if (before is None) != (after is None):
            axes.plot([start, end], [before or 0, after or 0], color=hand.colour, linestyle=":",
                      linewidth=1.1)  # fmt: skip
        mark = CHANGES[row["change"]].sign if row["change"] else OPEN
        axes.plot(end, after or 0.0, marker=mark, color=hand.colour, markersize=7.5, zorder=3,
                  markeredgecolor=INK, markeredgewidth=0.5, clip_on=False)  # fmt: skip


def _time_frame(axes: Axes, time: TimeAxis) -> None:
    labels = [plain_text(s) for s in time.sessions]
    if time.in_days:
        labels = [f"{s}\nday {d:g}" for s, d in zip(labels, time.places, strict=True)]
    axes.set_xticks(time.places, labels)
    span = (max(time.places) - min(time.places)) or 1.0
    axes.set_xlim(min(time.places) - 0.06 * span, max(time.places) + 0.08 * span)
    axes.set_xlabel("session, to scale in days" if time.in_days else "session")
    axes.grid(axis="y")
