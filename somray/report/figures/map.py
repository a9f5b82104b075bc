"""The map itself, node by node as its lattice lies: classes, hits, and how far apart neighbours are."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle, RegularPolygon
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
    to_svg,
)

__all__ = ["map_pictures"]

DARK, LIGHT = "#0b0d0f", "#f7f8f9"  # text on a node, and the rim of its dot
VALUE_COLOURS = "cividis"
LEAST_SIDE = 0.3  # inches of a node below which it carries no text


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
        hits = np.log10(np.maximum(hit_map(book).ravel(), 1.0))
        label = "pixels of the reference, log₁₀"
        markup = _value_map(lattice, hits, nodes, "Hits", label, f"{prefix}-hits")
        told = (
            "Hit map: how many of the reference's pixels are nearest to each node (powers of ten)."
        )
        yield Picture(markup, told)
    if lattice.nodes > 1:
        apart, label = u_matrix(book).ravel(), "mean distance to neighbours"
        title = "Distances to neighbours"
        markup = _value_map(lattice, apart, nodes, title, label, f"{prefix}-umatrix")
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
            share = f"{100 * shares[node]:.1f} %"
            for down, text, size in ((-0.1, str(node), 9.0), (0.25, share, 6.8)):
                axes.text(x, y + down, text, ha="center", va="center", color=DARK, fontsize=size)
    rows, columns = lattice.grid
    alt = f"The self-organizing map, {rows} × {columns} nodes, each in the colour of its class."
    return to_svg(figure, alt, name)


@drawing
def _value_map(
    lattice: Lattice,
    values: NDArray[np.float64],
    dots: Sequence[str],
    title: str,
    label: str,
    name: str,
) -> Markup:
    """Draw one finite number per node as colour, the dot in it in its class's colour."""
    figure, axes = _lattice_chart(lattice, beside=0.75)
    low, high = float(values.min()), float(values.max())
    scale = Normalize(low, high if high > low else low + 1.0)
    colours = colormaps[VALUE_COLOURS](scale(values))
    for node, place in enumerate(lattice.positions):
        axes.add_patch(_node(lattice, place, colours[node]))
        axes.plot(place[1], place[0], "o", color=dots[node], markersize=5,
                  markeredgecolor=LIGHT, markeredgewidth=0.6)  # fmt: skip
    bar = figure.colorbar(ScalarMappable(scale, VALUE_COLOURS), ax=axes, fraction=0.05, pad=0.02)
    label_scale(bar, label)
    rows, columns = lattice.grid
    alt = (
        f"{title} of the map's {rows} × {columns} nodes, {low:.3g} to {high:.3g}; "
        f"largest at node {int(np.argmax(values))}."
    )
    return to_svg(figure, alt, name)
