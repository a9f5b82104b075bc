"""Whether two sessions show the same tissue around a lesion: the local evidence of their registration.

A lesion that is there in one session and not in the other is new or resolved only where its surroundings
match. They are looked at in a shell: the lesion's bounding box, grown, without the lesions of either
session and what lies next to them. No volume is held here: points go out, and their values come back,
each the mean of 3×3 pixels, so that noise does not pass for a mismatch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.evolution.changes import LesionChange
from somray.kernels.evolution.common_frame import PlacedLesions

__all__ = ["HALO", "MISALIGNED_BELOW", "Shells", "correlation", "doubted", "values_in_block"]

HALO = 1  # slices on either side of a block that the values of its points depend on
MARGIN_PIXELS = 10.0  # that the bounding box is grown by, of the coarser session
CLEAR_PIXELS = 4  # around a lesion, whose rim a mask may miss
MOST_POINTS = 2048  # of one shell; larger ones are thinned out evenly
LEAST_POINTS = 100  # for a correlation
LEAST_TEXTURE = 0.75  # spread of the means against the spread of voxels about them
MISALIGNED_BELOW = 0.5
"""Chosen by bench_surroundings.py: of true registrations of real scans 1 shell in 100 correlates less, under 25 HU
of smooth noise 1 in 10; shifted by 8 pixels half do, by 12 two in three."""


class Shells:
    """The surroundings of one session's lesions, as another session should show them too."""

    def __init__(self, lesions: PlacedLesions, other: PlacedLesions) -> None:
        self._lesions, self._other = lesions, other
        self._low, self._high = lesions.bounds()
        self._spacing = np.array(lesions.geometry.spacing_mm)
        pixel_mm = max(self._spacing[2], other.geometry.spacing_mm[2])
        margin = np.round(MARGIN_PIXELS * pixel_mm / self._spacing)
        self._margin = np.maximum(1, margin).astype(np.int64)

    def first_slice(self, position: int) -> int:
        """Return the first slice of a lesion."""
        return int(self._low[position, 0])

    def points(self, position: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Choose the points around a lesion.

        Args:
            position: of the lesion in `numbers`.

        Returns:
            Their voxel coordinates (n, 3) in z, y, x in the lesion's session, whole numbers, and in the
            other one; n is at most 2048, and less where the other scan does not reach.
        """
        low = np.maximum(self._low[position] - self._margin, 0)
        high = np.minimum(
            self._high[position] + self._margin + 1, np.array(self._lesions.geometry.shape)
        )
        steps = _steps(high - low, self._spacing)
        axes = [np.arange(a, b, s) for a, b, s in zip(low, high, steps, strict=True)]
        lattice = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        common = self._lesions.to_common(lattice)
        kept = self._other.inside(common)
        for session in (self._lesions, self._other):
            kept &= ~_near(common, session)
        return lattice[kept].astype(np.float64), self._other.to_voxels(common[kept])


def _steps(size: NDArray[np.int64], spacing: NDArray[np.float64]) -> NDArray[np.int64]:
    """Thin a box out, the densest axis first, until few enough points are left."""
    steps = np.ones(3, dtype=np.int64)
    while np.prod(-(-size // steps)) > MOST_POINTS:
        steps[int(np.argmin(np.where(steps < size, steps * spacing, np.inf)))] += 1
    return steps


def _near(points: NDArray[np.float64], session: PlacedLesions) -> NDArray[np.bool_]:
    """Tell which points lie in a lesion or within four pixels of one, along the session's axes."""
    near = np.zeros(len(points), dtype=bool)
    if len(session.numbers) == 0:
        return near
    index, spacing = session.index_of(points), session.geometry.spacing_mm
    for axis in range(3):
        reach = round(CLEAR_PIXELS * spacing[2] / spacing[axis])
        for step in range(-reach, reach + 1):
            if axis == 0 or step != 0:
                shift = np.zeros(3, dtype=np.int64)
                shift[axis] = step
                near |= session.at_voxels(index + shift) >= 0
    return near


def values_in_block(block: NDArray[np.float32], points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Look up voxels and their neighbourhoods.

    Args:
        block: (z, y, x), NaN where there is no data, with `HALO` slices around what the points lie in
            wherever the volume has them.
        points: (n, 3) z, y, x in voxels of the block, at most half a voxel outside.

    Returns:
        (2, n): the value, and the mean of the 3×3 pixels around, both linear between voxels, NaN where
        there is no data.
    """
    low = np.maximum(np.floor(points.min(axis=0)).astype(np.int64) - 1, 0)
    high = np.ceil(points.max(axis=0)).astype(np.int64) + 2
    part = block[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    at = (points - low).T
    found = [
        ndimage.map_coordinates(values, at, order=1, mode="nearest", output=np.float32)
        for values in (part, _means(part))
    ]
    return np.stack(found)


def _means(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average 3×3 pixels of every slice over those that hold data."""
    size = (1, 3, 3)
    unknown = np.isnan(block)
    if not unknown.any():
        return np.asarray(ndimage.uniform_filter(block, size, mode="nearest"))
    share = ndimage.uniform_filter((~unknown).astype(np.float32), size, mode="nearest")
    mean = ndimage.uniform_filter(np.where(unknown, np.float32(0), block), size, mode="nearest")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(unknown, np.float32(np.nan), mean / share)


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
