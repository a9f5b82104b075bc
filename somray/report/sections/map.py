"""The self-organizing map of a protocol: its nodes by class, how often each is hit, how far they are apart."""

from collections.abc import Iterable

import numpy as np

from somray.domain.teacher import TeacherModel
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.maps import hit_map, u_matrix
from somray.report.data import Rows
from somray.report.drawing.blocks import Block, Gallery, Picture, Text
from somray.report.drawing.style import NO_DATA_COLOUR, class_colours
from somray.report.figures.map import class_map, value_map

__all__ = ["map_pictures"]


def map_pictures(teacher: TeacherModel, clusters: Rows, prefix: str) -> Iterable[Block]:
    """Draw the map three times: classes, hits, U-matrix; and tell its errors."""
    book = teacher.codebook
    lattice = Lattice(book.grid, book.topology, book.wraps)
    colours = class_colours(teacher.class_names)
    nodes = [colours.get(int(v), NO_DATA_COLOUR) for v in teacher.node_classes]
    pictures = [_classes(lattice, nodes, clusters, prefix)]
    if book.hits is not None:
        words = ("Hits", "pixels of the reference, log₁₀")
        hits = np.log10(np.maximum(hit_map(book).ravel(), 1.0))
        markup = value_map(lattice, hits, words, nodes, f"{prefix}-hits")
        told = (
            "Hit map: how many of the reference's pixels are nearest to each node (powers of ten)."
        )
        pictures.append(Picture(markup, told, "Hit map of the nodes."))
    if lattice.nodes > 1:
        words = ("Distances to neighbours", "mean distance to neighbours")
        markup = value_map(lattice, u_matrix(book).ravel(), words, nodes, f"{prefix}-umatrix")
        told = (
            "U-matrix: mean distance of each node to its neighbours on the map. Bright ridges part "
            "regimes that differ, dark basins hold nodes that are much alike."
        )
        pictures.append(Picture(markup, told, "U-matrix of the map."))
    yield Gallery(tuple(pictures), "medium")
    yield Text(_errors(teacher))
    groups = _groups(clusters)
    if groups:
        yield Text(
            f"Alike nodes form {len(groups)} groups (Ward), darkest first: {'; '.join(groups)}."
        )


def _classes(lattice: Lattice, colours: list[str], clusters: Rows, prefix: str) -> Picture:
    shares = np.zeros(lattice.nodes)
    for row in clusters:
        if row["kind"] == "node" and row["node"] is not None:
            shares[row["node"]] = row["share_fraction"]
    markup = class_map(lattice, colours, [float(s) for s in shares], f"{prefix}-grid")
    told = (
        "The map: every node with its number, its class's colour and its share of the reference; "
        "`teacher.classes` in the configuration overrules the rule by these numbers."
    )
    return Picture(markup, told, "Grid of nodes.")


def _groups(clusters: Rows) -> list[str]:
    """List the nodes of each group."""
    members: dict[int, set[int]] = {}
    for row in clusters:
        if row["kind"] == "node" and row["group"] is not None:
            members.setdefault(row["group"], set()).add(row["node"])
    return [", ".join(str(n) for n in sorted(members[group])) for group in sorted(members)]


def _errors(teacher: TeacherModel) -> str:
    """Tell the map's size, form and errors in a sentence."""
    book = teacher.codebook
    rows, columns = book.grid
    form = f"{rows} × {columns} nodes, {book.topology}" + (", a torus" if book.wraps else "")
    if book.quantization_error is None or book.topographic_error is None:
        return f"{form}."
    return (
        f"{form}. Quantization error {book.quantization_error:.3f} (mean distance of a pixel to its "
        f"node, in weighted standard deviations), topographic error {book.topographic_error:.3f} "
        "(share of pixels whose two nearest nodes are not neighbours)."
    )
