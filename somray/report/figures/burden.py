"""Burden over sessions: volume, glycolysis and sum of axes side by side, one line per subject."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from somray.report.drawing.listing import number
from somray.report.drawing.style import INK, MUTED, SERIES, chart, drawing, plain_text, to_svg
from somray.report.figures.lesions import TimeAxis

__all__ = ["RESPONSES", "burden_chart"]

RESPONSES: Mapping[str, tuple[str, str]] = {
    "CR": ("X", "complete response: no lesion is left"),
    "PR": ("v", "partial response: the targets shrank"),
    "SD": ("o", "stable disease"),
    "PD": ("^", "progressive disease: growth or a new lesion"),
    "CMR": ("X", "complete metabolic response: no lesion is left"),
    "PMR": ("v", "partial metabolic response: the hottest lesion cooled"),
    "SMD": ("o", "stable metabolic disease"),
    "PMD": ("^", "progressive metabolic disease: hotter, or a new lesion"),
}
"""Response to its mark and what it means."""

OPEN = r"$?$"  # mark of a session whose response cannot be known
MOST_NAMED = 8  # lines in colour and with a name
MOST_VALUES = 12  # points that get their number
_PANELS = (
    ("volume_mm3", 1000.0, "volume (ml)"),
    ("tlg", 1.0, "TLG (SUV·ml)"),
    ("axes_mm", 1.0, "sum of axes (mm)"),
)
Subjects = Mapping[str, tuple[TimeAxis, Sequence[dict[str, Any]]]]  # Any: rows of `burden`


@drawing
def burden_chart(subjects: Subjects, name: str) -> Markup:
    """Draw what is known of each subject's burden over its sessions, responses marked.

    Args:
        subjects: name to its time axis and its rows of `burden` at time index 0, in order of time.
        name: unique on the page.
    """
    shown = [p for p in _PANELS if _known(subjects, p[0])]
    figure, first = chart(3.3 * len(shown) + 1.0, 2.9)
    first.remove()
    panels = [figure.add_subplot(1, len(shown), n + 1) for n in range(len(shown))]
    for axes, (column, per, label) in zip(panels, shown, strict=True):
        for rank, (subject, (time, rows)) in enumerate(subjects.items()):
            look = (SERIES[rank], 1.7) if len(subjects) <= MOST_NAMED else (MUTED, 0.9)
            points = [
                (time.place(r["session"]), r[column] / per, r)
                for r in rows
                if r[column] is not None
            ]
            _line(axes, points, look, subject if len(subjects) > 1 else "")
        _frame(axes, subjects, label)
    told = {r["response"] for _, rows in subjects.values() for r in rows if r["response"]}
    for response in (r for r in RESPONSES if r in told):
        mark = RESPONSES[response][0]
        panels[-1].plot([], [], mark, color=INK, markersize=6, label=response)
    if any(r["doubt"] and not r["response"] for _, rows in subjects.values() for r in rows):
        panels[-1].plot([], [], marker=OPEN, linestyle="", color=INK, markersize=6,
                        label="no response told")  # fmt: skip
    if panels[-1].get_legend_handles_labels()[0]:
        panels[-1].legend(loc="upper left", bbox_to_anchor=(1.12, 1))
    what = ", ".join(label for _, _, label in shown)
    lone = next(iter(subjects), "")
    who = f"of subject {lone}" if len(subjects) == 1 else f"of {len(subjects)} subjects"
    alt = f"{what} {who} over sessions."
    return to_svg(figure, alt[:1].upper() + alt[1:], name)


def _known(subjects: Subjects, column: str) -> bool:
    return any(r[column] is not None for _, rows in subjects.values() for r in rows)


def _line(
    axes: Axes,
    points: Sequence[tuple[float, float, dict[str, Any]]],  # Any: a row of `burden`
    look: tuple[str, float],
    subject: str,
) -> None:
    """Draw one subject: points of sessions, each with its response's mark or its doubt's."""
    if not points:
        return
    colour, width = look
    x, y = [p[0] for p in points], [p[1] for p in points]
    axes.plot(x, y, color=colour, linewidth=width, marker="o", markersize=3)
    for place, value, row in points:
        response, doubt = row["response"], row["doubt"]
        mark = RESPONSES[response][0] if response in RESPONSES else OPEN if doubt else ""
        if mark:
            axes.plot(place, value, marker=mark, color=colour, markersize=8 if mark == OPEN else 6.5,
                      markeredgecolor=INK, markeredgewidth=0.5, zorder=3)  # fmt: skip
        if not subject and len(points) <= MOST_VALUES:
            axes.annotate(number(value, 1), (place, value), xytext=(0, 7), fontsize=7.5,
                          textcoords="offset points", ha="center", color=INK)  # fmt: skip
    if subject and width > 1:
        axes.annotate(plain_text(subject), (x[-1], y[-1]), xytext=(6, 0), fontsize=7.5,
                      textcoords="offset points", va="center", color=colour)  # fmt: skip


def _frame(axes: Axes, subjects: Subjects, label: str) -> None:
    times = [time for time, _ in subjects.values()]
    places = sorted({p for time in times for p in time.places})
    in_days = all(time.in_days for time in times)
    if len(times) == 1:
        ticks = [plain_text(s) for s in times[0].sessions]
        axes.set_xticks(times[0].places, ticks)
    axes.set_xlabel("days" if in_days and len(times) > 1 else "session")
    span = (places[-1] - places[0]) or 1.0 if places else 1.0
    axes.set_xlim(places[0] - 0.12 * span, places[-1] + 0.16 * span)
    axes.set_ylim(0, max(axes.get_ylim()[1] * 1.1, 1e-3))
    axes.set_title(label, loc="left")
    axes.grid(axis="y")
    axes.tick_params(axis="x", labelrotation=0)
    if len(times) > 1 and not in_days:
        axes.set_xticks(np.arange(int(places[-1]) + 1))
