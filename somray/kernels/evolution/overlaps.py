"""What lesions of two sessions share, in voxels, counted piece by piece: the same however pieces are cut."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.evolution.common_frame import PlacedLesions

__all__ = ["Overlaps", "PairCounts", "SharedVoxels"]

_HALF = 32  # bits of a pair's key for each number


class PairCounts:
    """Counts how often two numbers meet."""

    def __init__(self) -> None:
        self._keys: list[NDArray[np.int64]] = []
        self._counts: list[NDArray[np.int64]] = []

    def add(self, one: NDArray[np.integer], other: NDArray[np.integer]) -> None:
        """Take pairs (n,) and (n,) of numbers, both above 0."""
        keys, counts = np.unique((one.astype(np.int64) << _HALF) | other, return_counts=True)
        self._keys.append(keys)
        self._counts.append(counts)

    def finish(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the pairs met, (k,) and (k,), sorted, and how often each was, (k,)."""
        none = np.zeros(0, dtype=np.int64)
        keys, slot = np.unique(np.concatenate([none, *self._keys]), return_inverse=True)
        counts = np.zeros(len(keys), dtype=np.int64)
        np.add.at(counts, slot, np.concatenate([none, *self._counts]))
        return keys >> _HALF, keys & (2**_HALF - 1), counts


@dataclass(frozen=True, eq=False)
class SharedVoxels:
    """Where the voxels of one session's instances lie in another session.

    Args:
        one: (k,) instance number of the first session, …
        other: … and of the second, (k,), in which …
        count: … so many of its voxels lie, (k,).
        covered: by instance number of the first session, how many of its voxels the second scan covers.
    """

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    count: NDArray[np.int64]
    covered: NDArray[np.int64]


class Overlaps:
    """Counts what pairs of sessions share when it is asked, and each pair once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, bytes, bytes], SharedVoxels] = {}

    def shared(self, one: PlacedLesions, other: PlacedLesions) -> list[tuple[tuple[int, int], int]]:
        """Count, per pair of lesions by position, the voxels of one session's that lie in the other's."""
        found = self._between(one, other)
        positions = [_positions(side) for side in (one, other)]
        a, b = positions[0][found.one], positions[1][found.other]
        kept = (a >= 0) & (b >= 0)
        pairs = zip(a[kept].tolist(), b[kept].tolist(), strict=True)
        return list(zip(pairs, found.count[kept].tolist(), strict=True))

    def share_inside(self, one: PlacedLesions, other: PlacedLesions) -> NDArray[np.float64]:
        """Return, per lesion of one session, the share of its voxels that the other's scan covers, (m,)."""
        return np.asarray(self._between(one, other).covered[one.numbers] / one.count)

    def _between(self, one: PlacedLesions, other: PlacedLesions) -> SharedVoxels:
        frames = one.to_frame.tobytes(), other.to_frame.tobytes()
        key = (one.session, other.session, *frames)
        if key not in self._known:
            self._known[key] = _count(one, other)
        return self._known[key]


def _positions(side: PlacedLesions) -> NDArray[np.int64]:
    """Return the position in `numbers` by any instance number of the session, -1 for what does not count."""
    found = np.full(side.largest + 1, -1, dtype=np.int64)
    found[side.numbers] = np.arange(len(side.numbers))
    return found


def _count(one: PlacedLesions, other: PlacedLesions) -> SharedVoxels:
    pairs, covered = PairCounts(), np.zeros(one.largest + 1, dtype=np.int64)
    for index, number in one.voxels.pieces():
        there = other.index_of(one.to_common(index))
        inside = other.holds(there)
        number, there = number[inside], there[inside]
        covered += np.bincount(number, minlength=len(covered))
        met = other.voxels.at(there)
        pairs.add(number[met > 0], met[met > 0])
    return SharedVoxels(*pairs.finish(), covered)
