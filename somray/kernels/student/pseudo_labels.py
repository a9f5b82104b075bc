"""Labels that a student makes for the next round, and when a round must not be believed.

Only confident pixels become labels; the others have weight 0 and do not exist for the training.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.kernels.metrics import agreement

__all__ = ["is_collapsed", "pseudo_labels"]

UNCERTAIN = (0.1, 0.9)
"""Probabilities between these are no label."""
DICE_DROP = 0.05
"""A round whose Dice on the labelled slice falls by more than this has collapsed."""
AREA_RATIO = 2.0
"""So has one whose target grows or shrinks by more than this on a slice that it was trained on."""
AREA_PIXELS = 16
"""Changes of smaller areas mean nothing."""


def pseudo_labels(
    chance: NDArray[np.float32], known: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Turn probabilities into a target and a weight.

    Args:
        chance: probabilities of any shape.
        known: where there is data, same shape.

    Returns:
        Target (probability of at least one half) and weight: |2p - 1| where the student is sure, else 0.
    """
    sure = known & ((chance <= UNCERTAIN[0]) | (chance >= UNCERTAIN[1]))
    weight = np.where(sure, np.abs(2 * chance - 1), 0).astype(np.float32)
    return chance >= 0.5, weight


def is_collapsed(
    before: Sequence[NDArray[np.bool_]],
    after: Sequence[NDArray[np.bool_]],
    teacher: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> bool:
    """Tell whether a round spoiled the student, without asking the teacher about unlabelled slices.

    Args:
        before: (y, x) masks of the best round so far, labelled slice first.
        after: (y, x) masks of the new round.
        teacher: (y, x) the labelled slice's mask.
        known: (y, x) where the labelled slice counts.
    """
    dice = [agreement((m[0] & known), (teacher & known))["dice"] or 0.0 for m in (before, after)]
    if dice[0] - dice[1] > DICE_DROP:
        return True
    for old, new in zip(before, after, strict=True):
        areas = int(old.sum()), int(new.sum())
        if max(areas) > AREA_PIXELS and max(areas) > AREA_RATIO * min(areas):
            return True
    return False
