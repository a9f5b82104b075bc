"""One slice onto another.

`model="auto"` decides on intensities and asks keypoints where those do not convince; the simplest model
that the evidence supports is kept, and a pair is refused when nothing explains it or when a mirror image
explains it better. A named model is the seed's way: keypoints and RANSAC, and the mirror images asked last.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.registration.correlation import Figures
from somray.kernels.registration.plane import evidence, keypoints, starts
from somray.kernels.registration.plane.describe import DescribedSlice, describe
from somray.kernels.registration.plane.search import PlaneSearch, best_of
from somray.kernels.registration.plane.verdict import (
    RIVAL,
    Candidate,
    belief,
    farthest_px,
    is_motion,
    is_other,
    judge,
    lead,
)
from somray.kernels.registration.result import MotionVerdict, SliceRegistration

__all__ = [
    "MODELS",
    "PlaneOptions",
    "check_names",
    "refuse_blank",
    "register",
    "register_described",
]

Matrix = NDArray[np.float64]

MODELS = ("auto", "similarity", "affine", "homography")

_SURE_NEAR, _SURE_FAR = 0.5, 0.65  # leads that make patches and keypoints needless
_LEAST_NEAR, _LEAST_FAR = 0.04, 0.08  # of the lead, in Fisher's z
_BETTER = 0.06  # in Fisher's z: a mirror image that leads by more is no coincidence
_LEAST_INLIERS = 12  # of a named model
_LEAST_INLIER_FRACTION = 0.2
_ASKED_ON = 320  # pixels: keypoints that only support are sought on the first level within that
_SUPPORTING_INLIERS = 8  # of keypoints that agree with intensities …
_SUPPORT_SHARE = 0.05  # … within this share of the longer side


@dataclass(frozen=True)
class PlaneOptions:
    """How slices are aligned in the plane.

    Args:
        detector: kaze, akaze, sift or orb.
        model: auto, or similarity, affine, homography: keypoints and a robust fit of that motion.
        robust: ransac or magsac, how matches that agree are told from the rest.
        oriented: whether it is known which side of either slice is left; then a mirror image speaks
            against a motion only where it fits clearly better.

    Raises:
        ShapeError: if a name is not known.
    """

    detector: str = "kaze"
    model: str = "auto"
    robust: str = "ransac"
    oriented: bool = False

    def __post_init__(self) -> None:
        """Refuse names that are not known."""
        check_names("detector", self.detector, tuple(keypoints.DETECTORS))
        check_names("model", self.model, MODELS)
        check_names("robust", self.robust, keypoints.ROBUST)


def check_names(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse an option's value that is not known.

    Raises:
        ShapeError: naming those that are.
    """
    if value not in known:
        raise ShapeError(f"{option} must be one of {', '.join(known)}, got {value!r}")


def register(
    fixed: NDArray[np.generic],
    moving: NDArray[np.generic],
    detector: str = "kaze",
    model: str = "auto",
    robust: str = "ransac",
    oriented: bool = False,
) -> SliceRegistration:
    """Align one slice with another.

    Args:
        fixed: (y, x), any number type and range; NaN means no data.
        moving: (y, x), may differ in shape from fixed.
        detector: as in `PlaneOptions`, and so the other names.
        model: auto, similarity, affine or homography.
        robust: ransac or magsac.
        oriented: whether the sides are known.

    Returns:
        The registration; a blank or hopeless pair comes back refused, with the reason. With `auto` the
        keypoint figures are None where intensities alone decided.

    Raises:
        ShapeError: if a slice is not 2D, or detector, model or robust is not known.

    Source: Alcantarilla et al., "KAZE features", 2012; Fischler & Bolles, "Random sample consensus", 1981;
        Barath et al., "MAGSAC++", 2020; Baker & Matthews, "Lucas–Kanade 20 years on", 2004.
    """
    options = PlaneOptions(detector, model, robust, oriented)
    still = np.asarray(fixed)
    first, second = describe(still, "fixed"), describe(np.asarray(moving), "moving")
    if first is None or second is None:
        return refuse_blank(first, second, model, (still.shape[0], still.shape[1]))
    return register_described(first, second, options)


def register_described(
    fixed: DescribedSlice, moving: DescribedSlice, options: PlaneOptions | None = None
) -> SliceRegistration:
    """Align two slices that were described before: the same, to the bit, that `register` returns for them.

    Args:
        fixed: what `describe` made of the fixed slice.
        moving: the same of the moving slice.
        options: how they are aligned.
    """
    options = options or PlaneOptions()
    with keypoints.one_thread():
        pair = _SlicePair(fixed, moving, options)
        return pair.automatic() if options.model == "auto" else pair.by_keypoints(options.model)


def refuse_blank(
    fixed: DescribedSlice | None,
    moving: DescribedSlice | None,
    model: str,
    shape: tuple[int, int],
) -> SliceRegistration:
    """Return the refusal of a pair of which at least one slice shows nothing.

    Args:
        fixed: the fixed slice; None where it is blank.
        moving: the moving slice; None where it is blank.
        model: the model that was asked for.
        shape: rows and columns of the fixed slice.
    """
    which = "both slices" if fixed is moving else "fixed" if fixed is None else "moving"
    reason = f"{which}: blank, all pixels are equal or hold no data"
    named = "similarity" if model == "auto" else model
    return SliceRegistration("refused", reason, None, named, shape)


class _SlicePair:
    """Two described slices on their way to a verdict."""

    def __init__(
        self, fixed: DescribedSlice, moving: DescribedSlice, options: PlaneOptions
    ) -> None:
        self._described = fixed, moving
        self._fixed, self._moving = fixed.prepared, moving.prepared
        self._options, self._oriented = options, options.oriented
        self._search = PlaneSearch(self._fixed, self._moving)
        self._wrong = starts.WRONG_TURNS if self._oriented else starts.MIRRORS
        self._points: keypoints.PairKeypoints | None = None

    def by_keypoints(self, model: str) -> SliceRegistration:
        """Run the seed's way with a named model."""
        motion = self._keypoint_motion(model, None)
        if motion is None or self._points is None:
            return self._refused("too few keypoints agree on one motion", model)
        kept, count = self._points.inliers, len(self._points.kept)
        if kept < _LEAST_INLIERS or float(self._points.kept.mean()) < _LEAST_INLIER_FRACTION:
            return self._refused(f"only {kept} of {count} matches agree on one motion", model)
        best = self._search.assessed(motion, model)
        verdict = self._unmirrored(best, self._standing(best, [], supported=False))
        if verdict.is_refused:
            return self._refused(str(verdict.reason), model)
        return self._result(verdict, model, motion)

    def automatic(self) -> SliceRegistration:
        """Run the cheap evidence, then keypoints where it does not convince."""
        search, poses = self._search, self._wrong
        best, rivals = search.near(), list[Candidate]()
        if best is not None:
            if search.is_clear(best):
                return self._accepted(best, MotionVerdict())
            rivals = search.rivals(poses, best, thorough=False)
            verdict = self._standing(best, rivals, supported=False)
            if verdict.status == "ok":
                return self._accepted(best, self._checked(best, verdict))
        best = best_of([best, search.far()])
        if best is not None and search.is_clear(best):
            return self._accepted(best, MotionVerdict())
        rivals += search.rivals(poses, best, thorough=True)
        if best is not None:
            verdict = self._standing(best, rivals, supported=False)
            if verdict.status == "ok":
                return self._accepted(best, self._checked(best, verdict))
        best, supported = self._with_keypoints(best)
        if best is None:
            return self._refused("no motion brings the slices together", "similarity")
        # Keypoints reach turns that the rivals were not searched for.
        rivals += search.rivals_at(poses, best)
        return self._accepted(best, self._checked(best, self._standing(best, rivals, supported)))

    def _checked(self, best: Candidate, verdict: MotionVerdict) -> MotionVerdict:
        """Ask the mirror images of oriented slices last: one that fits clearly better says they are flipped."""
        return self._unmirrored(best, verdict) if self._oriented else verdict

    def _unmirrored(self, best: Candidate, verdict: MotionVerdict) -> MotionVerdict:
        """Refuse what a mirror image explains clearly better."""
        if verdict.is_refused:
            return verdict
        search, poses = self._search, starts.MIRRORS
        mirrors = search.rivals(poses, best, thorough=True) + search.rivals_at(poses, best)
        own = best_of([best, search.judged(best.sampling)]) or best
        if lead(own, best_of(mirrors), structure_weight=0.0) < -_BETTER:
            return MotionVerdict("refused", "a mirror image of the slice fits clearly better")
        return verdict

    def _standing(self, best: Candidate, rivals: list[Candidate], supported: bool) -> MotionVerdict:
        """Judge a motion by its rivals; one that its mirror image only equals by its wrong turns."""
        rival = best_of([c for c in rivals if is_other(c.sampling, best.sampling)])
        verdict = self._weighed(best, rival, supported)
        ahead = lead(best, rival, structure_weight=0.0)
        level = -_BETTER < ahead < _LEAST_FAR
        if not verdict.is_refused or self._oriented or not (supported and level):
            return verdict
        turned = best_of(self._search.rivals(starts.WRONG_TURNS, best, thorough=True))
        if self._weighed(best, turned, supported).is_refused:
            return verdict
        return MotionVerdict(
            "weak", f"{RIVAL[self._oriented]} fits equally well, but keypoints agree"
        )

    def _weighed(self, best: Candidate, rival: Candidate | None, supported: bool) -> MotionVerdict:
        """Judge a motion by one rival; patches are asked only where the lead alone does not settle it."""
        near = best.is_near(self._fixed.shape)
        if lead(best, rival) >= (_SURE_NEAR if near else _SURE_FAR):
            return MotionVerdict()
        if lead(best, rival, structure_weight=0.0) < (_LEAST_NEAR if near else _LEAST_FAR):
            return MotionVerdict("refused", f"{RIVAL[self._oriented]} fits as well or better")
        voted = self._search.voted(best)
        other = None if rival is None else self._search.voted(rival)
        return judge(belief(voted, other), near, supported, self._oriented)

    def _accepted(self, best: Candidate, verdict: MotionVerdict) -> SliceRegistration:
        """Return the simplest model that the evidence supports, unless the motion is refused."""
        if verdict.is_refused:
            return self._refused(str(verdict.reason), best.model)
        best = self._search.finished(self._search.simplest(best))
        return self._result(verdict, best.model, best.sampling)

    def _with_keypoints(self, best: Candidate | None) -> tuple[Candidate | None, bool]:
        """Ask keypoints too; also tell whether they agree with what is best then."""
        motion = self._keypoint_motion("similarity", _ASKED_ON)
        if motion is None:
            return best, False
        best = best_of([best, self._search.judged(motion)])
        return best, best is not None and self._agrees(best, motion)

    def _keypoint_motion(self, model: str, longest: int | None) -> Matrix | None:
        """Return what keypoints agree on, fixed pixels to moving pixels; None for no real motion."""
        detector, robust = self._options.detector, self._options.robust
        fixed, moving = (one.keypoints(detector, longest) for one in self._described)
        matches = keypoints.match(fixed, moving, detector)
        fit = keypoints.fit_motion(matches, model, robust)
        found = len(fixed.points), len(moving.points)
        self._points = keypoints.PairKeypoints(*found, matches, fit)
        if fit is None or not is_motion(fit.matrix, self._moving.shape):
            return None
        return np.asarray(np.linalg.inv(fit.matrix), dtype=np.float64)

    def _agrees(self, best: Candidate, motion: Matrix) -> bool:
        if self._points is None or self._points.inliers < _SUPPORTING_INLIERS:
            return False
        shape = self._fixed.shape
        return farthest_px(best.sampling, motion, shape) <= _SUPPORT_SHARE * max(shape)

    def _refused(self, reason: str, model: str) -> SliceRegistration:
        return self._result(MotionVerdict("refused", reason), model, None)

    def _result(
        self, verdict: MotionVerdict, model: str, sampling: Matrix | None
    ) -> SliceRegistration:
        before = evidence.figures(self._fixed, self._moving, np.eye(3))
        after, matrix = Figures(), None
        if sampling is not None:
            after = evidence.figures(self._fixed, self._moving, sampling)
            inverse = np.linalg.inv(sampling)
            matrix = np.asarray(inverse / inverse[2, 2], dtype=np.float64)
        told: dict[str, Any] = {} if self._points is None else self._points.columns()  # Any: mixed
        return SliceRegistration(
            *verdict, matrix, model, self._fixed.shape,
            mad_before=before.mad, mad_after=after.mad, ncc_before=before.ncc, ncc_after=after.ncc,
            **told,
        )  # fmt: skip
