"""Where two volumes may lie: small turns tried one by one, the shift of each by correlation.

Volumes are band-passed at coarse spacing; the cross-correlation over all shifts comes from one Fourier
product, normalised by the energy that overlaps at each shift.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from somray.domain.geometry import Geometry
from somray.kernels.registration.space.evidence import structure, structure_sigma
from somray.kernels.registration.space.motions import corners_of, motion_about
from somray.kernels.registration.space.prepare import Float32, Grid
from somray.kernels.registration.space.refine import warp_grid

__all__ = ["small_turns", "volume_starts", "wide_turns"]

Matrix = NDArray[np.float64]

_TURN_DEGREES = 7.0
_WIDE = ((13.0, 2), (24.0, 3))  # degrees, and how many axes may turn at once
_LEAST_OVERLAP = 0.2  # of either volume's energy


def volume_starts(
    fixed: Grid, moving: Grid, keep: int, about: Matrix | None = None,
    turns: Sequence[NDArray[np.float64]] | None = None,
) -> list[Matrix]:  # fmt: skip
    """Find promising rigid motions.

    Args:
        fixed: fixed volume at coarse spacing.
        moving: moving volume at about the same spacing.
        keep: how many to return at most.
        about: (3, 3) rotation fixed to moving that the turns are tried about; none where left out.
        turns: rotation vectors (radians) to try; `small_turns` where left out.

    Returns:
        (4, 4) matrices, fixed LPS mm to moving LPS mm, best first; one per turn at most.
    """
    base = np.eye(3) if about is None else about
    lattice = _canvas(fixed, moving, base)
    sigma = structure_sigma(fixed.geometry)
    one = structure(fixed.image, fixed.weight, sigma)
    size = tuple(
        fft.next_fast_len(a + b, real=True)
        for a, b in zip(one.shape, lattice.geometry.shape, strict=True)
    )
    filled = (fixed.weight > 0.5).astype(np.float32)
    spectra = fft.rfftn(np.stack([one, one * one, filled]), size, axes=(1, 2, 3))
    middle_moving = _middle(moving.geometry)
    middle_canvas = _middle(lattice.geometry)
    found = []
    for order, turn in enumerate(small_turns() if turns is None else turns):
        # canvas (in fixed's frame) -> moving: turn about the moving volume's middle
        to_moving = motion_about(np.zeros(3), turn, np.zeros(3))
        to_moving[:3, :3] = to_moving[:3, :3] @ base
        to_moving[:3, 3] = middle_moving - to_moving[:3, :3] @ middle_canvas
        image, weight = warp_grid(moving, lattice, to_moving)
        other = structure(image, weight, sigma)
        score, shift = _best_shift(spectra, other, (weight > 0.5).astype(np.float32), size)
        step = np.eye(4)  # fixed -> canvas: whole voxels of fixed's grid
        step[:3, 3] = fixed.geometry.matrix[:3, :3] @ -np.array(shift[::-1], dtype=np.float64)
        grids = _between(fixed.geometry, lattice.geometry)
        found.append((-score, order, to_moving @ grids @ step))
    return [matrix for _, _, matrix in sorted(found, key=lambda f: f[:2])[:keep]]


def small_turns() -> list[NDArray[np.float64]]:
    """List rotation vectors to try: none, and a few degrees about each axis."""
    return [np.zeros(3), *_spread(_TURN_DEGREES, 1)]


def wide_turns() -> list[NDArray[np.float64]]:
    """List rotation vectors that leave no turn up to 30 degrees far from one of them."""
    return [turn for degrees, axes in _WIDE for turn in _spread(degrees, axes)]


def _spread(degrees: float, axes: int) -> list[NDArray[np.float64]]:
    """List the turns by so many degrees about directions that hold up to so many axes at once."""
    signs = itertools.product((0.0, -1.0, 1.0), repeat=3)
    directions = [np.array(s) for s in signs if 0 < np.count_nonzero(s) <= axes]
    return [np.deg2rad(degrees) * d / np.linalg.norm(d) for d in directions]


def _canvas(fixed: Grid, moving: Grid, base: Matrix) -> Grid:
    """Make an empty grid with fixed's axes that holds all of moving, however turned a little."""
    # Rows: base's transpose, moving back to fixed's frame.
    world = corners_of(moving.geometry) @ base
    axes = fixed.geometry.matrix[:3, :3] / np.linalg.norm(fixed.geometry.matrix[:3, :3], axis=0)
    along = (world @ np.linalg.inv(axes).T)[:, ::-1]  # z, y, x in mm along fixed's axes
    extent = (along.max(axis=0) - along.min(axis=0)) * 1.1
    depth, rows, columns = (
        max(1, int(np.ceil(e / s)) + 1)
        for e, s in zip(extent, fixed.geometry.spacing_mm, strict=True)
    )
    geometry = Geometry.from_matrix((depth, rows, columns), fixed.geometry.matrix)
    empty = np.zeros((depth, rows, columns), dtype=np.float32)
    return Grid(empty, empty, geometry)


def _between(fixed: Geometry, canvas: Geometry) -> Matrix:
    """Return world of fixed to world of canvas for equal indices: the same grid, so the identity."""
    return np.asarray(canvas.matrix @ np.linalg.inv(fixed.matrix))


def _middle(geometry: Geometry) -> NDArray[np.float64]:
    return np.asarray(geometry.to_world((np.array([geometry.shape]) - 1) / 2.0)[0])


def _best_shift(
    spectra: NDArray[np.complexfloating], moving: Float32, filled: Float32, size: tuple[int, ...]
) -> tuple[float, tuple[int, ...]]:
    """Return the highest normalised correlation and the fixed index where canvas index 0 then lies."""
    here = fft.rfftn(np.stack([moving, moving * moving, filled]), size, axes=(1, 2, 3)).conj()
    products = np.stack([spectra[0] * here[0], spectra[1] * here[2], spectra[2] * here[1]])
    cross, energy_fixed, energy_moving = fft.irfftn(products, size, axes=(1, 2, 3))
    own, other = float(energy_fixed.max()), float(energy_moving.max())
    enough = (energy_fixed > _LEAST_OVERLAP * own) & (energy_moving > _LEAST_OVERLAP * other)
    power = np.sqrt(np.maximum(energy_fixed, 1e-9) * np.maximum(energy_moving, 1e-9))
    score = np.where(enough, cross / power, -1.0)
    peak = np.unravel_index(int(np.argmax(score)), score.shape)
    wrapped = (
        int(p) - n if p > n - m else int(p)
        for p, n, m in zip(peak, size, moving.shape, strict=True)
    )
    return float(score[peak]), tuple(wrapped)
