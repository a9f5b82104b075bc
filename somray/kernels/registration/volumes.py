"""One session onto another: a rigid motion in space, shifts of centimetres and a few degrees.

A coarse search tries small turns and finds the shift of each by correlation over all three axes, so that
neither shared scanner coordinates nor equal coverage is assumed. The best are refined on intensities,
coarse to fine. Keypoints on slices, matched between volumes and fitted by RANSAC, are asked where that
does not convince.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.registration import rigid
from somray.kernels.registration.evidence import weighted_ncc
from somray.kernels.registration.grids import Grid, joint_window, prepare_volume, reduction_for
from somray.kernels.registration.keypoints import DETECTORS, one_thread
from somray.kernels.registration.result import VolumeRegistration
from somray.kernels.registration.shifts import volume_starts
from somray.kernels.registration.spatial_keypoints import SpatialKeypoints, spatial_keypoints

__all__ = ["reduction_for", "register_volumes"]

Matrix = NDArray[np.float64]

_COARSE_VOXELS = 30_000
_FINE_VOXELS = 500_000
_STARTS = 4
# Correlation of band-passed volumes; chosen in tests/benchmarks/bench_registration.py.
_OK = 0.50
_WEAK = 0.40
_CONVINCED = 0.45


@dataclass(frozen=True, eq=False)
class _Candidate:
    sampling: Matrix
    structure: float


def register_volumes(
    fixed: NDArray[np.floating],
    moving: NDArray[np.floating],
    fixed_geometry: Geometry,
    moving_geometry: Geometry,
    detector: str = "kaze",
    seed: int = 0,
) -> VolumeRegistration:
    """Align one session's volume with another's.

    Args:
        fixed: (z, y, x) on `fixed_geometry`, any float range; NaN means no data. One channel; both
            volumes in the same unit.
        moving: (z, y, x) on `moving_geometry`.
        fixed_geometry: grid of fixed; may be a reduced one (see `reduction_for`).
        moving_geometry: grid of moving; spacing and coverage may differ.
        detector: keypoint detector: kaze, akaze, sift or orb.
        seed: of RANSAC's draws.

    Returns:
        The registration; blank or unrelated volumes come back refused, with the reason.

    Raises:
        ShapeError: if an array does not fit its geometry or the detector is not known.

    Cost: about 1.5 s for 64×128×128 on one thread; memory about 20 times the fine grid (500,000 voxels)
        beside the inputs.
    """
    if detector not in DETECTORS:
        raise ShapeError(f"detector must be one of {', '.join(DETECTORS)}, got {detector!r}")
    for name, volume, geometry in (
        ("fixed", fixed, fixed_geometry),
        ("moving", moving, moving_geometry),
    ):
        if volume.shape != geometry.shape:
            raise ShapeError(f"{name} {volume.shape} does not fit its geometry {geometry.shape}")
    window = joint_window(fixed, moving)
    if window is None:
        return VolumeRegistration(
            "refused", "a volume is blank: all voxels are equal or hold no data", None
        )
    pair = _VolumePair((fixed, fixed_geometry), (moving, moving_geometry), window)
    with one_thread():
        return pair.aligned(detector, seed)


class _VolumePair:
    """Two volumes on their way to a verdict."""

    def __init__(
        self,
        fixed: tuple[NDArray[np.floating], Geometry],
        moving: tuple[NDArray[np.floating], Geometry],
        window: tuple[float, float],
    ) -> None:
        coarse_mm = _spacing_for(fixed[1], moving[1], _COARSE_VOXELS)
        fine_mm = _spacing_for(fixed[1], moving[1], _FINE_VOXELS)
        self._coarse = _both(fixed, moving, window, coarse_mm)
        self._fine = _both(fixed, moving, window, fine_mm)
        self._sources = (fixed, moving)
        self._window = window
        self._points: SpatialKeypoints | None = None

    def aligned(self, detector: str, seed: int) -> VolumeRegistration:
        """Search, refine, judge."""
        begin = [np.eye(4), *volume_starts(*self._coarse, keep=_STARTS)]
        best = self._refined(begin)
        if best is None or best.structure < _CONVINCED:
            self._points = spatial_keypoints(self._sources, self._window, detector, seed)
            if self._points.sampling is not None:
                more = self._refined([self._points.sampling])
                best = max([c for c in (best, more) if c], key=lambda c: c.structure, default=None)
        if best is None or best.structure < _WEAK:
            found = "nothing" if best is None else f"only {best.structure:.2f}"
            return self._result("refused", f"structures correlate by {found} after alignment", None)
        if best.structure < _OK:
            reason = f"structures correlate by only {best.structure:.2f} after alignment"
            return self._result("weak", reason, best.sampling)
        return self._result("ok", None, best.sampling)

    def _refined(self, begin: list[Matrix]) -> _Candidate | None:
        """Refine all starts on the coarse grids and the best of them on the fine ones."""
        coarse = []
        for sampling in begin:
            refined = rigid.refine_rigid(*self._coarse, sampling, 20)
            if refined is not None:
                coarse.append(_Candidate(refined, _structure(*self._coarse, refined)))
        if not coarse:
            return None
        best = max(coarse, key=lambda c: c.structure)
        refined = rigid.refine_rigid(*self._fine, best.sampling, 12)
        if refined is None:
            return None
        return _Candidate(refined, _structure(*self._fine, refined))

    def _result(
        self, status: str, reason: str | None, sampling: Matrix | None
    ) -> VolumeRegistration:
        before = _figures(*self._fine, np.eye(4))
        after: tuple[float | None, float | None] = (None, None)
        pictured: tuple[int | None, int | None] = (None, None)
        matrix = None
        if sampling is not None:
            after = _figures(*self._fine, sampling)
            pictured = _pictured(self._sources[0][1], self._sources[1][1], sampling)
            matrix = np.asarray(np.linalg.inv(sampling), dtype=np.float64)
        points = self._points
        kept = points.kept(sampling) if points is not None else None
        return VolumeRegistration(
            status=status, reason=reason, matrix=matrix,
            fixed_z=pictured[0], moving_z=pictured[1],
            keypoints_fixed=points.found[0] if points else None,
            keypoints_moving=points.found[1] if points else None,
            matches=len(points.fixed) if points else None,
            inliers=kept.inliers if kept else None,
            inlier_fraction=kept.fraction if kept else None,
            rmse_px=kept.rmse_px if kept else None,
            mad_before=before[0], mad_after=after[0], ncc_before=before[1], ncc_after=after[1],
        )  # fmt: skip


def _both(
    fixed: tuple[NDArray[np.floating], Geometry],
    moving: tuple[NDArray[np.floating], Geometry],
    window: tuple[float, float],
    spacing_mm: float,
) -> tuple[Grid, Grid]:
    return (
        prepare_volume(fixed[0], fixed[1], window, spacing_mm),
        prepare_volume(moving[0], moving[1], window, spacing_mm),
    )


def _spacing_for(fixed: Geometry, moving: Geometry, voxels: int) -> float:
    """Choose the working spacing: no finer than the finest axis, and no more voxels than asked for."""
    spacing = min(*fixed.spacing_mm, *moving.spacing_mm)
    while any(_count(g, spacing) > voxels for g in (fixed, moving)):
        spacing *= 1.1
    return spacing


def _count(geometry: Geometry, spacing_mm: float) -> float:
    sizes = zip(geometry.shape, geometry.spacing_mm, strict=True)
    return float(np.prod([n * min(1.0, step / spacing_mm) for n, step in sizes]))


def _structure(fixed: Grid, moving: Grid, sampling: Matrix) -> float:
    warped, weight = rigid.warp_grid(moving, fixed, sampling)
    weight = np.where(fixed.weight > 0.9, weight, np.float32(0.0))
    if float(weight.mean()) < 0.05:
        return 0.0
    finest = min(fixed.geometry.spacing_mm)
    sigma = tuple(2.5 * finest / s for s in fixed.geometry.spacing_mm)
    one = rigid.structure(fixed.image, weight, sigma)
    other = rigid.structure(warped, weight, sigma)
    return weighted_ncc(one, other, weight) or 0.0


def _figures(fixed: Grid, moving: Grid, sampling: Matrix) -> tuple[float | None, float | None]:
    warped, weight = rigid.warp_grid(moving, fixed, sampling)
    weight = weight * fixed.weight
    total = float(weight.sum(dtype=np.float64))
    if total < 64:
        return None, None
    mad = float((np.abs(warped - fixed.image) * weight).sum(dtype=np.float64)) / total
    return mad, weighted_ncc(fixed.image, warped, weight)


def _pictured(fixed: Geometry, moving: Geometry, sampling: Matrix) -> tuple[int | None, int | None]:
    """Choose the fixed slice that moving covers best, nearest the middle, and its partner."""
    depth, rows, columns = fixed.shape
    y, x = np.meshgrid(np.linspace(0, rows - 1, 9), np.linspace(0, columns - 1, 9), indexing="ij")
    best: tuple[float, float, int, int] | None = None
    for z in range(depth):
        index = np.stack([np.full(y.size, float(z)), y.ravel(), x.ravel()], axis=1)
        world = fixed.to_world(index)
        there = moving.to_index(world @ sampling[:3, :3].T + sampling[:3, 3])
        inside = ((there > -0.5) & (there < np.array(moving.shape) - 0.5)).all(axis=1)
        if inside.any():
            partner = int(np.clip(np.round(np.median(there[inside, 0])), 0, moving.shape[0] - 1))
            rank = (-float(inside.mean()), abs(z - (depth - 1) / 2), z, partner)
            best = rank if best is None or rank < best else best
    return (None, None) if best is None else (best[2], best[3])
