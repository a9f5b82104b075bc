"""What share of each plane lesions fill, along z, y and x."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from markupsafe import Markup

from somray.report.drawing.scales import LengthUnit, runs
from somray.report.drawing.style import SERIES, chart, drawing, label_axes, plain_text, to_svg
from somray.report.drawing.table import number

__all__ = ["porosity_along_axes"]

AXES = ("z", "y", "x")


@drawing
def porosity_along_axes(
    sessions: Mapping[str, pd.DataFrame], within: str, unit: LengthUnit, name: str
) -> Markup:
    """Draw the share along each axis, one line per session; where planes are many, each point is of several.

    Args:
        sessions: rows of `porosity` at time index 0.
        within: the column that a share is taken of: voxels, or sample_voxels.
        unit: to write positions in.
        name: unique on the page.
    """
    figure, first = chart(7.4, 2.7)
    first.remove()
    panels = [figure.add_subplot(1, 3, n + 1) for n in range(3)]
    told = []
    for rank, (session, rows) in enumerate(sessions.items()):
        colour = SERIES[rank % len(SERIES)]
        for axes, axis in zip(panels, AXES, strict=True):
            part = rows[rows["axis"] == axis].sort_values("index")
            starts = runs(len(part))[:-1]
            lesions, whole, places = (
                np.add.reduceat(part[c].to_numpy(dtype=np.float64), starts)
                for c in ("lesion_voxels", within, "position_mm")
            )
            planes = np.diff(np.append(starts, len(part)))
            share = np.where(whole > 0, 100 * lesions / np.maximum(whole, 1), np.nan)
            axes.plot(places / planes * unit.per_mm, share, color=colour, linewidth=1.2,
                      linestyle=("-", "--", "-.", ":")[rank // len(SERIES) % 4],
                      label=plain_text(session))  # fmt: skip
        along = rows[rows["axis"] == "z"]
        mean = 100 * along["lesion_voxels"].sum() / max(along[within].sum(), 1)
        told.append(f"{session} {number(float(mean))} %")
    top = max(float(axes.get_ylim()[1]) for axes in panels)
    for axes, axis in zip(panels, AXES, strict=True):
        label_axes(axes, f"{axis} ({unit.name})", "share (%)" if axis == "z" else "")
        axes.set_ylim(0, top or 1.0)
    panels[-1].legend(
        loc="upper left", bbox_to_anchor=(1.0, 1.0), title="session", alignment="left"
    )
    what = "the sample" if within == "sample_voxels" else "the whole volume"
    alt = f"Share of {what} that lesions fill along z, y and x: {', '.join(told)} in all."
    return to_svg(figure, alt, name)
