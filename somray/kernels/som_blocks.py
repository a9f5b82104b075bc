"""Samples cut into blocks: the unit of work of every pass, and what fixes the order of its sums."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["BLOCK", "Floats", "Sums", "checked_samples", "map_blocks"]

BLOCK = 8192
"""Samples per partial sum; part of what fixes the bits of a fit."""

Block = TypeVar("Block")
Floats = NDArray[np.float32]
Sums = NDArray[np.float64]


def checked_samples(samples: Floats, features: int | None = None) -> None:
    """Refuse samples that are not a finite (n, f) array with n > 0.

    Raises:
        ShapeError: wrong dimensions, wrong number of features, or values that are not finite.
    """
    if samples.ndim != 2 or samples.shape[0] == 0 or samples.shape[1] == 0:
        raise ShapeError(f"samples must be (n, f) with n, f > 0, got shape {samples.shape}")
    if features is not None and samples.shape[1] != features:
        raise ShapeError(f"samples have {samples.shape[1]} features, the codebook has {features}")
    finite = np.isfinite(samples).all(axis=1)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise ShapeError(
            f"{int((~finite).sum())} of {len(samples)} samples hold NaN or infinite values, the "
            f"first is row {bad}; leave pixels without data out"
        )


def _blocks(samples: Floats) -> Iterator[Floats]:
    """Cut samples (n, f) into feature-major blocks (f, b)."""
    for start in range(0, len(samples), BLOCK):
        yield np.ascontiguousarray(samples[start : start + BLOCK].T, dtype=np.float32)


def map_blocks(work: Callable[[Floats], Block], samples: Floats, threads: int) -> list[Block]:
    """Apply `work` to every feature-major block (f, b) of samples (n, f), results in block order.

    Raises:
        ShapeError: threads below 1.
    """
    if threads < 1:
        raise ShapeError(f"threads must be 1 or more, got {threads}")
    if threads == 1 or len(samples) <= BLOCK:
        return [work(block) for block in _blocks(samples)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, _blocks(samples)))
