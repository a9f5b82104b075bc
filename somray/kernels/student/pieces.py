"""A student's probabilities on parts of slices that no task holds.

The slice is laid out in blocks at its own pixel size, counted from its corner; each is predicted by itself, with all
that a logit sees round it. What a pixel gets therefore does not depend on the part that it is asked for in. Where the
slice has the student's pixel size, blocks are the tiles of `predict`, and the bits are those of the whole slice;
else they agree to rounding (`spacing.part_at`, and convolutions of other sizes).
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student import predict
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import UNet
from somray.kernels.student.predict import network_of_model, tile_chances, views_of
from somray.kernels.student.shape import NetworkShape
from somray.kernels.student.spacing import part_at, shape_at, source_span
from somray.kernels.student.views import ImageViews, Window

__all__ = ["SlicePart", "predict_part", "read_halo"]

Pair = tuple[int, int]
Span = Pair


@dataclass(frozen=True)
class SlicePart:
    """A part of slices that are larger.

    Args:
        shape: rows and columns of the whole slices.
        spacing_mm: their pixel size (y, x).
        rows: first row wanted and the one after the last; whole blocks.
        columns: the same of columns.
        corner: first row and column of the pixels that were read.
    """

    shape: Pair
    spacing_mm: tuple[float, float]
    rows: Span
    columns: Span
    corner: Pair


@dataclass(frozen=True)
class _Axis:
    """How a block of an axis is seen: pixels wanted, those of the student that decide, what it sees, what is read."""

    own: Span
    inner: Span
    seen: Span
    read: Span


def predict_part(
    model: StudentModel,
    images: NDArray[np.float32],
    part: SlicePart,
    windows: tuple[Window, ...] | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Predict the target's probability on a part of slices.

    Args:
        model: a trained student of slices.
        images: (n, c, y, x) physical values: the part with `read_halo` more round it, as far as slices go.
        part: where.
        windows: per channel, where the scan has its own; the model's otherwise.
        device: where torch computes.

    Returns:
        (n, rows, columns) float32 in [0, 1]; 0 where any channel has no data.

    Raises:
        ShapeError: the part does not begin or end where blocks do.

    Cost: memory of one block at work, beside the result.
    """
    network, views = network_of_model(model, device), views_of(model, windows)
    shapes = part.shape, shape_at(part.shape, part.spacing_mm, model.spacing_mm)
    spans = [
        _blocks((size, other), wanted, network.shape)
        for size, other, wanted in zip(*shapes, (part.rows, part.columns), strict=True)
    ]
    out = np.empty((len(images), *(b - a for a, b in (part.rows, part.columns))), dtype=np.float32)
    settings = views, device, model.temperature
    with deterministic(1):
        for rows, columns in itertools.product(*spans):
            inside = _within((rows.own, columns.own), (part.rows, part.columns))
            for n, image in enumerate(images):
                axes = rows, columns
                out[(n, *inside)] = _block(network, image, part.corner, axes, shapes, settings)
    return out


def read_halo(model: StudentModel, shape: Pair, spacing_mm: tuple[float, float]) -> Pair:
    """Return how many rows and columns beside a part of slices its prediction looks at, at most."""
    network = NetworkShape.of(model.network)
    other = shape_at(shape, spacing_mm, model.spacing_mm)
    rows, columns = (_reach(size, there, network) for size, there in zip(shape, other, strict=True))
    return rows, columns


def _reach(size: int, other: int, network: NetworkShape) -> int:
    if size == other:
        return network.halo
    # the triangles of both ways, and a start that halvings allow
    there = network.halo + network.multiple + math.ceil(max(other / size, 1.0)) + 1
    return math.ceil((there + 1) * size / other + max(size / other, 1.0)) + 1


def _side(sizes: Pair) -> int:
    """Return a block's side: a tile's, halved until it is no larger for the student."""
    side, size, other = predict.TILES[2], *sizes
    while side > 1 and side * other > predict.TILES[2] * size:
        side //= 2
    return side


def _blocks(sizes: Pair, wanted: Span, network: NetworkShape) -> list[_Axis]:
    """Lay out the blocks of an axis that has `sizes` pixels, own and the student's."""
    size, other = sizes
    side = _side(sizes)
    if wanted[0] % side or (wanted[1] % side and wanted[1] != size):
        raise ShapeError(f"a part of slices must be whole blocks of {side} pixels, got {wanted}")
    found = []
    for start in range(*wanted, side):
        own = start, min(start + side, wanted[1])
        inner = source_span(other, size, own)
        first = max(0, inner[0] - network.halo) // network.multiple * network.multiple
        seen = first, min(other, inner[1] + network.halo)
        found.append(_Axis(own, inner, seen, source_span(size, other, seen)))
    return found


def _block(
    network: UNet,
    image: NDArray[np.float32],
    corner: Pair,
    axes: tuple[_Axis, _Axis],
    shapes: tuple[Pair, Pair],
    settings: tuple[ImageViews, str, float],
) -> NDArray[np.float32]:
    """Predict one block (y, x) of an image (c, y, x) that begins at `corner`."""
    read = axes[0].read, axes[1].read
    values = image[(slice(None), *_within(read, ((corner[0], 0), (corner[1], 0))))]
    own = axes[0].own, axes[1].own
    known = values[(slice(None), *_within(own, read))]
    if shapes[0] != shapes[1]:
        seen = axes[0].seen, axes[1].seen
        values = part_at(values, (read[0][0], read[1][0]), seen, shapes)
    chance = tile_chances(network, [values], *settings)
    if shapes[0] == shapes[1]:
        return np.asarray(chance[0][_within(own, read)])
    seen_from = axes[0].seen[0], axes[1].seen[0]
    found: NDArray[np.float32] = part_at(chance, seen_from, own, (shapes[1], shapes[0]))[0]
    found[np.isnan(known).any(axis=0)] = 0.0
    return found


def _within(inner: tuple[Span, Span], outer: tuple[Span, Span]) -> tuple[slice, slice]:
    """Say where a box lies in an array that begins where `outer` does."""
    rows, columns = (
        slice(a - start, b - start) for (a, b), (start, _) in zip(inner, outer, strict=True)
    )
    return rows, columns
