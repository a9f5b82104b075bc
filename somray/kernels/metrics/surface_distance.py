"""Surface Dice at a tolerance: the share of two surfaces that lie as near each other as observers do.

The surface of a mask runs through the cells between voxels: one cell per 2 x 2 x 2 neighbouring voxels, of
which some are inside and some outside (what lies beyond the array is outside). A cell's piece of surface is
that of marching cubes; its area is the length of its area vector, which follows from the divergence theorem
without any table of triangles: of a closed piece of solid all faces' area vectors sum to zero, so that the
piece's own is minus what the cell's six sides hold of the solid. Corners that do not touch along an edge of
the cell are pieces of their own. A piece that is not plane is larger than its area vector: by the 3 % that
whole surfaces differ, Nikolov's own triangles differ too, and the share by .0002 on smooth bodies, .002 in noise.
"""

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.grids.distance import distances_mm
from somray.kernels.metrics.overlap import bounding_box

__all__ = ["surface_dice"]

_CORNERS = tuple(itertools.product((0, 1), repeat=3))  # z, y, x; corner n is bit n of a cell's code
_CODES = 256
_EQUAL = 1.0 + 1e-6  # distances come in single precision; what lies at the tolerance is within it


def surface_dice(
    prediction: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    tolerance_mm: float,
) -> float | None:
    """Measure which share of both surfaces' area lies within a tolerance of the other surface.

    Args:
        prediction: (z, y, x) bool.
        reference: mask of the same shape.
        spacing_mm: distance of voxel centres along z, y, x.
        tolerance_mm: largest distance of a piece of surface that counts as met, itself included.

    Returns:
        0 to 1; None when both masks are empty.

    Raises:
        ShapeError: if the masks are not two volumes of one shape, or `spacing_mm` is not positive.

    Cost: some ten bytes per voxel of the box round both masks.
    Source: Nikolov et al., "Deep learning to achieve clinically applicable segmentation of head and neck
    anatomy for radiotherapy", arXiv 1809.04430, 2018; the cells and weights of their `surface-distance`.
    """
    if prediction.ndim != 3 or prediction.shape != reference.shape:
        raise ShapeError(
            f"masks must be (z, y, x) of one shape, got {prediction.shape} and {reference.shape}"
        )
    either = prediction | reference
    if not either.any():
        return None
    box = bounding_box(either)
    del either
    first, second = _codes(prediction[box]), _codes(reference[box])
    areas = _areas(spacing_mm)
    near, whole = 0.0, 0.0
    for one, other in ((first, second), (second, first)):
        surface = _is_surface(one)
        met = distances_mm(_is_surface(other), spacing_mm, surface) <= tolerance_mm * _EQUAL
        near += _sum(one[surface][met], areas)
        whole += _sum(one[surface], areas)
    return near / whole


def _codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Tell which of its corners every cell has inside, (z + 1, y + 1, x + 1)."""
    padded = np.pad(mask, 1)
    size = [n + 1 for n in mask.shape]
    codes = np.zeros(size, dtype=np.uint8)
    for bit, corner in enumerate(_CORNERS):
        part = padded[tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))]
        codes |= part.astype(np.uint8) << np.uint8(bit)
    return codes


def _is_surface(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((codes != 0) & (codes != _CODES - 1))


def _sum(codes: NDArray[np.uint8], areas: list[float]) -> float:
    """Add the areas of cells, kind by kind: the same bits in any order of cells."""
    counts = np.zeros(_CODES, dtype=np.int64)
    for start in range(0, len(codes), 1 << 20):  # a count takes eight bytes a cell
        counts += np.bincount(codes[start : start + (1 << 20)], minlength=_CODES)
    return sum(int(n) * area for n, area in zip(counts, areas, strict=True))


@lru_cache(maxsize=64)
def _areas(spacing_mm: tuple[float, float, float]) -> list[float]:
    """Compute the surface in each of the 256 kinds of cell, mm²."""
    z, y, x = spacing_mm
    sides = np.array([y * x, z * x, z * y])
    return [
        sum(float(np.linalg.norm(_vector(piece) * sides)) for piece in _pieces(code))
        for code in range(_CODES)
    ]


def _pieces(code: int) -> list[set[int]]:
    """Split the corners inside (or those outside, if they are fewer) into what touches along edges."""
    inside = {n for n in range(8) if code >> n & 1}
    left = inside if len(inside) <= 4 else set(range(8)) - inside
    pieces = []
    while left:
        piece, border = set[int](), {min(left)}
        while border:
            piece |= border
            border = {n ^ (1 << axis) for n in border for axis in range(3)} & (left - piece)
        pieces.append(piece)
        left = left - piece
    return pieces


def _vector(piece: set[int]) -> NDArray[np.float64]:
    """Compute the area vector of the surface round some corners of a unit cell, z y x."""
    vector = np.zeros(3)
    for axis in range(3):
        for side, sign in ((0, 1.0), (1, -1.0)):
            on_side = [n for n in piece if _CORNERS[n][axis] == side]
            vector[axis] += sign * _share(on_side)
    return vector


def _share(corners: list[int]) -> float:
    """Tell which share of a cell's side lies inside, by midpoints of its edges (marching squares)."""
    across = len(corners) == 2 and (corners[0] ^ corners[1]).bit_count() == 2
    return 0.25 if across else (0.0, 0.125, 0.5, 0.875, 1.0)[len(corners)]
