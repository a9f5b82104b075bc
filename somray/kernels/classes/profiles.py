"""Sums of standardised features per group of pixels (node or class): what profiles are made of.

Sums of several items are joined in item order (`merge_groups`), so that one slice, a whole cohort and a
scan slab by slab give their profiles in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.compiled import compiled

__all__ = ["GroupSums", "NodeProfile", "groups_of", "merge_groups"]

Sums = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NodeProfile:
    """Statistics of the reference's pixels per node (or per class).

    Args:
        share: (k,) share of the pixels; 0 for a node that won none.
        mean: (k, f) means of the standardised features; NaN for a node that won none.
        std: (k, f) spreads about them.
        center: (f,) what standardising subtracted.
        scale: (f,) what it divided by.
    """

    share: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def raw(self, feature: int) -> NDArray[np.float64]:
        """Return a feature's means in its own unit, before standardising."""
        return np.asarray(self.mean[:, feature] * self.scale[feature] + self.center[feature])


@dataclass(frozen=True, eq=False)
class GroupSums:
    """Pixels of each group and their standardised features, added up.

    Args:
        counts: (k,) int64.
        sums: (k, f) float64.
        squares: (k, f) float64. Values are of order one, so a variance from these keeps 12 digits.
    """

    counts: NDArray[np.int64]
    sums: Sums
    squares: Sums

    def joined(self, target: NDArray[np.uint8], count: int) -> "GroupSums":
        """Return the sums of fewer groups: group g becomes a part of group target[g]."""
        counts = np.zeros(count, dtype=np.int64)
        sums, squares = np.zeros((count, self.sums.shape[1])), np.zeros((count, self.sums.shape[1]))
        np.add.at(counts, target, self.counts)
        np.add.at(sums, target, self.sums)
        np.add.at(squares, target, self.squares)
        return GroupSums(counts, sums, squares)

    def profile(self, center: NDArray[np.float32], scale: NDArray[np.float32]) -> NodeProfile:
        """Return shares, means and spreads; NaN for a group without pixels.

        Args:
            center: (f,) of the standardisation.
            scale: (f,) of the standardisation.
        """
        divisor = np.where(self.counts == 0, np.nan, self.counts)[:, None]
        mean = self.sums / divisor
        variance = np.maximum(self.squares / divisor - mean**2, 0.0)
        share = self.counts / max(int(self.counts.sum()), 1)
        return NodeProfile(
            np.asarray(share, dtype=np.float64),
            mean,
            np.sqrt(variance),
            center.astype(np.float64),
            scale.astype(np.float64),
        )


def groups_of(
    standardised: NDArray[np.float32], group: NDArray[np.integer], count: int
) -> GroupSums:
    """Add up standardised features (f, n) by group (n,), in pixel order, in float64.

    Raises:
        ShapeError: there is not one group of `count` per pixel.
    """
    if group.shape != standardised.shape[1:]:
        raise ShapeError(f"{group.shape} groups for features {standardised.shape}")
    if group.size and not 0 <= int(group.min()) <= int(group.max()) < count:
        raise ShapeError(f"groups {group.min()} to {group.max()} are not all of 0 to {count - 1}")
    shape = (count, len(standardised))
    found = GroupSums(np.zeros(count, dtype=np.int64), np.zeros(shape), np.zeros(shape))
    _add_samples(standardised, group, found.counts, found.sums, found.squares)
    return found


@compiled
def _add_samples(
    standardised: NDArray[np.float32],
    group: NDArray[np.integer],
    counts: NDArray[np.int64],
    sums: Sums,
    squares: Sums,
) -> None:
    for i in range(group.size):
        g = group[i]
        counts[g] += 1
        for f in range(len(standardised)):
            value = np.float64(standardised[f, i])
            sums[g, f] += value
            squares[g, f] += value * value


def merge_groups(partials: Sequence[GroupSums]) -> GroupSums:
    """Join sums in item order."""
    if not partials:
        raise ShapeError("there are no sums to merge")
    total = partials[0]
    for part in partials[1:]:
        total = GroupSums(
            total.counts + part.counts, total.sums + part.sums, total.squares + part.squares
        )
    return total
