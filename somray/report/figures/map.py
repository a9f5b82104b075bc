"""The map itself, node by node as its lattice lies: classes, hits, and how far apart neighbours are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle, RegularPolygon
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.maps import hit_map, u_matrix
from somray.report.data import Rows
from somray.report.drawing.blocks import Picture
from somray.report.drawing.style import (
    NO_DATA_COLOUR,
    PAPER,
    chart,
    class_colours,
    drawing,
    label_scale,
    rgb,
    to_svg,
)

__all__ = ["map_pictures"]

DARK, LIGHT = "#0b0d0f", "#f7f8f9"  # text on a node, and the rim of its dot
VALUE_COLOURS = "cividis"
FEW_DECADES = (
    50.0  # largest over smallest count up to which a scale has more than its powers of ten
)
LEAST_SIDE = 0.3  # inches of a node below which it carries no text


@dataclass(frozen=True)
class NodeShade:
    """What the shades of a map's nodes tell: title, label of the scale, and whether it is logarithmic."""

    title: str
    label: str
    logarithmic: bool = False

    def scale(self, values: NDArray[np.float64]) -> Normalize:
        """Span what is known of some values; a single value has a scale too."""
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if self.logarithmic:
            return LogNorm(low, high if high > low else 10 * low)
        return Normalize(low, high if high > low else low + 1.0)


def map_pictures(teacher: TeacherModel, clusters: Rows, prefix: str) -> Iterator[Picture]:
    """Draw the map up to three times: classes, hits, U-matrix."""
    book = teacher.codebook
    lattice = Lattice(book.grid, book.topology, book.wraps)
    colours = class_colours(teacher.class_names)
    nodes = [colours.get(int(v), NO_DATA_COLOUR) for v in teacher.node_classes]
    told = (
        "The map: every node with its number, its class's colour and its share of the reference; "
        "`teacher.classes` in the configuration overrules the rule by these numbers."
    )
    yield Picture(_class_map(lattice, nodes, clusters, f"{prefix}-grid"), told)
    if book.hits is not None:
        counts = hit_map(book).ravel()
        hits = np.where(counts > 0, counts, np.nan)
        shade = NodeShade("Hits", "pixels of the reference, logarithmic", logarithmic=True)
        markup = _value_map(lattice, hits, nodes, shade, f"{prefix}-hits")
        told = "Hit map: how many of the reference's pixels are nearest to each node."
        if not counts.all():
            told += " A node that is left empty won none."
        yield Picture(markup, told)
    if lattice.nodes > 1:
        apart, label = u_matrix(book).ravel(), "mean distance, weighted standard deviations"
        shade = NodeShade("Distances to neighbours", label)
        markup = _value_map(lattice, apart, nodes, shade, f"{prefix}-umatrix")
        told = (
            "U-matrix: mean distance of each node to its neighbours on the map. Bright ridges part "
            "regimes that differ, dark basins hold nodes that are much alike."
        )
        yield Picture(markup, told)


def _lattice_chart(lattice: Lattice, beside: float = 0.0) -> tuple[Figure, Axes]:
    """Make a figure that fits the lattice, with room beside it (inches)."""
    height, width = lattice.positions.max(axis=0) + 1.0
    side = _side(lattice)
    figure, axes = chart(width * side + 0.2 + beside, height * side + 0.2)
    axes.set_xlim(-0.55, width - 0.45)
    axes.set_ylim(height - 0.4, -0.6)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure, axes


def _side(lattice: Lattice) -> float:
    """Return the side of a node in inches."""
    return float(min(0.62, 4.4 / (lattice.positions.max() + 1.0)))


def _node(lattice: Lattice, place: NDArray[np.float64], colour: Any) -> Patch:  # Any: a colour
    """Draw one node: a square, or a hexagon that stands on its tip."""
    y, x = (float(v) for v in place)
    if lattice.topology == "hexagonal":
        return RegularPolygon((x, y), 6, radius=0.55, facecolor=colour, edgecolor=PAPER)
    return Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=colour, linewidth=0)


@drawing
def _class_map(lattice: Lattice, colours: Sequence[str], clusters: Rows, name: str) -> Markup:
    """Draw every node in its class's colour, with its number and its share of the reference."""
    shares = np.zeros(lattice.nodes)
    for row in clusters:
        if row["kind"] == "node" and row["node"] is not None:
            shares[row["node"]] = row["share_fraction"]
    figure, axes = _lattice_chart(lattice)
    for node, (y, x) in enumerate(lattice.positions):
        axes.add_patch(_node(lattice, lattice.positions[node], colours[node]))
        if _side(lattice) > LEAST_SIDE:
            share, ink = _share_told(shares[node]), _ink_on(colours[node])
            for down, text, size in ((-0.1, str(node), 9.0), (0.25, share, 6.8)):
                axes.text(x, y + down, text, ha="center", va="center", color=ink, fontsize=size)
    rows, columns = lattice.grid
    alt = f"The self-organizing map, {rows} × {columns} nodes, each in the colour of its class."
    return to_svg(figure, alt, name)


def _share_told(share: float) -> str:
    """Tell a share; one that would round to nothing is not told as nothing."""
    percent = 100 * share
    return "< 0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def _ink_on(colour: str) -> str:
    """Choose dark or light text, whichever stands out more from a colour (WCAG's relative luminance)."""
    parts = np.array(rgb(colour)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return DARK if float(linear @ (0.2126, 0.7152, 0.0722)) > 0.18 else LIGHT


@drawing
def _value_map(
    lattice: Lattice,
    values: NDArray[np.float64],
    dots: Sequence[str],
    shade: NodeShade,
    name: str,
) -> Markup:
    """Draw one number per node as colour, the dot in it in its class's colour; NaN leaves a node empty."""
    figure, axes = _lattice_chart(lattice, beside=0.75)
    scale = shade.scale(values)
    colours = colormaps[VALUE_COLOURS](
        scale(np.where(np.isfinite(values), values, np.nanmin(values)))
    )
    for node, place in enumerate(lattice.positions):
        colour = colours[node] if np.isfinite(values[node]) else "none"
        axes.add_patch(_node(lattice, place, colour))
        axes.plot(place[1], place[0], "o", color=dots[node], markersize=5,
                  markeredgecolor=LIGHT, markeredgewidth=0.6)  # fmt: skip
    bar = figure.colorbar(ScalarMappable(scale, VALUE_COLOURS), ax=axes, fraction=0.05, pad=0.02)
    label_scale(bar, shade.label)
    if shade.logarithmic:
        few = np.nanmax(values) < FEW_DECADES * np.nanmin(values)
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:.0f}"))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    rows, columns = lattice.grid
    alt = (
        f"{shade.title} of the map's {rows} × {columns} nodes, {_told(np.nanmin(values))} to "
        f"{_told(np.nanmax(values))}; largest at node {int(np.nanargmax(values))}."
    )
    return to_svg(figure, alt, name)


def _told(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
