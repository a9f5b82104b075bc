"""The map itself, node by node as its lattice lies: classes, hits, and how far apart neighbours are."""

from collections.abc import Sequence
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

from somray.kernels.som.lattice import Lattice
from somray.report.drawing.style import PAPER, chart, drawing, to_svg

__all__ = ["class_map", "value_map"]

DARK, LIGHT = "#0b0d0f", "#f7f8f9"  # words on a node, whichever is easier to read
VALUE_COLOURS = "cividis"
LEAST_SIDE = 0.3  # inches of a node below which it carries no words


def _frame(lattice: Lattice, further: float = 0.0) -> tuple[Figure, Axes, float]:
    """Make a figure that fits the lattice; return it with the side of a node in inches."""
    places = lattice.positions
    height, width = places.max(axis=0) + 1.0
    side = float(min(0.62, 4.4 / max(height, width)))
    figure, axes = chart(width * side + 0.2 + further, height * side + 0.2)
    axes.set_xlim(-0.55, width - 0.45)
    axes.set_ylim(height - 0.4, -0.6)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure, axes, side


def _node(lattice: Lattice, place: NDArray[np.float64], colour: Any) -> Patch:  # Any: a colour
    """Draw one node: a square, or a hexagon that stands on its tip."""
    y, x = (float(v) for v in place)
    if lattice.topology == "hexagonal":
        return RegularPolygon((x, y), 6, radius=0.55, facecolor=colour, edgecolor=PAPER)
    return Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=colour, linewidth=0)


def _words(axes: Axes, place: tuple[float, float], text: str, size: float) -> None:
    axes.text(*place, text, ha="center", va="center", color=DARK, fontsize=size)


@drawing
def class_map(
    lattice: Lattice, colours: Sequence[str], shares: Sequence[float], name: str
) -> Markup:
    """Draw every node in its class's colour, with its number and its share of the reference."""
    figure, axes, side = _frame(lattice)
    for node, place in enumerate(lattice.positions):
        axes.add_patch(_node(lattice, place, colours[node]))
        if side > LEAST_SIDE:
            _words(axes, (place[1], place[0] - 0.1), str(node), 9.0)
            _words(axes, (place[1], place[0] + 0.25), f"{100 * shares[node]:.1f} %", 6.8)
    rows, columns = lattice.grid
    alt = f"The self-organizing map, {rows} × {columns} nodes, each in the colour of its class."
    return to_svg(figure, alt, name)


@drawing
def value_map(
    lattice: Lattice,
    values: NDArray[np.float64],
    words: tuple[str, str],
    edges: Sequence[str],
    name: str,
) -> Markup:
    """Draw one number per node as colour, the dot in it in its class's colour.

    Args:
        lattice: of the map.
        values: (k,) finite numbers.
        words: what the picture shows, and the colour bar's label.
        edges: colour of each node's class.
        name: unique on the page.
    """
    figure, axes, _ = _frame(lattice, further=0.75)
    low, high = float(values.min()), float(values.max())
    scale = Normalize(low, high if high > low else low + 1.0)
    colours = colormaps[VALUE_COLOURS](scale(values))
    for node, place in enumerate(lattice.positions):
        axes.add_patch(_node(lattice, place, colours[node]))
        axes.plot(place[1], place[0], "o", color=edges[node], markersize=5,
                  markeredgecolor=LIGHT, markeredgewidth=0.6)  # fmt: skip
    bar = figure.colorbar(ScalarMappable(scale, VALUE_COLOURS), ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(words[1], fontsize=7.6)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5)
    most = int(np.argmax(values))
    rows, columns = lattice.grid
    alt = (
        f"{words[0]} of the map's {rows} × {columns} nodes, {low:.3g} to {high:.3g}; "
        f"largest at node {most}."
    )
    return to_svg(figure, alt, name)
