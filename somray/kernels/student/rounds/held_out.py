"""Blocks of an image that nothing is learned from, so that probabilities can be calibrated on them."""

import itertools

import numpy as np
from numpy.typing import NDArray

__all__ = ["held_out"]

SIDES = {2: 32, 3: 8}
"""Pixels along a block, in two and three dimensions."""
SHARE = 0.1
"""Of the pixels that count, and at most of the target's."""


def held_out(
    mask: NDArray[np.bool_], known: NDArray[np.bool_], seed: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Choose blocks in an order drawn by a seed, while they hide no more than a tenth of the target.

    Args:
        mask: ([z,] y, x) the target.
        known: ([z,] y, x) pixels that count.
        seed: numbers that decide the order.

    Returns:
        ([z,] y, x) bool, pixels held out.
    """
    side = SIDES[mask.ndim]
    corners = list(itertools.product(*(range(0, size, side) for size in mask.shape)))
    most, most_target = SHARE * np.count_nonzero(known), SHARE * np.count_nonzero(mask)
    found = np.zeros(mask.shape, dtype=bool)
    pixels = target = 0
    for n in np.random.default_rng(seed).permutation(len(corners)):
        block = tuple(slice(at, at + side) for at in corners[n])
        more, more_target = int(known[block].sum()), int(mask[block].sum())
        if more and pixels + more <= most and target + more_target <= most_target:
            found[block] = known[block]
            pixels, target = pixels + more, target + more_target
    return found
