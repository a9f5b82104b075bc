"""Charts of chains: how far slices move when all steps along z are composed."""

from markupsafe import Markup

from somray.report.data import Rows
from somray.report.drawing.style import MUTED, SERIES, chart, drawing, label_axes, to_svg

__all__ = ["chain_drift"]

_MARKS = (("weak", SERIES[4], "v", "weak"), ("repaired", SERIES[1], "D", "repaired step"))


@drawing
def chain_drift(rows: Rows, name: str) -> Markup:
    """Draw drift and cycle error of one scan's slices over z; slices that nothing leads to are shaded."""
    figure, axes = chart(5.0, 2.9)
    known = [r for r in sorted(rows, key=lambda r: r["z"]) if r["drift_mm"] is not None]
    axes.plot(
        [r["z"] for r in known], [r["drift_mm"] for r in known], color=SERIES[0], label="drift"
    )
    cycles = [r for r in known if r["cycle_error_mm"] is not None]
    if cycles:
        axes.plot([r["z"] for r in cycles], [r["cycle_error_mm"] for r in cycles], ".",
                  color=MUTED, markersize=4, label="cycle error")  # fmt: skip
    for status, colour, mark, label in _MARKS:
        part = [r for r in known if r["status"] == status]
        if part:
            axes.plot([r["z"] for r in part], [r["drift_mm"] for r in part], mark,
                      color=colour, markersize=5, label=label)  # fmt: skip
    refused = [r["z"] for r in rows if r["matrix"] is None]
    for count, z in enumerate(refused):
        axes.axvspan(z - 0.5, z + 0.5, color=MUTED, alpha=0.3, linewidth=0,
                     label="" if count else "not aligned")  # fmt: skip
    axes.set_ylim(bottom=0)
    label_axes(axes, "slice z", "mm", whole=True)
    axes.legend(loc="best")
    most = max((r["drift_mm"] for r in known), default=0.0)
    told = f"Drift along z over {len(rows)} slices, at most {most:.2f} mm"
    return to_svg(figure, f"{told}; {len(refused)} not aligned.", name)
