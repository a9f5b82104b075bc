"""Heat map of the nodes' profiles: nodes by features, sorted by class."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.patches import Rectangle

from somray.report.drawing.classes import Profile
from somray.report.drawing.style import PAPER, chart, drawing, label_scale, plain_text, to_svg

__all__ = ["profile_heatmap"]

HEAT_LIMIT = 2.5  # standard deviations at the ends of the heat map's colours


@drawing
def profile_heatmap(
    profiles: Sequence[Profile], labels: Sequence[str], what: str, name: str
) -> Markup:
    """Draw profiles as rows of colours: purple below the reference's mean, orange above.

    A strip in front of each row wears its class's colour.
    """
    rows, columns = len(profiles), len(labels)
    figure, axes = chart(max(4.6, 1.7 + 0.3 * columns), 1.35 + 0.19 * rows)
    means = np.ma.masked_invalid(np.array([p.mean for p in profiles]))
    mesh = axes.pcolormesh(means, cmap="PuOr_r", vmin=-HEAT_LIMIT, vmax=HEAT_LIMIT,
                           edgecolors=PAPER, linewidth=0.6)  # fmt: skip
    for row, profile in enumerate(profiles):
        axes.add_patch(Rectangle((-0.75, row), 0.55, 1, color=profile.colour, linewidth=0))
    axes.set_xlim(-0.75, columns)
    axes.set_ylim(rows, 0)
    ticks = [f"{plain_text(p.name)} · {100 * p.share:.1f} %" for p in profiles]
    axes.set_yticks(np.arange(rows) + 0.5, ticks, fontsize=7.6)
    axes.set_xticks(np.arange(columns) + 0.5, labels, rotation=55, ha="right",
                    rotation_mode="anchor", fontsize=7.8)  # fmt: skip
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    shrink = min(1.0, 14 / rows)
    bar = figure.colorbar(
        mesh, ax=axes, fraction=0.035, pad=0.02, extend="both", aspect=30, shrink=shrink
    )
    label_scale(bar, "standard deviations from the mean")
    alt = f"Heat map of {rows} {what} (rows) by {columns} features (columns)."
    return to_svg(figure, alt, name)
