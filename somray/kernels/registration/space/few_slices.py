"""Thin stacks: the plane of one session found in another, then both aligned in the plane.

Two or three slices do not fix a motion in space. Which slice of the moving session shows the same place is
looked for first, on thumbnails; the best few pairs are registered as planes, and the one that explains most
is kept with its fixed and moving slice.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.kernels.grids.resample import warp_slice
from somray.kernels.registration.plane import starts
from somray.kernels.registration.plane.describe import DescribedSlice, describe
from somray.kernels.registration.plane.prepare import Prepared
from somray.kernels.registration.plane.register import PlaneOptions, register_described
from somray.kernels.registration.result import SliceRegistration

__all__ = ["PlaneMatch", "Stack", "lifted", "match_planes"]

Matrix = NDArray[np.float64]

_ANCHORS = 5  # slices of the shallower stack that a partner is looked for
_SCANNED = 32  # slices of the deeper stack in the first scan
_TURNS = tuple(range(-15, 16, 5))  # degrees
_REGISTERED = 4  # pairs that are registered in the plane
_CLIMBS = 4  # slices that the best pair may move on by
_PARALLEL = 0.7  # cosine between the slices' axes below which they lie in different planes
_SAME_PIXEL = 0.05  # share that pixels may differ in size by without being resampled
_RANK = {"ok": 2, "weak": 1, "refused": 0}


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices that can be read one by one.

    Args:
        read: slice index to (y, x), any number type; NaN means no data.
        geometry: grid of the whole stack.
    """

    read: Callable[[int], NDArray[np.generic]]
    geometry: Geometry


@dataclass(frozen=True, eq=False)
class PlaneMatch:
    """Two slices that show the same place, and the motion between them.

    Args:
        found: the registration; its matrix takes moving pixels to fixed pixels, as `matrix`.
        matrix: (3, 3) pixels of the moving slice, as it is read, to pixels of the fixed one; None when
            refused.
        fixed_z: fixed slice.
        moving_z: moving slice.
    """

    found: SliceRegistration
    matrix: Matrix | None
    fixed_z: int
    moving_z: int


def match_planes(fixed: Stack, moving: Stack, options: PlaneOptions) -> PlaneMatch:
    """Find the slices of two stacks that show the same place, and align them.

    Args:
        fixed: the fixed session.
        moving: the moving session; spacing, depth and direction of axes may differ.
        options: how planes are aligned.

    Returns:
        The match; refused, with the reason, where no pair of slices fits or the slices of the two sessions
        lie in different planes.

    Cost: about 5 ms for each of at most 160 pairs of thumbnails, then at most 20 plane registrations.
    Memory: two slices with their pyramids, and thumbnails.
    """
    search = _StackSearch(fixed, moving, options)
    if search.to_fixed is None:
        nothing = "the sessions' slices lie in different planes"
        return search.refused(nothing)
    ranked = search.ranked()
    if not ranked:
        return search.refused("a session is blank: all pixels are equal or hold no data")
    best = max((search.aligned(*where) for where in ranked), key=_worth)
    for _ in range(_CLIMBS):
        better = max(search.beside(best), key=_worth)
        if _worth(better) <= _worth(best):
            break
        best = better
    return best


def lifted(match: PlaneMatch, fixed: Geometry, moving: Geometry) -> Matrix | None:
    """Lift a plane's motion to (4, 4) moving to fixed in LPS mm; None for a homography or a refusal.

    Slices keep their order and their distance in mm.
    """
    if match.matrix is None or not np.allclose(match.matrix[2], [0.0, 0.0, 1.0], atol=1e-9):
        return None
    index = np.eye(4)
    index[np.ix_([0, 1, 3], [0, 1, 3])] = match.matrix
    stride = _cosine(fixed, moving, 2)
    index[2, 2] = np.copysign(moving.spacing_mm[0] / fixed.spacing_mm[0], stride)
    index[2, 3] = match.fixed_z - index[2, 2] * match.moving_z
    return np.asarray(fixed.matrix @ index @ np.linalg.inv(moving.matrix))


class _StackSearch:
    """Two stacks, what was read of them so far, and what came of it."""

    def __init__(self, fixed: Stack, moving: Stack, options: PlaneOptions) -> None:
        self._fixed, self._moving, self._options = fixed, moving, options
        self._depths = fixed.geometry.shape[0], moving.geometry.shape[0]
        self.to_fixed = _pixels_to_pixels(fixed.geometry, moving.geometry)
        self._thumbs: dict[tuple[str, int], Prepared | None] = {}
        self._matches: dict[tuple[int, int], PlaneMatch] = {}

    def refused(self, reason: str) -> PlaneMatch:
        """Return the refusal of the whole pair."""
        _, rows, columns = self._fixed.geometry.shape
        found = SliceRegistration(
            "refused", reason, None, self._options.model.replace("auto", "similarity"),
            (rows, columns),
        )  # fmt: skip
        return PlaneMatch(found, None, self._depths[0] // 2, self._depths[1] // 2)

    def ranked(self) -> list[tuple[int, int]]:
        """List the most promising pairs: spread over the stacks first, then every slice around them.

        The shallower stack is looked at here and there, the deeper one all along.
        """
        depth, other = sorted(self._depths)
        step = max(1, -(-other // _SCANNED))
        anchors = sorted({round(z) for z in np.linspace(0, depth - 1, min(depth, _ANCHORS + 2))})
        anchors = anchors if depth <= _ANCHORS else anchors[1:-1]
        scanned = {
            pair: self._alike(*pair)
            for z in anchors
            for pair in map(self._pair, [z] * other, range(step // 2, other, step))
        }
        if step > 1:
            for pair in _first(scanned):
                z, w = self._pair(*pair)
                for v in range(max(0, w - step + 1), min(other, w + step)):
                    near = self._pair(z, v)
                    scanned[near] = scanned.get(near, self._alike(*near))
        return [pair for pair in _first(scanned) if scanned[pair] > -1.0]

    def beside(self, match: PlaneMatch) -> list[PlaneMatch]:
        """Register the pairs whose slice of one stack lies next to the match's."""
        z, w = match.fixed_z, match.moving_z
        return [self.aligned(*pair) for pair in ((z - 1, w), (z + 1, w), (z, w - 1), (z, w + 1))]

    def _pair(self, shallow: int, deep: int) -> tuple[int, int]:
        """Swap (shallower, deeper) and (fixed, moving); the same both ways."""
        return (shallow, deep) if self._depths[0] <= self._depths[1] else (deep, shallow)

    def aligned(self, z: int, w: int) -> PlaneMatch:
        """Register one pair of slices in the plane; pairs outside the stacks are refused."""
        if not (0 <= z < self._depths[0] and 0 <= w < self._depths[1]):
            return self.refused("there is no such slice")
        if (z, w) not in self._matches:
            one, other = self._slice("fixed", z), self._slice("moving", w)
            if one is None or other is None:
                return self.refused("a slice is blank: all pixels are equal or hold no data")
            found = register_described(one, other, self._options)
            matrix = None
            if found.matrix is not None and self.to_fixed is not None:
                matrix = np.asarray(found.matrix @ self.to_fixed)
            self._matches[(z, w)] = PlaneMatch(found, matrix, z, w)
        return self._matches[(z, w)]

    def _alike(self, z: int, w: int) -> float:
        one, other = self._thumb("fixed", z), self._thumb("moving", w)
        if one is None or other is None:
            return -1.0
        return starts.alike(one, other, _TURNS)

    def _thumb(self, which: str, z: int) -> Prepared | None:
        if (which, z) not in self._thumbs:
            seen = self._slice(which, z)
            self._thumbs[(which, z)] = None
            if seen is not None:
                small = seen.prepared.levels[starts.read_level(seen.prepared) :]
                self._thumbs[(which, z)] = Prepared(small)
        return self._thumbs[(which, z)]

    def _slice(self, which: str, z: int) -> DescribedSlice | None:
        if which == "fixed":
            return describe(self._fixed.read(z), "fixed")
        return describe(self._resampled(np.asarray(self._moving.read(z))), "moving")

    def _resampled(self, slice_: NDArray[np.generic]) -> NDArray[np.generic]:
        """Bring a moving slice to the fixed pixels' size and direction."""
        matrix = self.to_fixed
        if matrix is None or np.array_equal(matrix, np.eye(3)):
            return slice_
        sizes = np.abs(np.diag(matrix))[:2]
        values = slice_.astype(np.float32)
        blur = [0.4 / s if s < 1 else 0.0 for s in sizes[::-1]]
        if max(blur) > 0 and bool(np.isfinite(values).all()):
            values = ndimage.gaussian_filter(values, blur, mode="nearest")
        columns, rows = (
            max(1, round(n * s)) for n, s in zip(values.shape[::-1], sizes, strict=True)
        )
        return warp_slice(values, np.asarray(np.linalg.inv(matrix)), (rows, columns))


def _worth(match: PlaneMatch) -> tuple[float, float]:
    ncc = match.found.ncc_after
    return _RANK[match.found.status], -1.0 if ncc is None else ncc


def _first(scanned: dict[tuple[int, int], float]) -> Iterable[tuple[int, int]]:
    return sorted(scanned, key=lambda pair: (-scanned[pair], pair))[:_REGISTERED]


def _cosine(fixed: Geometry, moving: Geometry, axis: int) -> float:
    """Return the cosine between both grids' x, y or z (axis 0, 1, 2)."""
    a, b = fixed.matrix[:3, axis], moving.matrix[:3, axis]
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _pixels_to_pixels(fixed: Geometry, moving: Geometry) -> Matrix | None:
    """Return (3, 3) moving pixels to pixels of fixed's size and direction; None for other planes."""
    matrix = np.eye(3)
    sizes = zip(moving.spacing_mm[:0:-1], fixed.spacing_mm[:0:-1], strict=True)  # x, y
    for axis, (mine, wanted) in enumerate(sizes):
        cosine = _cosine(fixed, moving, axis)
        if abs(cosine) < _PARALLEL:
            return None
        factor = mine / wanted
        factor = 1.0 if abs(factor - 1.0) <= _SAME_PIXEL else factor
        matrix[axis, axis] = np.copysign(factor, cosine)
        if cosine < 0:
            matrix[axis, 2] = factor * (moving.shape[2 - axis] - 1)
    return matrix
