"""The verdict on a plane motion: ok, weak or refused, and why.

How much evidence a motion needs depends on how far it was searched for: neighbouring slices nearly
coincide, and a motion found next to the identity had few rivals; one picked from all turns, scales and
shifts had thousands. Keypoints that agree on the same motion are independent evidence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.registration.evidence import Evidence

__all__ = ["Candidate", "farthest_px", "is_motion", "judge"]

Matrix = NDArray[np.float64]

# Chosen on real neighbours, unrelated and flipped slices: tests/benchmarks/LOG.md, registration.
_NEAR_SHARE = 0.12  # of the longer side: corners moved less than that are next to the identity
_STRENGTH_WEIGHT = 0.15
_OK_NEAR, _WEAK_NEAR = 0.60, 0.42
_OK_FAR, _WEAK_FAR = 0.85, 0.66
_LEAST_STRUCTURE = 0.25
_LEAST_FAR_STRENGTH = 1.5  # one hot spot can be laid on any other
_SUPPORT = 0.25  # what agreeing keypoints are worth


@dataclass(frozen=True, eq=False)
class Candidate:
    """A motion, fixed pixels to moving pixels, with what speaks for it."""

    sampling: Matrix
    evidence: Evidence
    model: str = "similarity"

    @property
    def structure(self) -> float:
        """Its structural correlation, what candidates are ranked by."""
        return self.evidence.structure

    def is_near(self, shape: tuple[int, int]) -> bool:
        """Tell whether it lies next to the identity."""
        return farthest_px(self.sampling, np.eye(3), shape) <= _NEAR_SHARE * max(shape)


def judge(best: Candidate, shape: tuple[int, int], supported: bool) -> tuple[str, str | None]:
    """Return status and reason for the best motion found.

    Args:
        best: the motion.
        shape: rows and columns of the fixed slice.
        supported: whether keypoints agree on the same motion.
    """
    near = best.is_near(shape)
    weight = best.structure + _STRENGTH_WEIGHT * best.evidence.strength
    weight += _SUPPORT if supported else 0.0
    ok, weak = (_OK_NEAR, _WEAK_NEAR) if near else (_OK_FAR, _WEAK_FAR)
    reason = (
        f"structures correlate by only {best.structure:.2f} after alignment "
        f"(evidence {weight:.2f}, {ok:.2f} expected)"
    )
    lone = not near and not supported and best.evidence.strength < _LEAST_FAR_STRENGTH
    if lone:
        reason = f"too few separate structures to tell it from chance (strength {best.evidence.strength:.2f})"
    if lone or best.structure < _LEAST_STRUCTURE or weight < weak:
        return "refused", reason
    return ("weak", reason) if weight < ok else ("ok", None)


def farthest_px(one: Matrix, other: Matrix, shape: tuple[int, int]) -> float:
    """Return how far two motions disagree at most, over the corners of a slice, in pixels."""
    rows, columns = shape
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]], dtype=float)
    first, second = corners @ one.T, corners @ other.T
    apart = first[:, :2] / first[:, 2:] - second[:, :2] / second[:, 2:]
    return float(np.linalg.norm(apart, axis=1).max())


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
