"""Burden over sessions: volume, glycolysis and sum of axes side by side, one line per subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from somray.report.data import Rows
from somray.report.drawing.changes import OPEN, RESPONSES, TimeAxis, mark_key
from somray.report.drawing.style import INK, MUTED, SERIES, chart, drawing, plain_text, to_svg
from somray.report.drawing.table import number

__all__ = ["SubjectBurden", "burden_chart"]

MOST_NAMED = 8  # lines in colour and with a name
MOST_VALUES = 12  # points that get their number


@dataclass(frozen=True)
class _Panel:
    """One figure over time: column of `burden`, what it is divided by, its name."""

    column: str
    per: float
    label: str


_PANELS = (
    _Panel("volume_mm3", 1000.0, "volume (ml)"),
    _Panel("tlg", 1.0, "TLG (uptake·ml)"),
    _Panel("axes_mm", 1.0, "sum of axes (mm)"),
)


@dataclass(frozen=True)
class SubjectBurden:
    """One subject's rows of `burden` at time index 0, in order of time, and where they stand."""

    time: TimeAxis
    rows: Rows


Subjects = Mapping[str, SubjectBurden]


@drawing
def burden_chart(subjects: Subjects, name: str) -> Markup:
    """Draw what is known of each subject's burden over its sessions, responses marked."""
    every = [r for burden in subjects.values() for r in burden.rows]
    shown = [p for p in _PANELS if any(r[p.column] is not None for r in every)]
    figure, first = chart(3.3 * len(shown) + 1.0, 2.9)
    first.remove()
    panels = [figure.add_subplot(1, len(shown), n + 1) for n in range(len(shown))]
    for axes, panel in zip(panels, shown, strict=True):
        for rank, (subject, burden) in enumerate(subjects.items()):
            named = len(subjects) <= MOST_NAMED
            colour = SERIES[rank] if named else MUTED
            alone = len(subjects) == 1
            _line(axes, panel, burden, colour, "" if alone or not named else subject, alone)
        _frame(axes, [b.time for b in subjects.values()], panel.label)
    for response in (r for r in RESPONSES if any(row["response"] == r for row in every)):
        mark_key(panels[-1], response, RESPONSES[response].sign)
    if any(r["doubt"] and not r["response"] for r in every):
        mark_key(panels[-1], "no response told", OPEN)
    if panels[-1].get_legend_handles_labels()[0]:
        panels[-1].legend(loc="upper left", bbox_to_anchor=(1.12, 1))
    what = ", ".join(p.label for p in shown)
    lone = next(iter(subjects), "")
    who = f"of subject {lone}" if len(subjects) == 1 else f"of {len(subjects)} subjects"
    return to_svg(figure, f"{what[:1].upper()}{what[1:]} {who} over sessions.", name)


def _line(
    axes: Axes, panel: _Panel, burden: SubjectBurden, colour: str, label: str, alone: bool
) -> None:
    """Draw one subject: points of sessions, each with its response's mark or its doubt's.

    A subject that stands alone gets its values instead of its name, where they are few.
    """
    rows = [r for r in burden.rows if r[panel.column] is not None]
    if not rows:
        return
    x = [burden.time.place(r["session"]) for r in rows]
    y = [r[panel.column] / panel.per for r in rows]
    width = 0.9 if colour == MUTED else 1.7
    axes.plot(x, y, color=colour, linewidth=width, marker="o", markersize=3)
    for place, value, row in zip(x, y, rows, strict=True):
        response = RESPONSES.get(row["response"])
        mark = response.sign if response else OPEN if row["doubt"] else ""
        if mark:
            axes.plot(place, value, marker=mark, color=colour, markersize=8 if mark == OPEN else 6.5,
                      markeredgecolor=INK, markeredgewidth=0.5, zorder=3)  # fmt: skip
        if alone and len(rows) <= MOST_VALUES:
            axes.annotate(number(value, 1), (place, value), xytext=(0, 7), fontsize=7.5,
                          textcoords="offset points", ha="center", color=INK)  # fmt: skip
    if label:
        axes.annotate(plain_text(label), (x[-1], y[-1]), xytext=(6, 0), fontsize=7.5,
                      textcoords="offset points", va="center", color=colour)  # fmt: skip


def _frame(axes: Axes, times: Sequence[TimeAxis], label: str) -> None:
    places = sorted({p for time in times for p in time.places})
    in_days = all(time.in_days for time in times)
    axes.set_xlabel("days" if in_days and len(times) > 1 else "session")
    span = (places[-1] - places[0]) or 1.0
    axes.set_xlim(places[0] - 0.12 * span, places[-1] + 0.16 * span)
    axes.set_ylim(0, max(axes.get_ylim()[1] * 1.1, 1e-3))
    axes.set_title(label, loc="left")
    axes.grid(axis="y")
    if len(times) == 1:
        axes.set_xticks(times[0].places, [plain_text(s) for s in times[0].sessions])
    elif not in_days:
        axes.set_xticks(np.arange(int(places[-1]) + 1))
