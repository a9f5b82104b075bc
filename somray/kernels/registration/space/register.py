"""One session onto another: a motion in space, shifts of centimetres and a few degrees.

A coarse search tries small turns and finds the shift of each by correlation over all three axes, so that
neither shared scanner coordinates nor equal coverage is assumed. The best are refined on intensities,
coarse to fine. Turns of up to 30 degrees are searched where nothing nearer convinces, and keypoints on slices,
matched between volumes and fitted by RANSAC, are asked where those do not either. What a mirror image explains
clearly better is refused; what it only equals is judged by half turns: believed where the sides are known,
weak at most where they are not and keypoints agree.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.registration.plane.keypoints import DETECTORS, one_thread
from somray.kernels.registration.result import VolumeRegistration
from somray.kernels.registration.space.evidence import compared, pictured
from somray.kernels.registration.space.keypoints import SpatialKeypoints, spatial_keypoints
from somray.kernels.registration.space.motions import apart_mm, corners_of
from somray.kernels.registration.space.prepare import joint_window
from somray.kernels.registration.space.search import (
    ENGINES,
    Source,
    SpaceMotion,
    SpaceSearch,
    half_turns,
    mirror_images,
)

__all__ = ["SPACE_MODELS", "SpaceOptions", "register_volumes"]

Matrix = NDArray[np.float64]
Verdict = tuple[str, str | None]

SPACE_MODELS = ("auto", "rigid", "affine")

# Correlation of band-passed volumes. Known motions of the tuning volumes (tests/benchmarks/session_cases.py)
# gave .72 and more; of 56 pairs of different people's thighs and trunks, the best alike gave .47.
_OK = 0.60
_WEAK = 0.50
_CONVINCED = 0.60
_LEAST_LEAD = 0.10  # over the best mirror image, in Fisher's z
_CLEAR_LEAD = 0.20
_SUPPORT = 2.0  # tolerances of a match: keypoints whose motion lies no further off agree
_SUPPORT_SHARE = 0.5  # of the matches: two textures inside one outline gave .31, symmetric ones .87
_BETTER = 0.06  # a mirror image that leads by more is no coincidence


@dataclass(frozen=True)
class SpaceOptions:
    """How volumes are aligned.

    Args:
        model: rigid, affine, or auto: rigid unless an affine motion explains clearly more.
        engine: somray or simpleitk: who refines the motion on the fine grid.
        detector: keypoints for pairs that intensities do not decide: kaze, akaze, sift or orb.
        seed: of RANSAC's draws.
        oriented: whether the geometries tell left from right, as headers do; then a mirror image that
            fits equally well speaks against nothing, one that fits clearly better still does.

    Raises:
        ShapeError: if a name is not known.
    """

    model: str = "auto"
    engine: str = "somray"
    detector: str = "kaze"
    seed: int = 0
    oriented: bool = False

    def __post_init__(self) -> None:
        """Refuse names that are not known."""
        for name, value, known in (
            ("model", self.model, SPACE_MODELS),
            ("engine", self.engine, tuple(ENGINES)),
            ("detector", self.detector, tuple(DETECTORS)),
        ):
            if value not in known:
                raise ShapeError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def register_volumes(
    fixed: NDArray[np.floating],
    moving: NDArray[np.floating],
    fixed_geometry: Geometry,
    moving_geometry: Geometry,
    options: SpaceOptions | None = None,
) -> VolumeRegistration:
    """Align one session's volume with another's.

    Args:
        fixed: (z, y, x) on `fixed_geometry`, any float range; NaN means no data. One channel; both
            volumes in the same unit.
        moving: (z, y, x) on `moving_geometry`.
        fixed_geometry: grid of fixed; may be a reduced one.
        moving_geometry: grid of moving; spacing and coverage may differ.
        options: motion, engine, detector and seed.

    Returns:
        The registration; blank, unrelated and mirrored volumes come back refused, with the reason.

    Raises:
        ShapeError: if an array does not fit its geometry.

    Cost: about 2 s for 64×128×128 on one thread, a few times that where nothing convinces; memory about 40
        times the fine grid (500,000 voxels) beside the inputs.
    """
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
        return pair.aligned(options or SpaceOptions())


class _VolumePair:
    """Two volumes on their way to a verdict."""

    def __init__(self, fixed: Source, moving: Source, window: tuple[float, float]) -> None:
        self._sources = (fixed, moving)
        self._window = window
        self._points: SpatialKeypoints | None = None

    def aligned(self, options: SpaceOptions) -> VolumeRegistration:
        """Search, refine, judge."""
        self._search = SpaceSearch(*self._sources, self._window, options.engine)
        best = self._search.best()
        if best is None or best.structure < _CONVINCED:
            wide = self._search.wide()
            # So many turns try chance often: what they find must convince by itself.
            if wide is not None and wide.structure >= _CONVINCED:
                best = wide
        if best is None or best.structure < _CONVINCED:
            best = _richer(best, self._asked(options))
        if best is not None and best.structure >= _WEAK and options.model != "rigid":
            affine = options.model == "affine"
            best = self._search.affine(best) if affine else self._search.simplest(best)
        return self._judged(best, options)

    def _asked(self, options: SpaceOptions) -> SpaceMotion | None:
        """Ask keypoints as well."""
        sampling = self._keypoints(options).sampling
        return None if sampling is None else self._search.finished([sampling])

    def _keypoints(self, options: SpaceOptions) -> SpatialKeypoints:
        if self._points is None:
            self._points = spatial_keypoints(
                self._sources, self._window, options.detector, options.seed
            )
        return self._points

    def _judged(self, best: SpaceMotion | None, options: SpaceOptions) -> VolumeRegistration:
        if best is None:
            return self._result(("refused", "no motion brings the volumes together"), None)
        reason = f"structures correlate by only {best.structure:.2f} after alignment"
        if best.structure < _WEAK:
            return self._result(("refused", reason), best, None)
        verdict = self._against_rivals(best, options)
        if verdict[0] == "ok" and best.structure < _OK:
            verdict = "weak", reason
        return self._result(verdict, best, None if verdict[0] == "refused" else best.sampling)

    def _against_rivals(self, best: SpaceMotion, options: SpaceOptions) -> Verdict:
        """Judge a motion by what explains the pair and cannot be true."""
        mirrored = self._search.lead(best, mirror_images)
        if mirrored < -_BETTER:
            return "refused", f"a mirror image explains clearly more (by {-mirrored:.2f})"
        if not options.oriented and mirrored >= _LEAST_LEAD:
            return _led(mirrored, "a mirror image")
        turned = _led(self._search.lead(best, half_turns), "a half turn")
        if options.oriented or turned[0] == "refused":
            return turned
        reason = (
            f"a mirror image explains as much (lead {mirrored:.2f}, {_LEAST_LEAD:.2f} expected)"
        )
        if self._agrees(best, options):
            return "weak", f"{reason}; keypoints agree"
        return "refused", reason

    def _agrees(self, best: SpaceMotion, options: SpaceOptions) -> bool:
        """Tell whether keypoints find the same motion by themselves."""
        points = self._keypoints(options)
        share = points.kept(points.sampling).fraction
        if points.sampling is None or share is None or share < _SUPPORT_SHARE:
            return False
        corners = corners_of(self._sources[0][1])
        return apart_mm(points.sampling, best.sampling, corners) <= _SUPPORT * points.tolerance_mm

    def _result(
        self,
        verdict: tuple[str, str | None],
        best: SpaceMotion | None,
        sampling: Matrix | None = None,
    ) -> VolumeRegistration:
        fine = self._search.fine
        before = compared(*fine, np.eye(4))
        after: tuple[float | None, float | None] = (None, None)
        shown: tuple[int | None, int | None] = (None, None)
        matrix = None
        if sampling is not None:
            after = compared(*fine, sampling)
            shown = pictured(self._sources[0][1], self._sources[1][1], sampling)
            matrix = np.asarray(np.linalg.inv(sampling), dtype=np.float64)
        points = self._points
        kept = points.kept(sampling) if points is not None else None
        return VolumeRegistration(
            status=verdict[0], reason=verdict[1], matrix=matrix,
            model="rigid3d" if best is None else best.model,
            fixed_z=shown[0], moving_z=shown[1],
            structure=None if best is None else best.structure,
            keypoints_fixed=points.found[0] if points else None,
            keypoints_moving=points.found[1] if points else None,
            matches=len(points.fixed) if points else None,
            inliers=kept.inliers if kept else None,
            inlier_fraction=kept.fraction if kept else None,
            rmse_px=kept.rmse_px if kept else None,
            mad_before=before[0], mad_after=after[0], ncc_before=before[1], ncc_after=after[1],
        )  # fmt: skip


def _led(lead: float, rival: str) -> Verdict:
    """Judge the lead over a rival."""
    if lead < _LEAST_LEAD:
        return "refused", f"{rival} explains as much (lead {lead:.2f}, {_LEAST_LEAD:.2f} expected)"
    if lead < _CLEAR_LEAD:
        return "weak", f"{rival} explains nearly as much (lead {lead:.2f})"
    return "ok", None


def _richer(one: SpaceMotion | None, other: SpaceMotion | None) -> SpaceMotion | None:
    return max([c for c in (one, other) if c], key=lambda c: c.structure, default=None)
