"""Samples cut into blocks: the unit of work of every pass, and what fixes the order of its sums."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.som.nearest import GRAIN, LARGEST, is_sound, pack

__all__ = [
    "BLOCK",
    "Floats",
    "SampleBlock",
    "Sums",
    "checked_samples",
    "checked_shape",
    "map_packed",
    "map_ranges",
    "require_sound",
]

BLOCK = 8192
"""Samples per partial sum; part of what fixes the bits of a fit. Ten features of them fill a third of
the L2 cache."""

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
Left = TypeVar("Left")


@dataclass(frozen=True, eq=False)
class SampleBlock:
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


def map_ranges(
    work: Callable[[Floats, int, int], Left],
    samples: Floats,
    features: int,
    threads: int,
    size: int = BLOCK,
) -> list[Left]:
    """Apply `work(samples, start, stop)` to all ranges of `size` samples; results in their order.

    Args:
        work: gets float32 samples (n, f), row or column major, and a range of them.
        samples: (n, f), any strides and floats; n > 0.
        features: f that is expected.
        threads: worker threads.
        size: samples of a range; what adds up must keep to `BLOCK`.

    Raises:
        ShapeError: threads below 1, or samples that are not (n, f) with n > 0.
    """
    if threads < 1:
        raise ShapeError(f"threads must be 1 or more, got {threads}")
    checked_shape(samples, features)
    flags = samples.flags
    # Loops are compiled for the two layouts that matter; others are copied block by block.
    direct = flags.writeable and (flags.c_contiguous or flags.f_contiguous)
    direct = direct and samples.dtype == np.float32

    def one(start: int) -> Left:
        stop = min(start + size, len(samples))
        if direct:
            return work(samples, start, stop)
        part = np.array(samples[start:stop], dtype=np.float32, order="C")
        return work(part, 0, stop - start)

    starts = range(0, len(samples), size)
    if threads == 1 or len(starts) == 1:
        return [one(start) for start in starts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, starts))


def map_packed(
    work: Callable[[SampleBlock], Left], samples: Floats, shift: Floats, threads: int
) -> list[Left]:
    """Apply `work` to every packed block of samples (n, f); results in block order.

    Raises:
        ShapeError: as `map_ranges`, or for values that are not finite or too large.
    """

    def one(part: Floats, start: int, stop: int) -> Left:
        # An odd number of cache lines a row: rows a power of two apart would evict one another.
        size = GRAIN * (-(-(stop - start) // GRAIN) | 1)
        values = np.empty((len(shift), size), dtype=np.float32)
        pack(part, start, stop, shift, values)
        require_sound(is_sound(values), samples)
        return work(SampleBlock(values, stop - start))

    return map_ranges(one, samples, len(shift), threads)


def require_sound(sound: bool, samples: Floats) -> None:
    """Say what is wrong with samples that a loop found wanting."""
    if not sound:
        checked_samples(samples)
        raise ShapeError(f"samples hold values beyond ±{LARGEST:g}; scale them first")
