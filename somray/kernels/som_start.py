"""Where the nodes of a map begin: spread over the samples' main plane, or drawn from them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from somray.kernels.som_search import add_moments

__all__ = ["sampled_start", "spread_start"]

REACH = 1.5
"""How far the first map reaches along the main directions, in standard deviations."""


def spread_start(
    blocks: Iterator[NDArray[np.float32]], grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Lay the grid over the plane of the two main directions (PCA).

    Args:
        blocks: samples in feature-major blocks (f, b), in their order.
        grid: rows and columns; the longer side follows the main direction.

    Returns:
        (k, f) float32 nodes.
    """
    count, shift, first, second = 0, np.zeros(0), np.zeros(0), np.zeros((0, 0))
    for block in blocks:
        if count == 0:  # moments about a typical sample keep their digits
            shift = block[:, 0].astype(np.float64)
            first, second = np.zeros(len(block)), np.zeros((len(block), len(block)))
        add_moments(block, shift, first, second)
        count += block.shape[1]
    offset = first / count
    values, vectors = np.linalg.eigh(second / count - np.outer(offset, offset))
    axes = vectors[:, ::-1][:, :2].T * np.sqrt(np.maximum(values[::-1][:2], 0.0))[:, None]
    if len(axes) == 1:
        axes = np.concatenate([axes, np.zeros_like(axes)])
    for axis in axes:  # an eigenvector's sign is arbitrary: its largest part points up
        axis *= np.sign(axis[np.argmax(np.abs(axis))]) or 1.0
    if grid[0] < grid[1]:
        axes = axes[::-1]
    steps = [np.linspace(-REACH, REACH, n) if n > 1 else np.zeros(1) for n in grid]
    nodes = steps[0][:, None, None] * axes[0] + steps[1][None, :, None] * axes[1]
    return np.asarray(nodes.reshape(-1, len(offset)) + shift + offset, dtype=np.float32)


def sampled_start(
    samples: NDArray[np.float32], grid: tuple[int, int], seed: int
) -> NDArray[np.float32]:
    """Draw the first nodes (k, f) from the samples."""
    draw = np.random.default_rng(seed).integers(0, len(samples), grid[0] * grid[1])
    return np.ascontiguousarray(samples[draw], dtype=np.float32)
