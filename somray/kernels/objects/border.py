"""Where a mask's border lies: half way, in intensity, between what the mask holds and normal tissue.

A map calls the pixels of an edge a class of their own, so what it draws of a dark or bright thing is too small by the
blur of its edge: thin pores lose a third of their volume. A border that was blurred by any even function lies half
way between its two sides, as long as the thing is wider than the blur. So voxels beside the mask that are past half
way join it, and voxels of its rim that are not leave it. One voxel each way: what a map did not see stays unseen.

What the mask holds is read about each voxel, since things in one mask differ (bone and contrast); normal tissue is
one level a scan. Where normal tissue is noisy against that difference, a voxel's own value is averaged with its
neighbours' first. What joins is past half way by the scan's own levels too, and beside more than a speck: noise that
a map took for a thing would grow with every voxel about it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled

__all__ = ["REACH", "BorderLevels", "settled", "spread_numbers"]

REACH = 3
"""Voxels about a voxel that its own inside is read from, and a block's halo."""

NOISE_SHARE, MOST_SHARE = 0.5, 0.125
"""A neighbour's weight for each unit of noise over contrast, and its greatest."""

LEAST_CONTRAST = 0.1
"""Of a scan's contrast: what lies nearer to normal tissue has no half way."""


LEAST_SHARE = 0.06
"""Of the voxels about a voxel that the mask holds, for it to join: 20 of 343."""


@dataclass(frozen=True)
class BorderLevels:
    """What a scan's masks are told from.

    Args:
        normal: mean of normal tissue.
        spread: its standard deviation.
        inside: mean of what the masks hold.
    """

    normal: float
    spread: float
    inside: float

    @property
    def weight(self) -> float:
        """Weight of each of two neighbours along an axis; its own is what is left of 1."""
        contrast = abs(self.inside - self.normal)
        return (
            MOST_SHARE if contrast == 0 else min(NOISE_SHARE * self.spread / contrast, MOST_SHARE)
        )


def settled(
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    free: NDArray[np.bool_],
    levels: BorderLevels,
    core: tuple[slice, slice, slice],
    is_flat: bool = False,
) -> NDArray[np.bool_]:
    """Settle a mask's border within a block.

    Args:
        values: (z, y, x) float32 intensities, the block with up to `REACH` voxels more on every side; NaN where
            nothing was scanned.
        mask: (z, y, x) bool.
        free: (z, y, x) bool voxels that may join.
        levels: of the scan.
        core: where the block itself lies.
        is_flat: whether slices lie too far apart to be averaged.

    Returns:
        The mask of the block itself, bool.
    """
    bounds = np.array([(s.start, s.stop) for s in core], dtype=np.int64)
    facts = np.array([levels.normal, levels.inside, levels.weight, float(is_flat)])
    out = np.ascontiguousarray(mask[core]).copy()
    _settle(
        np.ascontiguousarray(values, dtype=np.float32),
        np.ascontiguousarray(mask),
        np.ascontiguousarray(free),
        facts,
        bounds,
        out,
    )
    return out


def spread_numbers(
    numbers: NDArray[np.int32], mask: NDArray[np.bool_], core: tuple[slice, slice, slice]
) -> NDArray[np.int32]:
    """Give voxels of a settled mask the number of the object that they joined.

    Args:
        numbers: (z, y, x) int32 of a block with one voxel more on every side where there is one, 0 for none.
        mask: (z, y, x) bool settled mask of the block itself.
        core: where the block lies.

    Returns:
        Numbers of the block, 0 outside the mask; a voxel between two objects goes to the higher number.
    """
    bounds = np.array([(s.start, s.stop) for s in core], dtype=np.int64)
    out = np.where(mask, numbers[core], 0).astype(np.int32)
    _spread(np.ascontiguousarray(numbers, dtype=np.int32), mask, bounds, out)
    return out


@compiled
def _settle(
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    free: NDArray[np.bool_],
    facts: NDArray[np.float64],
    bounds: NDArray[np.int64],
    out: NDArray[np.bool_],
) -> None:
    for z in range(bounds[0, 0], bounds[0, 1]):
        for y in range(bounds[1, 0], bounds[1, 1]):
            for x in range(bounds[2, 0], bounds[2, 1]):
                own = mask[z, y, x]
                if np.isnan(values[z, y, x]) or not (own or free[z, y, x]):
                    continue
                if not _has_other(mask, z, y, x, own):
                    continue
                inside, share = _inside(values, mask, z, y, x)
                contrast, usual = inside - facts[0], facts[1] - facts[0]
                if contrast * usual <= 0 or abs(contrast) < LEAST_CONTRAST * abs(usual):
                    continue
                value = _smooth(values, z, y, x, facts)
                is_in = (value - facts[0]) / contrast >= 0.5
                if not own:
                    is_in &= share >= LEAST_SHARE and (value - facts[0]) / usual >= 0.5
                out[z - bounds[0, 0], y - bounds[1, 0], x - bounds[2, 0]] = is_in


@compiled
def _has_other(mask: NDArray[np.bool_], z: int, y: int, x: int, own: bool) -> bool:
    """Whether any of the 26 neighbours is not as the voxel is."""
    for a in range(max(z - 1, 0), min(z + 2, mask.shape[0])):
        for b in range(max(y - 1, 0), min(y + 2, mask.shape[1])):
            for c in range(max(x - 1, 0), min(x + 2, mask.shape[2])):
                if mask[a, b, c] != own:
                    return True
    return False


@compiled
def _inside(
    values: NDArray[np.float32], mask: NDArray[np.bool_], z: int, y: int, x: int
) -> tuple[float, float]:
    """Mean of what the mask holds about a voxel, and which share of the voxels there that is."""
    total, count, seen = 0.0, 0, 0
    for a in range(max(z - REACH, 0), min(z + REACH + 1, mask.shape[0])):
        for b in range(max(y - REACH, 0), min(y + REACH + 1, mask.shape[1])):
            for c in range(max(x - REACH, 0), min(x + REACH + 1, mask.shape[2])):
                seen += 1
                if mask[a, b, c] and not np.isnan(values[a, b, c]):
                    total += values[a, b, c]
                    count += 1
    return (total / count if count else np.nan), count / seen


@compiled
def _smooth(
    values: NDArray[np.float32], z: int, y: int, x: int, facts: NDArray[np.float64]
) -> float:
    """A voxel's value averaged with its neighbours'; in its slice alone where slices lie far apart."""
    side = facts[2]
    total, weights = 0.0, 0.0
    deep = 0 if facts[3] > 0 else 1
    for dz in range(-deep, deep + 1):
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                a, b, c = z + dz, y + dy, x + dx
                if a < 0 or b < 0 or c < 0:
                    continue
                if a >= values.shape[0] or b >= values.shape[1] or c >= values.shape[2]:
                    continue
                if np.isnan(values[a, b, c]):
                    continue
                weight = 1.0
                for step in (dz, dy, dx):
                    weight *= side if step != 0 else 1.0 - 2.0 * side
                total += weight * values[a, b, c]
                weights += weight
    return total / weights


@compiled
def _spread(
    numbers: NDArray[np.int32],
    mask: NDArray[np.bool_],
    bounds: NDArray[np.int64],
    out: NDArray[np.int32],
) -> None:
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                if not mask[z, y, x] or out[z, y, x] != 0:
                    continue
                best = 0
                at = z + bounds[0, 0], y + bounds[1, 0], x + bounds[2, 0]
                for a in range(max(at[0] - 1, 0), min(at[0] + 2, numbers.shape[0])):
                    for b in range(max(at[1] - 1, 0), min(at[1] + 2, numbers.shape[1])):
                        for c in range(max(at[2] - 1, 0), min(at[2] + 2, numbers.shape[2])):
                            best = max(best, numbers[a, b, c])
                out[z, y, x] = best
