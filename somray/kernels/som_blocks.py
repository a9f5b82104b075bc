"""Samples cut into blocks: the unit of work of every pass, and what fixes the order of its sums."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.som_nearest import GRAIN
from somray.kernels.som_sums import LARGEST, pack

__all__ = [
    "BLOCK",
    "Block",
    "Floats",
    "Sums",
    "checked_samples",
    "checked_shape",
    "map_blocks",
    "map_packed",
]

BLOCK = 8192
"""Samples per partial sum; part of what fixes the bits of a fit. Ten features of them fill a third of
the L2 cache."""

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
Left = TypeVar("Left")


@dataclass(frozen=True, eq=False)
class Block:
    """Packed samples.

    Args:
        values: (f, b) float32, samples minus the shift; the last one repeated up to whole vectors.
        count: number of samples; those behind are padding.
    """

    values: Floats
    count: int


def checked_samples(samples: Floats, features: int | None = None) -> None:
    """Refuse samples that are not a finite (n, f) array with n > 0.

    Raises:
        ShapeError: wrong dimensions, wrong number of features, or values that are not finite.
    """
    checked_shape(samples, features)
    finite = np.isfinite(samples).all(axis=1)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise ShapeError(
            f"{int((~finite).sum())} of {len(samples)} samples hold NaN or infinite values, the "
            f"first is row {bad}; leave pixels without data out"
        )


def checked_shape(samples: Floats, features: int | None = None) -> None:
    """Refuse what is not an (n, f) array with n, f > 0 (and the features asked for)."""
    if samples.ndim != 2 or samples.shape[0] == 0 or samples.shape[1] == 0:
        raise ShapeError(f"samples must be (n, f) with n, f > 0, got shape {samples.shape}")
    if features is not None and samples.shape[1] != features:
        raise ShapeError(f"samples have {samples.shape[1]} features, the codebook has {features}")


def map_packed(
    work: Callable[[Block], Left], samples: Floats, shift: Floats, threads: int
) -> list[Left]:
    """Apply `work` to every packed block of samples (n, f), any strides; results in block order.

    Raises:
        ShapeError: threads below 1, samples that are not (n, f) with n > 0 and the shift's features,
            or hold values that are not finite or too large.
    """
    if threads < 1:
        raise ShapeError(f"threads must be 1 or more, got {threads}")
    checked_shape(samples, len(shift))

    def one(start: int) -> Left:
        return work(_packed(samples, start, shift))

    starts = range(0, len(samples), BLOCK)
    if threads == 1 or len(starts) == 1:
        return [one(start) for start in starts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, starts))


def _packed(samples: Floats, start: int, shift: Floats) -> Block:
    """Pack one block, or say what is wrong with it."""
    stop = min(start + BLOCK, len(samples))
    count = stop - start
    # An odd number of cache lines a row: rows a power of two apart would evict one another.
    size = GRAIN * (-(-count // GRAIN) | 1)
    values = np.empty((len(shift), size), dtype=np.float32)
    flags = samples.flags
    # The loop is compiled for the two layouts that matter; others are copied block by block.
    if (
        samples.dtype == np.float32
        and (flags.c_contiguous or flags.f_contiguous)
        and flags.writeable
    ):
        usable = pack(samples, start, stop, shift, values)
    else:
        part = np.array(samples[start:stop], dtype=np.float32, order="C")
        usable = pack(part, 0, count, shift, values)
    if not usable:
        checked_samples(samples)
        raise ShapeError(f"samples hold values beyond ±{LARGEST:g}; scale them first")
    return Block(values, count)


def map_blocks(work: Callable[[Floats], Left], samples: Floats, threads: int) -> list[Left]:
    """Apply `work` to every feature-major block (f, b) of samples (n, f), results in block order."""
    return [
        work(np.ascontiguousarray(samples[i : i + BLOCK].T, dtype=np.float32))
        for i in range(0, len(samples), BLOCK)
    ]
