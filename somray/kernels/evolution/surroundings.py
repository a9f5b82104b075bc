"""Whether two sessions show the same tissue around a lesion: the local evidence of their registration.

A lesion that is there in one session and not in the other is new or resolved only where its surroundings
match. They are looked at in a shell: the lesion's bounding box, grown, without the lesions of either
session and what lies next to them. No volume is held here: points go out, and their values come back,
each the mean of 3×3 pixels, so that noise does not pass for a mismatch.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from somray.kernels.compiled import compiled
from somray.kernels.evolution.changes import LesionChange
from somray.kernels.evolution.common_frame import PlacedLesions

__all__ = [
    "HALO",
    "MISALIGNED_BELOW",
    "Shells",
    "correlation",
    "doubted",
    "near_in_block",
    "values_in_block",
]

HALO = 2  # voxels about the one next to a point that its values depend on
MARGIN_PIXELS = 10.0  # that the bounding box is grown by, of the coarser session
CLEAR_PIXELS = 4  # around a lesion, whose rim a mask may miss
MOST_POINTS = 2048  # of one shell; larger ones are thinned out evenly
LEAST_POINTS = 100  # for a correlation
LEAST_TEXTURE = 0.75  # spread of the means against the spread of voxels about them
MISALIGNED_BELOW = 0.5
"""Chosen by bench_surroundings.py: of true registrations of real scans 1 shell in 100 correlates less, under 25 HU
of smooth noise 1 in 10; shifted by 8 pixels half do, by 12 two in three."""


ShellPoints = tuple[NDArray[np.float64], NDArray[np.float64]]


class Shells:
    """The surroundings of one session's lesions, as another session should show them too."""

    def __init__(self, lesions: PlacedLesions, other: PlacedLesions) -> None:
        self._sessions = lesions, other
        self._counted = lesions.counted(), other.counted()
        self._spacing = np.array(lesions.geometry.spacing_mm)
        pixel_mm = max(self._spacing[2], other.geometry.spacing_mm[2])
        margin = np.round(MARGIN_PIXELS * pixel_mm / self._spacing)
        self._margin = np.maximum(1, margin).astype(np.int64)

    def first_slice(self, position: int) -> int:
        """Return the first slice of a lesion."""
        return int(self._sessions[0].low[position, 0])

    def points(self, positions: Sequence[int]) -> list[ShellPoints]:
        """Choose the points around some lesions.

        Args:
            positions: of the lesions in `numbers`.

        Returns:
            For each the voxel coordinates (n, 3) in z, y, x in the lesion's session, whole numbers, and in the
            other one; n is at most 2048, and less where the other scan does not reach.
        """
        lesions, other = self._sessions
        index = [self._lattice(position) for position in positions]
        cuts = np.cumsum([len(part) for part in index])[:-1]
        here = np.concatenate(index)
        there = other.to_voxels(lesions.to_common(here))
        nearest = np.floor(there + 0.5).astype(np.int64)
        kept = np.flatnonzero(other.holds(nearest))
        kept = kept[~self._near(0, here[kept])]
        kept = kept[~self._near(1, nearest[kept])]
        which = np.searchsorted(cuts, kept, side="right")
        ends = np.searchsorted(which, np.arange(len(positions) + 1))
        return [
            (here[kept[a:b]].astype(np.float64), there[kept[a:b]])
            for a, b in itertools.pairwise(ends.tolist())
        ]

    def _lattice(self, position: int) -> NDArray[np.int64]:
        """Lay evenly spaced voxels over a lesion's box and what is around."""
        lesions = self._sessions[0]
        low = np.maximum(lesions.low[position] - self._margin, 0)
        high = np.minimum(
            lesions.high[position] + self._margin + 1, np.array(lesions.geometry.shape)
        )
        steps = _steps(high - low, self._spacing)
        axes = [np.arange(a, b, s) for a, b, s in zip(low, high, steps, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    def _near(self, side: int, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which voxels lie in a lesion or within four pixels of one, along the session's axes."""
        session = self._sessions[side]
        if len(session.numbers) == 0:
            return np.zeros(len(index), dtype=bool)
        spacing = session.geometry.spacing_mm
        z, y, x = (round(CLEAR_PIXELS * spacing[2] / s) for s in spacing)
        return session.voxels.near(index, (z, y, x), self._counted[side])


@compiled
def near_in_block(
    block: NDArray[np.int32],
    index: NDArray[np.int64],
    reach: tuple[int, int, int],
    counted: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Look along the axes of some voxels for an instance that counts.

    Args:
        block: (z, y, x) instance numbers, with `reach` voxels about the voxels wherever the volume has them.
        index: (n, 3) voxels of the block.
        reach: along z, y, x.
        counted: by instance number, whether it counts; 0 does not.
    """
    near = np.zeros(len(index), dtype=np.bool_)
    for n in range(len(index)):
        for axis in range(3):
            place = index[n].copy()
            first = max(place[axis] - reach[axis], 0)
            last = min(place[axis] + reach[axis], block.shape[axis] - 1)
            for step in range(first, last + 1):
                place[axis] = step
                number = block[place[0], place[1], place[2]]
                if counted[number]:
                    near[n] = True
    return near


def _steps(size: NDArray[np.int64], spacing: NDArray[np.float64]) -> NDArray[np.int64]:
    """Thin a box out, the densest axis first, until few enough points are left."""
    steps = np.ones(3, dtype=np.int64)
    while np.prod(-(-size // steps)) > MOST_POINTS:
        steps[int(np.argmin(np.where(steps < size, steps * spacing, np.inf)))] += 1
    return steps


def values_in_block(
    block: NDArray[np.float32],
    points: NDArray[np.float64],
    corner: tuple[int, int, int] = (0, 0, 0),
) -> NDArray[np.float32]:
    """Look up voxels and their neighbourhoods; a point's values depend on it alone, however blocks are cut.

    Args:
        block: (z, y, x), NaN where there is no data, with `HALO` voxels around what the points lie between
            wherever the volume has them.
        points: (n, 3) z, y, x in voxels of the volume, at most half a voxel outside.
        corner: of the block in the volume.

    Returns:
        (2, n): the value, and the mean of the 3×3 pixels around, both linear between voxels, NaN where
        there is no data.
    """
    found = np.empty((2, len(points)), dtype=np.float32)
    _look_up(block, points, np.array(corner, dtype=np.int64), found)
    return found


@compiled
def _look_up(
    block: NDArray[np.float32],
    points: NDArray[np.float64],
    corner: NDArray[np.int64],
    found: NDArray[np.float32],
) -> None:
    """Interpolate values and means between the eight voxels about each point."""
    first, share = np.zeros(3, dtype=np.int64), np.zeros((3, 2))
    for n in range(len(points)):
        for axis in range(3):
            place = min(max(points[n, axis], corner[axis]), corner[axis] + block.shape[axis] - 1.0)
            below = np.floor(place)
            first[axis] = int(below) - corner[axis]
            share[axis, 1] = place - below
            share[axis, 0] = 1.0 - share[axis, 1]
        value, mean = 0.0, 0.0
        for k in range(2):
            z = min(first[0] + k, block.shape[0] - 1)
            for j in range(2):
                y = min(first[1] + j, block.shape[1] - 1)
                for i in range(2):
                    x = min(first[2] + i, block.shape[2] - 1)
                    value += block[z, y, x] * share[0, k] * share[1, j] * share[2, i]
                    mean += _mean(block, z, y, x) * share[0, k] * share[1, j] * share[2, i]
        found[0, n], found[1, n] = value, mean


@compiled
def _mean(block: NDArray[np.float32], z: int, y: int, x: int) -> float:
    """Average the 3×3 pixels of a slice that hold data, the border's standing for what is beyond; NaN without data."""
    if np.isnan(block[z, y, x]):
        return np.nan
    mean, share = 0.0, 0.0
    for i in range(x - 1, x + 2):
        total, known = 0.0, 0
        for j in range(y - 1, y + 2):
            value = block[z, min(max(j, 0), block.shape[1] - 1), min(max(i, 0), block.shape[2] - 1)]
            if not np.isnan(value):
                total += value
                known += 1
        mean += np.float32(total / 3.0)
        share += np.float32(known / 3.0)
    return np.float32(mean / 3.0) / np.float32(share / 3.0)


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float | None:
    """Correlate what two sessions show of a shell.

    Args:
        one: (2, n) as `values_in_block` gives it, of the first session.
        other: the same points in the other session.

    Returns:
        Pearson's correlation of the means; None where fewer than 100 points have data, or where either
        session shows too little but noise: the means spread less than voxels do about them.
    """
    values = np.concatenate([one, other]).astype(np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    if values.shape[1] < LEAST_POINTS:
        return None
    spread = values.std(axis=1)
    noise = ((values[0] - values[1]).std(), (values[2] - values[3]).std())
    if any(s <= LEAST_TEXTURE * n or s == 0 for s, n in zip(spread[1::2], noise, strict=True)):
        return None
    first, second = (values[k] - values[k].mean() for k in (1, 3))
    return float((first * second).mean() / (spread[1] * spread[3]))


def doubted(
    changes: Sequence[LesionChange], found: Mapping[tuple[int, str], float | None]
) -> list[LesionChange]:
    """Leave open whether a lesion is new or resolved where its surroundings do not match.

    Args:
        changes: of registered and other pairs.
        found: correlation of the shell by lesion_id and later session, where there is one.
    """
    told = []
    for row in changes:
        ncc = found.get((row.lesion_id, row.to_session))
        open_ = row.change in ("new", "resolved") and ncc is not None and ncc < MISALIGNED_BELOW
        doubt = "misaligned" if open_ else row.doubt
        change = None if open_ else row.change
        told.append(replace(row, change=change, doubt=doubt, surround_ncc=ncc))
    return told
