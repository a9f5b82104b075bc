"""One session onto another: a motion in space, shifts of centimetres and a few degrees.

A coarse search tries small turns and finds the shift of each by correlation over all three axes, so that
neither shared scanner coordinates nor equal coverage is assumed. The best are refined on intensities,
coarse to fine. Turns of up to 30 degrees are searched where nothing nearer convinces, and keypoints on slices,
matched between volumes and fitted by RANSAC, are asked where those do not either. What a mirror image explains
clearly better is refused; what it only equals is judged by half turns: believed where the sides are known,
weak at most where they are not and keypoints agree.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.registration.correlation import Figures
from somray.kernels.registration.plane.keypoints import DETECTORS, one_thread
from somray.kernels.registration.plane.register import check_names
from somray.kernels.registration.result import MotionVerdict, VolumeRegistration
from somray.kernels.registration.space.evidence import compared, pictured
from somray.kernels.registration.space.keypoints import SpatialKeypoints, spatial_keypoints
from somray.kernels.registration.space.motions import apart_mm, corners_of
from somray.kernels.registration.space.prepare import GriddedVolume, Window, joint_window
from somray.kernels.registration.space.search import (
    ENGINES,
    SpaceMotion,
    SpaceSearch,
    half_turns,
    mirror_images,
)

__all__ = ["SPACE_MODELS", "SpaceOptions", "register_volumes"]

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
        check_names("model", self.model, SPACE_MODELS)
        check_names("engine", self.engine, tuple(ENGINES))
        check_names("detector", self.detector, tuple(DETECTORS))


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
    still = GriddedVolume(fixed, fixed_geometry, "fixed")
    other = GriddedVolume(moving, moving_geometry, "moving")
    window = joint_window(fixed, moving)
    if window is None:
        blank = "a volume is blank: all voxels are equal or hold no data"
        return VolumeRegistration("refused", blank, None)
    with one_thread():
        return _VolumePair(still, other, window, options or SpaceOptions()).aligned()


class _VolumePair:
    """Two volumes on their way to a verdict."""

    def __init__(
        self, fixed: GriddedVolume, moving: GriddedVolume, window: Window, options: SpaceOptions
    ) -> None:
        self._fixed, self._moving, self._window = fixed, moving, window
        self._options = options
        self._search = SpaceSearch(fixed, moving, window, options.engine)
        self._points: SpatialKeypoints | None = None

    def aligned(self) -> VolumeRegistration:
        """Search, refine, judge."""
        best = self._search.best()
        if best is None or best.structure < _CONVINCED:
            wide = self._search.wide()
            # So many turns try chance often: what they find must convince by itself.
            if wide is not None and wide.structure >= _CONVINCED:
                best = wide
        if best is None or best.structure < _CONVINCED:
            sampling = self._keypoints().sampling
            asked = None if sampling is None else self._search.finished([sampling])
            best = max([c for c in (best, asked) if c], key=lambda c: c.structure, default=None)
        if best is not None and best.structure >= _WEAK and self._options.model != "rigid":
            affine = self._options.model == "affine"
            best = self._search.affine(best) if affine else self._search.simplest(best)
        return self._judged(best)

    def _keypoints(self) -> SpatialKeypoints:
        if self._points is None:
            names = self._window, self._options.detector, self._options.seed
            self._points = spatial_keypoints(self._fixed, self._moving, *names)
        return self._points

    def _judged(self, best: SpaceMotion | None) -> VolumeRegistration:
        if best is None:
            return self._result(
                MotionVerdict("refused", "no motion brings the volumes together"), None
            )
        reason = f"structures correlate by only {best.structure:.2f} after alignment"
        if best.structure < _WEAK:
            return self._result(MotionVerdict("refused", reason), best)
        verdict = self._against_rivals(best)
        if verdict.status == "ok" and best.structure < _OK:
            verdict = MotionVerdict("weak", reason)
        return self._result(verdict, best)

    def _against_rivals(self, best: SpaceMotion) -> MotionVerdict:
        """Judge a motion by what explains the pair and cannot be true."""
        mirrored = self._search.lead(best, mirror_images)
        if mirrored < -_BETTER:
            return MotionVerdict(
                "refused", f"a mirror image explains clearly more (by {-mirrored:.2f})"
            )
        if not self._options.oriented and mirrored >= _LEAST_LEAD:
            return _led(mirrored, "a mirror image")
        turned = _led(self._search.lead(best, half_turns), "a half turn")
        if self._options.oriented or turned.is_refused:
            return turned
        reason = (
            f"a mirror image explains as much (lead {mirrored:.2f}, {_LEAST_LEAD:.2f} expected)"
        )
        if self._agrees(best):
            return MotionVerdict("weak", f"{reason}; keypoints agree")
        return MotionVerdict("refused", reason)

    def _agrees(self, best: SpaceMotion) -> bool:
        """Tell whether keypoints find the same motion by themselves."""
        points = self._keypoints()
        share = points.kept(points.sampling).fraction
        if points.sampling is None or share is None or share < _SUPPORT_SHARE:
            return False
        corners = corners_of(self._fixed.geometry)
        return apart_mm(points.sampling, best.sampling, corners) <= _SUPPORT * points.tolerance_mm

    def _result(self, verdict: MotionVerdict, best: SpaceMotion | None) -> VolumeRegistration:
        sampling = None if best is None or verdict.is_refused else best.sampling
        before, after = compared(*self._search.fine, np.eye(4)), Figures()
        shown: tuple[int | None, int | None] = (None, None)
        matrix = None
        if sampling is not None:
            after = compared(*self._search.fine, sampling)
            shown = pictured(self._fixed.geometry, self._moving.geometry, sampling)
            matrix = np.asarray(np.linalg.inv(sampling), dtype=np.float64)
        told: dict[str, Any] = {} if self._points is None else self._points.columns(sampling)
        return VolumeRegistration(
            *verdict, matrix, "rigid3d" if best is None else best.model,
            fixed_z=shown[0], moving_z=shown[1],
            structure=None if best is None else best.structure,
            mad_before=before.mad, mad_after=after.mad, ncc_before=before.ncc, ncc_after=after.ncc,
            **told,
        )  # fmt: skip


def _led(lead: float, rival: str) -> MotionVerdict:
    """Judge the lead over a rival."""
    if lead < _LEAST_LEAD:
        return MotionVerdict(
            "refused", f"{rival} explains as much (lead {lead:.2f}, {_LEAST_LEAD:.2f} expected)"
        )
    if lead < _CLEAR_LEAD:
        return MotionVerdict("weak", f"{rival} explains nearly as much (lead {lead:.2f})")
    return MotionVerdict()
