"""The verdict on a plane motion: ok, weak or refused, and why.

What a motion explains is weighed against what the mirror images of the slice reach, or its wrong turns where
the sides are known: they have its outline and texture, but no true correspondence, and were given the same
search. How much more is needed depends on how far the motion was searched for: neighbouring slices nearly
coincide, and a motion found next to the identity had few rivals; one picked from all turns, scales and shifts had
thousands. Keypoints that agree on the same motion are independent evidence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.plane.evidence import MotionEvidence
from somray.kernels.registration.plane.patches import Votes
from somray.kernels.registration.result import MotionVerdict

__all__ = ["RIVAL", "Candidate", "belief", "farthest_px", "is_motion", "is_other", "judge", "lead"]

Matrix = NDArray[np.float64]

# Chosen on neighbours, unrelated, flipped, noisy and halved slices: tests/benchmarks/bench_registration.py.
_NEAR_SHARE = 0.12  # of the longer side: corners moved less than that are next to the identity
_STRUCTURE_WEIGHT = 0.25
_OK_NEAR, _WEAK_NEAR = 0.60, 0.34
# A wrong turn is the weaker rival: other heights of a head reach .43 (bench_symmetric.py).
_WEAK_NEAR_TURNS = 0.45
_OK_FAR, _WEAK_FAR = 0.74, 0.58
RIVAL = {False: "a mirror image", True: "the slice turned wrongly"}
"""What rivals are called, by whether the sides are known."""
_OTHER_DEGREES = 25.0  # a wrong turn nearer than that is the motion itself, or on the way to it
_SUPPORT = 0.3  # what agreeing keypoints are worth


@dataclass(frozen=True, eq=False)
class Candidate:
    """A motion, fixed pixels to moving pixels, with what speaks for it."""

    sampling: Matrix
    evidence: MotionEvidence
    model: str = "similarity"
    votes: Votes | None = None

    @property
    def structure(self) -> float:
        """Its structural correlation, what candidates are ranked by."""
        return self.evidence.structure

    def is_near(self, shape: tuple[int, int]) -> bool:
        """Tell whether it lies next to the identity."""
        return farthest_px(self.sampling, np.eye(3), shape) <= _NEAR_SHARE * max(shape)


def lead(
    candidate: Candidate, rival: Candidate | None, structure_weight: float = _STRUCTURE_WEIGHT
) -> float:
    """Return by how much a motion explains more than the best mirror image.

    Args:
        candidate: the motion.
        rival: the best mirror image; None where none was found.
        structure_weight: how much the motion's own structure counts beside the difference.

    Returns:
        The difference of Fisher's z, which counts the same at weak and at strong correlations.
    """
    least = 0.0 if rival is None else max(rival.structure, 0.0)
    both = np.arctanh(np.clip([candidate.structure, least], -0.999, 0.999))
    return float(both[0] - both[1]) + structure_weight * candidate.structure


def belief(candidate: Candidate, rival: Candidate | None) -> float:
    """Add what patches say, of the motion and of the best mirror image, to the lead; both voted on."""
    own = 0.0 if candidate.votes is None else candidate.votes.share
    other = 0.0 if rival is None or rival.votes is None else rival.votes.share
    return lead(candidate, rival) + own - 0.5 * other


def judge(found: float, near: bool, supported: bool, oriented: bool = False) -> MotionVerdict:
    """Judge a motion.

    Args:
        found: belief in the best motion.
        near: whether it lies next to the identity.
        supported: whether keypoints agree on the same motion.
        oriented: whether the rivals are wrong turns instead of mirror images.
    """
    found += _SUPPORT if supported else 0.0
    least = _WEAK_NEAR_TURNS if oriented else _WEAK_NEAR
    ok, weak = (_OK_NEAR, least) if near else (_OK_FAR, _WEAK_FAR)
    if found >= ok:
        return MotionVerdict()
    where = "next to the identity" if near else "so far from the identity"
    reason = f"evidence {found:.2f} where a motion {where} needs {ok:.2f}"
    if found >= weak:
        return MotionVerdict("weak", reason)
    return MotionVerdict("refused", f"hardly better than {RIVAL[oriented]}: {reason}")


def farthest_px(one: Matrix, other: Matrix, shape: tuple[int, int]) -> float:
    """Return how far two motions disagree at most, over the corners of a slice, in pixels."""
    rows, columns = shape
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]], dtype=float)
    first, second = corners @ one.T, corners @ other.T
    apart = first[:, :2] / first[:, 2:] - second[:, :2] / second[:, 2:]
    return float(np.linalg.norm(apart, axis=1).max())


def is_other(one: Matrix, other: Matrix) -> bool:
    """Tell whether two motions turn clearly otherwise, or one of them mirrors."""
    x, y = (m[:2, :2] / abs(np.linalg.det(m[:2, :2])) ** 0.5 for m in (one, other))
    cosine = 0.5 * float((x * y).sum())  # of the turn between them; 0 where one mirrors
    return bool(cosine < np.cos(np.deg2rad(_OTHER_DEGREES)))


def is_motion(matrix: Matrix, shape: tuple[int, int]) -> bool:
    """Tell whether a matrix keeps a slice upright and of a believable size everywhere."""
    rows, columns = shape
    for x, y in ((0, 0), (columns, 0), (0, rows), (columns, rows), (columns / 2, rows / 2)):
        u, v, w = (float(c) for c in matrix @ (x, y, 1.0))
        if w <= 1e-6:
            return False
        jacobian = (matrix[:2, :2] - np.outer((u / w, v / w), matrix[2, :2])) / w
        stretch = np.linalg.svd(jacobian, compute_uv=False)
        if float(np.linalg.det(jacobian)) <= 0 or stretch[0] > 3 or stretch[1] < 1 / 3:
            return False
    return True
