"""Labels that a student makes for the next round.

Only confident pixels become labels; the others have weight 0 and do not exist for the training. The
confidence is a calibrated one (`calibration`): a student that is too sure would else believe itself.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["pseudo_labels"]

UNCERTAIN = (0.1, 0.9)
"""Probabilities between these are no label."""


def pseudo_labels(
    chance: NDArray[np.float32], known: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Turn probabilities into a target and a weight.

    Args:
        chance: calibrated probabilities of any shape.
        known: where there is data, same shape.

    Returns:
        Target (probability of at least one half) and weight: |2p - 1| where the student is sure, else 0.
    """
    sure = known & ((chance <= UNCERTAIN[0]) | (chance >= UNCERTAIN[1]))
    weight = np.where(sure, np.abs(2 * chance - 1), 0).astype(np.float32)
    return chance >= 0.5, weight
