"""Pieces of a mask's surface and their areas: what surface Dice at a tolerance counts.

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

__all__ = ["EQUAL", "areas_of", "codes_of", "is_surface"]

_CORNERS = tuple(itertools.product((0, 1), repeat=3))  # z, y, x; corner n is bit n of a cell's code
_CODES = 256
EQUAL = 1.0 + 1e-6
"""Distances come in single precision; what lies at the tolerance is within it."""


def codes_of(padded: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Tell which of its corners every cell has inside, (z − 1, y − 1, x − 1) for a mask of (z, y, x)."""
    size = [n - 1 for n in padded.shape]
    codes = np.zeros(size, dtype=np.uint8)
    for bit, corner in enumerate(_CORNERS):
        part = padded[tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))]
        codes |= part.astype(np.uint8) << np.uint8(bit)
    return codes


def is_surface(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell the cells that have corners inside and outside."""
    return np.asarray((codes != 0) & (codes != _CODES - 1))


@lru_cache(maxsize=64)
def areas_of(spacing_mm: tuple[float, float, float]) -> list[float]:
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
