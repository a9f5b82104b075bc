"""What each stage of a run took, as bars."""

from collections.abc import Mapping

from markupsafe import Markup

from somray.report.drawing.style import INK, SERIES, chart, drawing, plain_text, to_svg
from somray.report.drawing.table import number

__all__ = ["stage_hours", "time_unit"]


def time_unit(hours: float) -> tuple[str, float]:
    """Return the unit that a time is told in, hours from one hour on, and how many of it are an hour."""
    return ("h", 1.0) if hours >= 1 else ("min", 60.0)


@drawing
def stage_hours(hours: Mapping[str, float], name: str) -> Markup:
    """Draw the hours of all units of each stage, the longest on top."""
    ordered = sorted(hours.items(), key=lambda item: (item[1], item[0]))
    figure, axes = chart(9.2, 0.26 * len(ordered) + 0.7)
    unit, per = time_unit(sum(hours.values()))
    values = [h * per for _, h in ordered]
    axes.barh([plain_text(s) for s, _ in ordered], values, color=SERIES[0], height=0.68)
    for place, value in enumerate(values):
        told = number(value, 2) if value >= 0.01 else "< 0.01"
        axes.annotate(told, (value, place), xytext=(4, 0), va="center", fontsize=8,
                      textcoords="offset points", color=INK)  # fmt: skip
    axes.set_xlim(0, max([*values, 1e-9]) * 1.12)
    axes.set_xlabel(f"time of all units together ({unit})")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    told = ", ".join(f"{s} {number(h * per, 2)} {unit}" for s, h in reversed(ordered))
    return to_svg(figure, f"Time of each stage: {told}.", name)
