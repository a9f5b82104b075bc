"""Keypoints, their matches and a robust fit: the seed's way of aligning slices.

KAZE on each slice, nearest-neighbour matching with a ratio test, RANSAC on the chosen motion. AKAZE, SIFT
and ORB stand beside KAZE. OpenCV's random numbers are seeded and it runs on one thread here, so that the
same slices give the same result anywhere.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.registration.plane.prepare import Level

__all__ = [
    "DETECTORS",
    "ROBUST",
    "Fit",
    "Keypoints",
    "Matches",
    "PairKeypoints",
    "detect",
    "fit_motion",
    "match",
    "one_thread",
]

Points = NDArray[np.float64]

_RATIO = 0.8  # Lowe 2004: nearest distance over second nearest
_TOLERANCE_PX = 3.0  # RANSAC's inlier bound, OpenCV's own default
_SMALL_SIDE = 160  # pixels: smaller slices are enlarged first, detectors need room about a keypoint
_MOST_ENLARGED = 6
_MOST_KEYPOINTS = 3000
ROBUST = ("ransac", "magsac")
"""How agreeing matches are told from the rest."""
_LEAST_MATCHES = {"similarity": 2, "affine": 3, "homography": 4}

DETECTORS: dict[str, tuple[Callable[[], object], int]] = {
    "kaze": (lambda: cv2.KAZE.create(), cv2.NORM_L2),
    "akaze": (lambda: cv2.AKAZE.create(), cv2.NORM_HAMMING),
    "sift": (lambda: cv2.SIFT.create(nfeatures=_MOST_KEYPOINTS), cv2.NORM_L2),
    "orb": (lambda: cv2.ORB.create(nfeatures=1500, fastThreshold=5), cv2.NORM_HAMMING),
}
"""Detector name to its maker and the norm that compares its descriptors."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold OpenCV to one thread: units run side by side, and sums keep their order."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of one slice: points (n, 2) x, y in its pixels, and descriptors (n, d)."""

    points: Points
    descriptors: NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Matches:
    """Matched points (n, 2) x, y, row by row."""

    fixed: Points
    moving: Points


@dataclass(frozen=True, eq=False)
class Fit:
    """A RANSAC motion: (3, 3) moving to fixed, which matches it kept (n,) bool, their RMS residual."""

    matrix: NDArray[np.float64]
    kept: NDArray[np.bool_]
    rmse_px: float


@dataclass(frozen=True, eq=False)
class PairKeypoints:
    """What keypoints say of two slices: how many either has, their matches, and the fit, if any."""

    found_fixed: int
    found_moving: int
    matches: Matches
    fit: Fit | None

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(n,) which matches the fit kept; none without one."""
        none = np.zeros(len(self.matches.fixed), dtype=bool)
        return none if self.fit is None else self.fit.kept

    @property
    def inliers(self) -> int:
        """How many those are."""
        return int(self.kept.sum())

    def columns(self) -> dict[str, Any]:  # Any: fields of different types
        """Return the fields of a `SliceRegistration` that tell of keypoints."""
        return {
            "keypoints_fixed": self.found_fixed,
            "keypoints_moving": self.found_moving,
            "matches": len(self.kept),
            "inliers": self.inliers,
            "inlier_fraction": float(self.kept.mean()) if len(self.kept) else None,
            "rmse_px": None if self.fit is None else self.fit.rmse_px,
            "fixed_points": self.matches.fixed[self.kept],
            "moving_points": self.matches.moving[self.kept],
        }


def detect(level: Level, detector: str) -> Keypoints:
    """Find keypoints on a windowed slice; none next to missing data.

    Args:
        level: the slice, 0..1.
        detector: a key of `DETECTORS`.

    Raises:
        ShapeError: if the detector is not known.
    """
    if detector not in DETECTORS:
        raise ShapeError(f"detector must be one of {', '.join(DETECTORS)}, got {detector!r}")
    image = np.round(level.image * 255.0).astype(np.uint8)
    enlarged = min(_MOST_ENLARGED, max(1, -(-_SMALL_SIDE // min(image.shape))))
    mask = (level.weight > 0.99).astype(np.uint8)
    if enlarged > 1:
        size = (image.shape[1] * enlarged, image.shape[0] * enlarged)
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    if not mask.all():
        mask = cv2.erode(mask, np.ones((9, 9), dtype=np.uint8))
    finder = DETECTORS[detector][0]()
    found, descriptors = finder.detectAndCompute(image, mask)  # type: ignore[attr-defined]
    if descriptors is None or len(found) == 0:
        return Keypoints(np.zeros((0, 2)), np.zeros((0, 1), dtype=np.float32))
    order = sorted(range(len(found)), key=lambda k: (-found[k].response, k))[:_MOST_KEYPOINTS]
    points = np.array([found[k].pt for k in order], dtype=np.float64)
    # resize puts pixel x at (x + ½)·f − ½
    return Keypoints((points + 0.5) / enlarged - 0.5, np.asarray(descriptors)[order])


def match(fixed: Keypoints, moving: Keypoints, detector: str) -> Matches:
    """Pair each moving keypoint with its nearest fixed one where that is clearly the nearest."""
    if len(fixed.points) < 2 or len(moving.points) < 1:
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    pairs = cv2.BFMatcher(DETECTORS[detector][1]).knnMatch(
        moving.descriptors, fixed.descriptors, k=2
    )
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < _RATIO * p[1].distance]
    best: dict[int, cv2.DMatch] = {}
    for one in good:  # a fixed keypoint has one partner: the nearest
        if one.trainIdx not in best or one.distance < best[one.trainIdx].distance:
            best[one.trainIdx] = one
    chosen = sorted(best.values(), key=lambda m: (m.queryIdx, m.trainIdx))
    return Matches(
        fixed.points[[m.trainIdx for m in chosen]].reshape(-1, 2),
        moving.points[[m.queryIdx for m in chosen]].reshape(-1, 2),
    )


def fit_motion(matches: Matches, model: str, robust: str = "ransac") -> Fit | None:
    """Fit a motion to the matches that agree; None where they do not determine one.

    Args:
        matches: matched points.
        model: similarity, affine or homography.
        robust: ransac or magsac (OpenCV's USAC_MAGSAC, Barath et al., "MAGSAC++", 2020).
    """
    least = _LEAST_MATCHES[model]
    if len(matches.fixed) < least + 2:
        return None
    cv2.setRNGSeed(0)
    found = _robust_matrix(matches, model, robust)
    if found is None:
        return None
    matrix, inlier = found
    if int(inlier.sum()) < least or not np.isfinite(matrix).all():
        return None
    residual = _residuals(matrix, matches)[inlier]
    return Fit(matrix, inlier, float(np.sqrt((residual**2).mean())))


def _robust_matrix(
    matches: Matches, model: str, robust: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """Return the motion moving to fixed and which matches agree with it."""
    moving, fixed = matches.moving.astype(np.float32), matches.fixed.astype(np.float32)
    method = cv2.RANSAC if robust == "ransac" else cv2.USAC_MAGSAC
    if model == "homography":
        matrix, kept = cv2.findHomography(moving, fixed, method, _TOLERANCE_PX)
    elif model == "similarity" and robust == "ransac":
        matrix, kept = cv2.estimateAffinePartial2D(
            moving, fixed, method=method, ransacReprojThreshold=_TOLERANCE_PX
        )
    else:  # OpenCV knows no MAGSAC for similarities: an affine motion picks the matches
        matrix, kept = cv2.estimateAffine2D(
            moving, fixed, method=method, ransacReprojThreshold=_TOLERANCE_PX
        )
    if matrix is None or kept is None:
        return None
    full = np.eye(3)
    full[: len(matrix)] = matrix
    inlier = kept.ravel().astype(bool)
    if model == "similarity" and robust == "magsac":
        return _similarity_of(matches, inlier)
    return full, inlier


def _similarity_of(
    matches: Matches, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """Fit a similarity to the kept matches in least squares, choose again, fit again."""
    matrix = np.eye(3)
    for _ in range(2):
        if kept.sum() < _LEAST_MATCHES["similarity"]:
            return None
        # One complex number turns and scales: fixed = factor · moving + shift.
        moving = matches.moving[kept] @ (1.0, 1.0j)
        fixed = matches.fixed[kept] @ (1.0, 1.0j)
        centred = moving - moving.mean()
        power = float((np.abs(centred) ** 2).sum())
        if power == 0.0:
            return None
        factor = (np.conj(centred) * (fixed - fixed.mean())).sum() / power
        shift = fixed.mean() - factor * moving.mean()
        matrix = np.array(
            [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag],
             [0.0, 0.0, 1.0]]
        )  # fmt: skip
        kept = _residuals(matrix, matches) < _TOLERANCE_PX
    return matrix, kept


def _residuals(matrix: NDArray[np.float64], matches: Matches) -> NDArray[np.float64]:
    """Return how far each match lies off under a motion, in fixed pixels."""
    carried = np.column_stack([matches.moving, np.ones(len(matches.moving))]) @ matrix.T
    with np.errstate(divide="ignore", invalid="ignore"):  # points at infinity fit nothing
        apart = carried[:, :2] / carried[:, 2:] - matches.fixed
    return np.asarray(np.linalg.norm(apart, axis=1), dtype=np.float64)
