"""Very many lesions as a population: sizes, distances, changes by size, and the share of planes that they fill."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from somray.kernels.lesions.sizes import size_borders, size_classes, size_percentile
from somray.report.data import Particles
from somray.report.drawing.changes import CHANGES
from somray.report.drawing.scales import LengthUnit, decades, runs
from somray.report.drawing.style import (
    INK,
    MUTED,
    PAPER,
    SERIES,
    chart,
    drawing,
    label_axes,
    plain_text,
    to_svg,
)
from somray.report.drawing.table import number, plural

__all__ = ["changes_by_size", "nearest_distances", "porosity_along_axes", "size_distribution"]

AXES = ("z", "y", "x")

_DASHES = ("-", "--", "-.", ":")
_COLOURS = {
    "new": "#C2185B", "enlarging": "#D9541E", "stable": "#8A8F94", "shrinking": "#56B4E9",
    "resolved": "#1B9E89", "merged": "#6A5ACD", "split": "#B8860B",
}  # fmt: skip


def _stairs(
    axes: Axes, values: NDArray[np.number], borders: NDArray[np.float64], rank: int
) -> None:
    """Draw one session's classes as a stair; the first is filled too."""
    colour, line = SERIES[rank % len(SERIES)], _DASHES[rank // len(SERIES) % len(_DASHES)]
    if rank == 0:
        axes.stairs(values, borders, fill=True, color=colour, alpha=0.22, linewidth=0)
    axes.stairs(values, borders, color=colour, linestyle=line, linewidth=1.5)


@drawing
def size_distribution(sessions: Mapping[str, Particles], unit: LengthUnit, name: str) -> Markup:
    """Draw number and volume of lesions by classes of equivalent diameter, one stair per session."""
    figure, first = chart(7.4, 3.0)
    first.remove()
    panels = [figure.add_subplot(1, 2, n + 1) for n in range(2)]
    borders = size_borders(np.concatenate([p.diameter_mm for p in sessions.values()]))
    places, told = np.log10(borders * unit.per_mm), []
    for rank, (session, found) in enumerate(sessions.items()):
        classes = size_classes(found.diameter_mm, found.volume_mm3, borders)
        share = 100 * classes.volume_mm3 / max(found.volume_mm3.sum(), 1e-300)
        for axes, values in zip(panels, (classes.lesions, share), strict=True):
            _stairs(axes, values, places, rank)
        colour = SERIES[rank % len(SERIES)]
        panels[1].plot([], [], color=colour, linestyle=_DASHES[rank // len(SERIES) % 4],
                       label=plain_text(session))  # fmt: skip
        for axes, weights in zip(panels, (np.ones(len(found)), found.volume_mm3), strict=True):
            if len(found):
                middle = size_percentile(found.diameter_mm, weights, 50) * unit.per_mm
                axes.axvline(np.log10(middle), color=colour, linewidth=0.9, linestyle=":")
        told.append(f"{session} {plural(len(found), 'lesion')}")
    for axes, y in zip(panels, ("lesions", "share of their volume (%)"), strict=True):
        label_axes(axes, f"equivalent diameter ({unit.name})", y)
        decades(axes, places)
        axes.set_ylim(bottom=0)
    panels[0].set_title("by number", loc="left")
    panels[1].set_title("by volume", loc="left")
    panels[1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="session", alignment="left")
    alt = f"Size distribution by number and by volume in {len(borders) - 1} classes: {', '.join(told)}."
    return to_svg(figure, alt, name)


@drawing
def nearest_distances(
    sessions: Mapping[str, Particles], unit: LengthUnit, name: str
) -> Markup | None:
    """Draw how far lesions lie from their nearest neighbour; None where no session has two."""
    known = {
        s: p.nearest_mm[np.isfinite(p.nearest_mm) & (p.nearest_mm > 0)] for s, p in sessions.items()
    }
    every = np.concatenate(list(known.values()))
    if not every.size:
        return None
    figure, axes = chart(5.0, 3.0)
    borders = size_borders(every)
    places, told = np.log10(borders * unit.per_mm), []
    for rank, (session, distances) in enumerate(known.items()):
        if not distances.size:
            continue
        counts = size_classes(distances, distances, borders).lesions
        _stairs(axes, counts, places, rank)
        median = number(float(np.median(distances)) * unit.per_mm)
        axes.plot([], [], color=SERIES[rank % len(SERIES)], linestyle=_DASHES[rank // len(SERIES) % 4],
                  label=f"{plain_text(session)}, median {median} {unit.name}")  # fmt: skip
        told.append(f"{session} median {median} {unit.name} of {plural(len(distances), 'lesion')}")
    label_axes(axes, f"distance to the nearest other lesion ({unit.name})", "lesions")
    decades(axes, places)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
    axes.legend(loc="upper left")
    return to_svg(figure, f"Distances to the nearest other lesion: {'; '.join(told)}.", name)


@drawing
def changes_by_size(
    diameters_mm: NDArray[np.float64], kinds: NDArray[np.object_], unit: LengthUnit, name: str
) -> Markup:
    """Draw what became of lesions by classes of size, stacked to 100 %.

    Args:
        diameters_mm: (n,) equivalent diameter before, or after where it is new.
        kinds: (n,) the kind of change, "" where it is left open.
        unit: to write lengths in.
        name: unique on the page.
    """
    figure, axes = chart(7.4, 3.0)
    borders = size_borders(diameters_mm)
    every = size_classes(diameters_mm, diameters_mm, borders).lesions
    places = np.log10(borders * unit.per_mm)
    floor, told = np.zeros(len(every)), []
    for kind in (*_COLOURS, ""):
        part = diameters_mm[kinds == kind]
        if not len(part):
            continue
        share = 100 * size_classes(part, part, borders).lesions / np.maximum(every, 1)
        axes.stairs(floor + share, places, baseline=floor, fill=True, linewidth=0.5,
                    facecolor=_COLOURS.get(kind, "none"), edgecolor=PAPER if kind else MUTED,
                    hatch=None if kind else "////", label=kind or "left open")  # fmt: skip
        floor = floor + share
        told.append(f"{len(part)} {kind or 'left open'}")
    for place, count in zip((places[:-1] + places[1:]) / 2, every, strict=True):
        if count:
            axes.text(
                place,
                102,
                f"{count}",
                ha="center",
                va="bottom",
                fontsize=6.5,
                color=INK,
                rotation=90,
            )
    label_axes(
        axes, f"equivalent diameter before, or after if new ({unit.name})", "share of the class (%)"
    )
    decades(axes, places)
    axes.set_ylim(0, 125)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="change", alignment="left")
    return to_svg(figure, f"Kinds of change by classes of size: {', '.join(told)}.", name)


if set(_COLOURS) != set(CHANGES):  # a kind without a colour would be left out
    raise ImportError(f"colours of changes are {sorted(_COLOURS)}, kinds {sorted(CHANGES)}")


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
