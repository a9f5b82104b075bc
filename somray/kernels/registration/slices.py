"""One slice onto another.

`model="auto"` asks the cheap evidence first: a search over turns, scales and shifts at thumbnail size,
refined on intensities; keypoints follow only where that does not convince. The simplest model that the
evidence supports is kept, and a pair is refused when nothing explains it or when a mirror image explains
it better. A named model is the seed's way: keypoints and RANSAC, nothing else.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.registration import coarse, evidence, keypoints
from somray.kernels.registration.intensity import refine
from somray.kernels.registration.prepare import Prepared, prepare
from somray.kernels.registration.result import SliceRegistration

__all__ = ["MODELS", "register"]

Matrix = NDArray[np.float64]

MODELS = ("auto", "similarity", "affine", "homography")

# Correlation of band-passed slices; chosen in tests/benchmarks/bench_registration.py.
_OK = 0.55
_WEAK = 0.40
_CONVINCED = 0.60  # below that keypoints are asked too
_STARTS = 6
_FINALISTS = 2
_AFFINE_GAIN = 0.15  # share of the unexplained structure that affine must explain to be believed
_LEAST_INLIERS = 12
_LEAST_INLIER_FRACTION = 0.2


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A motion with the structure it explains."""

    sampling: Matrix
    structure: float
    model: str = "similarity"


def register(
    fixed: NDArray[np.generic],
    moving: NDArray[np.generic],
    detector: str = "kaze",
    model: str = "auto",
) -> SliceRegistration:
    """Align one slice with another.

    Args:
        fixed: (y, x), any number type and range; NaN means no data.
        moving: (y, x), may differ in shape from fixed.
        detector: kaze, akaze, sift or orb.
        model: auto, or similarity, affine, homography: keypoints and RANSAC with that motion.

    Returns:
        The registration; a blank or hopeless pair comes back refused, with the reason.

    Raises:
        ShapeError: if a slice is not 2D, or detector or model is not known.

    Cost: auto about 60 ms, named models with KAZE about 350 ms for 512×512 on one thread.
    Source: Alcantarilla et al., "KAZE features", 2012; Baker & Matthews 2004 for the refinement.
    """
    if detector not in keypoints.DETECTORS:
        known = ", ".join(keypoints.DETECTORS)
        raise ShapeError(f"detector must be one of {known}, got {detector!r}")
    if model not in MODELS:
        raise ShapeError(f"model must be one of {', '.join(MODELS)}, got {model!r}")
    with keypoints.one_thread():
        first, second = prepare(np.asarray(fixed), "fixed"), prepare(np.asarray(moving), "moving")
        shape = (int(fixed.shape[0]), int(fixed.shape[1]))
        named = "similarity" if model == "auto" else model
        if first is None or second is None:
            blank = "both slices" if first is second else "fixed" if first is None else "moving"
            reason = f"{blank}: blank, all pixels are equal or hold no data"
            return SliceRegistration("refused", reason, None, named, shape)
        pair = _Pair(first, second, detector)
        return pair.automatic() if model == "auto" else pair.by_keypoints(model)


class _Pair:
    """Two prepared slices on their way to a verdict."""

    def __init__(self, fixed: Prepared, moving: Prepared, detector: str) -> None:
        self._fixed, self._moving, self._detector = fixed, moving, detector
        self._thumb = min(coarse.thumbnail(fixed), coarse.thumbnail(moving))
        self._judge = max(0, self._thumb - 1)  # the level that structure is compared on
        self._matches: keypoints.Matches | None = None
        self._found: tuple[int, int] | None = None
        self._fit: keypoints.Fit | None = None

    def by_keypoints(self, model: str) -> SliceRegistration:
        """Run the seed's way with a named model."""
        self._run_keypoints(model)
        if self._fit is None or not _is_motion(self._fit.matrix, self._moving.shape):
            return self._refused("too few keypoints agree on one motion", model)
        kept, share = int(self._fit.kept.sum()), float(self._fit.kept.mean())
        if kept < _LEAST_INLIERS or share < _LEAST_INLIER_FRACTION:
            reason = f"{kept} of {len(self._fit.kept)} matches agree on one motion"
            return self._refused(reason, model)
        best = self._assess(np.linalg.inv(self._fit.matrix), model)
        return self._verdict(best)

    def automatic(self) -> SliceRegistration:
        """Run the cheap evidence, then keypoints where it does not convince."""
        thumbs = self._searched(self._fixed, self._moving)
        mirrored = self._searched(self._fixed, _mirrored(self._moving))
        if mirrored and (not thumbs or mirrored[0].structure > thumbs[0].structure):
            return self._refused("a mirror image of the moving slice fits better", "similarity")
        finalists = [self._finished(c.sampling) for c in thumbs[:_FINALISTS]]
        best = _best([c for c in finalists if c is not None])
        if best is None or best.structure < _CONVINCED:
            self._run_keypoints("similarity")
            if self._fit is not None and _is_motion(self._fit.matrix, self._moving.shape):
                more = self._finished(np.linalg.inv(self._fit.matrix))
                best = _best([c for c in (best, more) if c is not None])
        if best is None:
            return self._refused("no motion brings the slices together", "similarity")
        return self._verdict(self._simplest(best))

    def _searched(self, fixed: Prepared, moving: Prepared) -> list[_Candidate]:
        """Refine starts at thumbnail size; the best explained first."""
        begin = [np.eye(3)] + [s.sampling for s in coarse.starts(fixed, moving, _STARTS)]
        found = []
        for sampling in begin:
            refined = refine(fixed, moving, sampling, "similarity", ((self._thumb, 10),))
            if refined is not None:
                score, _ = evidence.structure_ncc(fixed, moving, refined, self._thumb)
                found.append(_Candidate(refined, score))
        return sorted(found, key=lambda c: -c.structure)

    def _finished(self, sampling: Matrix) -> _Candidate | None:
        """Refine a similarity over the finer levels."""
        levels = tuple((k, 12 if k else 4) for k in range(self._judge, -1, -1))
        refined = refine(self._fixed, self._moving, sampling, "similarity", levels)
        return None if refined is None else self._assess(refined, "similarity")

    def _simplest(self, best: _Candidate) -> _Candidate:
        """Keep the similarity unless an affine motion explains clearly more."""
        levels = ((self._judge, 12),) + (((0, 4),) if self._judge else ())
        refined = refine(self._fixed, self._moving, best.sampling, "affine", levels)
        if refined is None:
            return best
        richer = self._assess(refined, "affine")
        gain = (richer.structure - best.structure) / max(1.0 - best.structure, 1e-6)
        return richer if gain > _AFFINE_GAIN else best

    def _assess(self, sampling: Matrix, model: str) -> _Candidate:
        score, _ = evidence.structure_ncc(self._fixed, self._moving, sampling, self._judge)
        return _Candidate(sampling, score, model)

    def _run_keypoints(self, model: str) -> None:
        fixed = keypoints.detect(self._fixed.full, self._detector)
        moving = keypoints.detect(self._moving.full, self._detector)
        self._found = (len(fixed.points), len(moving.points))
        self._matches = keypoints.match(fixed, moving, self._detector)
        self._fit = keypoints.fit_motion(self._matches, model)

    def _verdict(self, best: _Candidate) -> SliceRegistration:
        if best.structure < _WEAK:
            reason = f"structures correlate by only {best.structure:.2f} after alignment"
            return self._refused(reason, best.model)
        status, reason = "ok", None
        if best.structure < _OK:
            status = "weak"
            reason = f"structures correlate by only {best.structure:.2f} after alignment"
        return self._result(status, reason, best.model, best.sampling)

    def _refused(self, reason: str, model: str) -> SliceRegistration:
        return self._result("refused", reason, model, None)

    def _result(
        self, status: str, reason: str | None, model: str, sampling: Matrix | None
    ) -> SliceRegistration:
        matrix = None
        if sampling is not None:
            matrix = np.linalg.inv(sampling)
            matrix = matrix / matrix[2, 2]
        before = evidence.figures(self._fixed, self._moving, np.eye(3))
        after = evidence.Figures(None, None)
        if sampling is not None:
            after = evidence.figures(self._fixed, self._moving, sampling)
        fit, matches = self._fit, self._matches
        kept = fit.kept if fit is not None else np.zeros(0, dtype=bool)
        drawn = matches is not None and fit is not None
        count = None if matches is None else len(matches.fixed)
        return SliceRegistration(
            status=status, reason=reason, matrix=matrix, model=model, fixed_shape=self._fixed.shape,
            keypoints_fixed=self._found[0] if self._found else None,
            keypoints_moving=self._found[1] if self._found else None,
            matches=count,
            inliers=int(kept.sum()) if count is not None else None,
            inlier_fraction=float(kept.sum()) / count if count else None,
            rmse_px=fit.rmse_px if fit is not None else None,
            mad_before=before.mad, mad_after=after.mad, ncc_before=before.ncc, ncc_after=after.ncc,
            fixed_points=matches.fixed[kept] if drawn and matches else np.zeros((0, 2)),
            moving_points=matches.moving[kept] if drawn and matches else np.zeros((0, 2)),
        )  # fmt: skip


def _best(candidates: list[_Candidate]) -> _Candidate | None:
    return max(candidates, key=lambda c: c.structure) if candidates else None


def _mirrored(slice_: Prepared) -> Prepared:
    """Reflect a slice left to right, levels and all."""
    flipped = (
        type(level)(level.image[:, ::-1].copy(), level.weight[:, ::-1].copy(), level.step)
        for level in slice_.levels
    )
    return Prepared(tuple(flipped))


def _is_motion(matrix: Matrix, shape: tuple[int, int]) -> bool:
    """Tell whether a matrix keeps the slice upright and of a believable size everywhere."""
    rows, columns = shape
    for x, y in ((0, 0), (columns, 0), (0, rows), (columns, rows), (columns / 2, rows / 2)):
        u, v, w = matrix @ (x, y, 1.0)
        if w <= 1e-6:
            return False
        jacobian = (matrix[:2, :2] - np.outer((u / w, v / w), matrix[2, :2])) / w
        stretch = np.linalg.svd(jacobian, compute_uv=False)
        if np.linalg.det(jacobian) <= 0 or stretch[0] > 3 or stretch[1] < 1 / 3:
            return False
    return True
