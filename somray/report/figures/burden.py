"""Burden over sessions: volume, glycolysis and sum of axes side by side."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from somray.report.data import Rows
from somray.report.drawing.changes import OPEN, RESPONSES, TimeAxis, mark_key
from somray.report.drawing.scales import SMALL_ML, LengthUnit, length_unit, volume_unit
from somray.report.drawing.style import INK, PAPER, SERIES, chart, drawing, plain_text, to_svg
from somray.report.drawing.table import number

__all__ = ["BurdenUnits", "SubjectBurden", "burden_chart"]

MOST_VALUES = 12  # points that get their number


@dataclass(frozen=True)
class _Panel:
    """One figure over time: column of `burden`, what it is multiplied by, its name."""

    column: str
    times: float
    label: str


@dataclass(frozen=True)
class BurdenUnits:
    """Units that tell some rows of `burden` best; µm and µm³ where all is small.

    Args:
        volume: its name.
        per_mm3: how many there are in a mm³.
        length: of axes and distances.
    """

    volume: str
    per_mm3: float
    length: LengthUnit

    @classmethod
    def of(cls, rows: Rows) -> "BurdenUnits":
        """Choose them by the largest volume and the axes."""
        largest = max((r["volume_mm3"] or 0.0 for r in rows), default=0.0)
        volume, per_mm3 = volume_unit(largest or SMALL_ML)
        axes = np.array([r["axes_mm"] for r in rows if r["axes_mm"]], dtype=np.float64)
        return cls(volume, per_mm3, length_unit(axes))

    def panels(self) -> tuple[_Panel, ...]:
        """Return what is drawn, in these units."""
        return (
            _Panel("volume_mm3", self.per_mm3, f"volume ({self.volume})"),
            _Panel("tlg", 1.0, "TLG (uptake·ml)"),
            _Panel("axes_mm", self.length.per_mm, f"sum of axes ({self.length.name})"),
        )


@dataclass(frozen=True)
class SubjectBurden:
    """One subject's rows of `burden` at time index 0, in order of time, and where they stand.

    Args:
        time: where the sessions stand.
        rows: of `burden`.
        doubted: whether all responses are in doubt; their marks are hollow.
    """

    time: TimeAxis
    rows: Rows
    doubted: bool = False


@drawing
def burden_chart(subject: str, burden: SubjectBurden, name: str) -> Markup:
    """Draw what is known of a subject's burden over its sessions, responses marked."""
    rows = burden.rows
    shown = [p for p in BurdenUnits.of(rows).panels() if any(r[p.column] is not None for r in rows)]
    figure, first = chart(3.3 * len(shown) + 1.0, 2.9)
    first.remove()
    panels = [figure.add_subplot(1, len(shown), n + 1) for n in range(len(shown))]
    for axes, panel in zip(panels, shown, strict=True):
        _line(axes, panel, burden)
        _frame(axes, burden.time, panel.label)
    for response in (r for r in RESPONSES if any(row["response"] == r for row in rows)):
        told = f"{response}, in doubt" if burden.doubted else response
        mark_key(panels[-1], told, RESPONSES[response].sign, burden.doubted)
    if any(r["doubt"] and not r["response"] for r in rows):
        mark_key(panels[-1], "no response told", OPEN)
    if panels[-1].get_legend_handles_labels()[0]:
        panels[-1].legend(loc="upper left", bbox_to_anchor=(1.12, 1))
    what = ", ".join(p.label for p in shown)
    return to_svg(figure, f"{what[:1].upper()}{what[1:]} of subject {subject} over sessions.", name)


def _line(axes: Axes, panel: _Panel, burden: SubjectBurden) -> None:
    """Draw points of sessions, each with its response's mark or its doubt's, and its value where they are few."""
    rows = [r for r in burden.rows if r[panel.column] is not None]
    if not rows:
        return
    x = [burden.time.place(r["session"]) for r in rows]
    y = [r[panel.column] * panel.times for r in rows]
    axes.plot(x, y, color=SERIES[0], linewidth=1.7, marker="o", markersize=3)
    for place, value, row in zip(x, y, rows, strict=True):
        response = RESPONSES.get(row["response"])
        mark = response.sign if response else OPEN if row["doubt"] else ""
        if mark:
            hollow = burden.doubted and mark != OPEN
            axes.plot(place, value, marker=mark, color=PAPER if hollow else SERIES[0], zorder=3,
                      markersize=8 if mark == OPEN else 6.5, markeredgecolor=INK,
                      markeredgewidth=1.0 if hollow else 0.5)  # fmt: skip
        if len(rows) <= MOST_VALUES:
            axes.annotate(number(value, 1), (place, value), xytext=(0, 7), fontsize=7.5,
                          textcoords="offset points", ha="center", color=INK)  # fmt: skip


def _frame(axes: Axes, time: TimeAxis, label: str) -> None:
    span = (time.places[-1] - time.places[0]) or 1.0
    axes.set_xlabel("session")
    axes.set_xlim(time.places[0] - 0.12 * span, time.places[-1] + 0.16 * span)
    axes.set_ylim(0, max(axes.get_ylim()[1] * 1.1, 1e-3))
    axes.set_title(label, loc="left")
    axes.grid(axis="y")
    axes.set_xticks(time.places, [plain_text(s) for s in time.sessions])
