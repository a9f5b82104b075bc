"""Keypoints of slices as points in space: matched between all slices looked at, fitted by RANSAC.

A subset of slices of either volume gives keypoints with descriptors; matches between any two slices are
pairs of points in mm, and three of them propose a rigid motion.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.registration.plane.keypoints import Keypoints, detect, match
from somray.kernels.registration.plane.prepare import Level
from somray.kernels.registration.space.motions import fit_rigid
from somray.kernels.registration.space.prepare import GriddedVolume, Window

__all__ = ["Kept", "SpatialKeypoints", "spatial_keypoints"]

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]

_MOST_SLICES = 16
_DRAWS = 500
_LEAST_INLIERS = 10
_LEAST_SPREAD_MM = 1e-3  # of three points, so that they span a plane …
_LEAST_SPREAD = 1e-6  # … and of the square of their longest side, where all is smaller than that


@dataclass(frozen=True)
class Kept:
    """Matches that a motion explains: count, share of all, and their RMS residual in pixels."""

    inliers: int
    fraction: float | None
    rmse_px: float | None


@dataclass(frozen=True, eq=False)
class SpatialKeypoints:
    """What keypoints say about a pair of volumes.

    Args:
        found: keypoints of fixed and of moving.
        fixed: (n, 3) LPS mm of the matches in fixed.
        moving: (n, 3) LPS mm of their partners.
        tolerance_mm: residual up to which a match is an inlier.
        pixel_mm: in-plane pixel of fixed, for `rmse_px`.
        sampling: (4, 4) fixed to moving that RANSAC found, None where nothing agreed.
    """

    found: tuple[int, int]
    fixed: Points
    moving: Points
    tolerance_mm: float
    pixel_mm: float
    sampling: Matrix | None

    def kept(self, sampling: Matrix | None) -> Kept:
        """Count the matches that a motion explains; none for a refused one."""
        if len(self.fixed) == 0:
            return Kept(0, None, None)
        if sampling is None:
            return Kept(0, 0.0, None)
        residual = _residual(sampling, self.fixed, self.moving)
        inlier = residual < self.tolerance_mm
        count = int(inlier.sum())
        rmse = float(np.sqrt((residual[inlier] ** 2).mean())) / self.pixel_mm if count else None
        return Kept(count, count / len(residual), rmse)

    def columns(self, sampling: Matrix | None) -> dict[str, Any]:  # Any: fields of different types
        """Return the fields of a `VolumeRegistration` that tell of keypoints under a motion."""
        kept = self.kept(sampling)
        return {
            "keypoints_fixed": self.found[0],
            "keypoints_moving": self.found[1],
            "matches": len(self.fixed),
            "inliers": kept.inliers,
            "inlier_fraction": kept.fraction,
            "rmse_px": kept.rmse_px,
        }


def spatial_keypoints(
    fixed: GriddedVolume,
    moving: GriddedVolume,
    window: Window,
    detector: str,
    seed: int,
) -> SpatialKeypoints:
    """Match keypoints between two volumes and fit a rigid motion.

    Args:
        fixed: fixed volume.
        moving: moving volume.
        window: values that become 0 and 1.
        detector: a key of `DETECTORS`.
        seed: of RANSAC's draws.
    """
    one, fixed_points = _collect(fixed, window, detector)
    other, moving_points = _collect(moving, window, detector)
    grids = fixed.geometry, moving.geometry
    pixel = max(grids[0].spacing_mm[1:])
    # Slices are looked at every so many mm: the true partner may lie between two.
    tolerance = 2.0 * pixel + 0.5 * max(_slice_step(g) * g.spacing_mm[0] for g in grids)
    found = (len(one.points), len(other.points))
    # `match` looks for each of its second argument's keypoints among its first's: rows of indices.
    pairs = match(one, other, detector)
    matched = fixed_points[pairs.fixed[:, 0].astype(np.int64)]
    partners = moving_points[pairs.moving[:, 0].astype(np.int64)]
    sampling = _ransac(matched, partners, tolerance, seed)
    return SpatialKeypoints(found, matched, partners, tolerance, pixel, sampling)


def _slice_step(geometry: Geometry) -> int:
    return max(1, -(-geometry.shape[0] // _MOST_SLICES))


def _collect(source: GriddedVolume, window: Window, detector: str) -> tuple[Keypoints, Points]:
    """Detect on every so many slices; keypoints carry their row number, positions come beside them."""
    volume, geometry = source.values, source.geometry
    low, high = window
    step = _slice_step(geometry)
    places: list[Points] = [np.zeros((0, 3))]
    descriptors: list[NDArray[np.generic]] = []
    for z in range(step // 2, geometry.shape[0], step):
        valid = np.isfinite(volume[z])
        scaled = np.clip((np.where(valid, volume[z], low) - low) / (high - low), 0, 1)
        found = detect(Level(scaled.astype(np.float32), valid.astype(np.float32), 1), detector)
        if len(found.points):
            index = np.column_stack([np.full(len(found.points), z), found.points[:, ::-1]])
            places.append(geometry.to_world(index))
            descriptors.append(found.descriptors)
    world = np.concatenate(places)
    number = np.column_stack([np.arange(len(world)), np.zeros(len(world))]).astype(np.float64)
    stacked = np.concatenate(descriptors) if descriptors else np.zeros((0, 1), dtype=np.float32)
    return Keypoints(number, stacked), world


def _ransac(fixed: Points, moving: Points, tolerance: float, seed: int) -> Matrix | None:
    """Return the rigid motion fixed to moving that most matches agree on, refitted to them."""
    if len(fixed) < _LEAST_INLIERS:
        return None
    random = np.random.default_rng(seed)
    best, most = None, _LEAST_INLIERS - 1
    for _ in range(_DRAWS):
        drawn = random.choice(len(fixed), 3, replace=False)
        a, b = fixed[drawn], moving[drawn]
        sides = np.linalg.norm(a - np.roll(a, 1, axis=0), axis=1)
        others = np.linalg.norm(b - np.roll(b, 1, axis=0), axis=1)
        if np.abs(sides - others).max() > 2 * tolerance or sides.min() < 4 * tolerance:
            continue  # a rigid motion keeps lengths; near points do not fix a turn
        if np.linalg.norm(np.cross(a[1] - a[0], a[2] - a[0])) < min(
            _LEAST_SPREAD_MM, _LEAST_SPREAD * sides.max() ** 2
        ):
            continue
        proposal = fit_rigid(a, b)
        count = int((_residual(proposal, fixed, moving) < tolerance).sum())
        if count > most:
            best, most = proposal, count
    if best is None:
        return None
    for _ in range(3):
        inlier = _residual(best, fixed, moving) < tolerance
        if inlier.sum() < _LEAST_INLIERS:
            return None
        best = fit_rigid(fixed[inlier], moving[inlier])
    return best


def _residual(matrix: Matrix, source: Points, target: Points) -> NDArray[np.float64]:
    moved = source @ matrix[:3, :3].T + matrix[:3, 3]
    return np.asarray(np.linalg.norm(moved - target, axis=1))
