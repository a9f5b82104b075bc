"""Blocks of whole numbers: the commonest of each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["commonest"]


def commonest(
    numbers: NDArray[np.signedinteger[Any]], block: tuple[int, int], nothing: int = -1
) -> NDArray[np.signedinteger[Any]]:
    """Return the commonest number of each block; the lowest of equals.

    Args:
        numbers: (n, z, y, x); all of z is one block.
        block: rows and columns of a block; the last ones may be cut.
        nothing: stands where there is no number; counts only where a block has no other.

    Returns:
        (n, ceil(y / rows), ceil(x / columns)) of the same type.
    """
    lead, depth, rows, columns = numbers.shape
    high, wide = -(-rows // block[0]), -(-columns // block[1])
    beyond = ((0, 0), (0, 0), (0, high * block[0] - rows), (0, wide * block[1] - columns))
    padded = np.pad(numbers, beyond, constant_values=nothing)
    parted = padded.reshape(lead, depth, high, block[0], wide, block[1])
    ordered = np.sort(parted.transpose(1, 3, 5, 0, 2, 4).reshape(-1, lead, high, wide), axis=0)
    best = np.full((lead, high, wide), nothing, dtype=numbers.dtype)
    most = np.zeros(best.shape, dtype=np.int32)
    run = np.zeros(best.shape, dtype=np.int32)
    before = ordered[0]
    for plane in ordered:  # numbers ascend: equals follow each other
        run = np.where(plane == before, run + 1, 1)
        better = (plane != nothing) & (run > most)
        best[better], most[better] = plane[better], run[better]
        before = plane
    return best
