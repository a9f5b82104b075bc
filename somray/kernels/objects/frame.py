"""The body's own frame: where in a body something lies, whatever its size and place on the table.

Two landmarks are read from the outline alone, so that PET without CT has them too: the *shoulder line*, below
which a slice is as large as the trunk, and the *fork*, where the legs part. Height runs from 0 at the shoulder
line to 1 at the fork. Where a scan shows only one of them, the other is put at an average trunk's distance;
where it shows neither (a limb, a crop), nothing has a height and no rule about organs applies.

Lengths across are in units of the same trunk, so that a tall and a short body agree. Axes as in `grid`: z to
superior, y to posterior, x to left.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.cut import largest_part

__all__ = ["BodyFrame", "BodyPlace", "body_frame", "body_mask"]

Spacing = tuple[float, float, float]

TRUNK_MM = 650.0
"""Shoulder line to fork of an average adult, what sizes are counted against."""

AS_TRUNK = 0.6  # a slice this large, compared to the trunk's, is below the shoulder line
LEAST_ABOVE_MM = 30.0  # of head or neck that must be seen above the shoulder line
LEAST_LEGS_MM = 24.0  # of two legs that must be seen below the fork
LEGS_ALIKE = 0.5  # the smaller of two legs, over the larger
TRUNK_RANGE_MM = (380.0, 900.0)  # distances between the two landmarks that are believed
SMOOTH_MM = 40.0  # the midline follows the outline over this height
LEAST_WIDTH_MM = 220.0  # a trunk is at least this wide somewhere, a limb is not


@dataclass(frozen=True)
class BodyPlace:
    """Where something lies in a body.

    Args:
        height: 0 at the shoulder line, 1 where the legs part; above and below beyond.
        left_mm: from the midline, to the left positive, as in a trunk of `TRUNK_MM`.
        depth: 0 at the front of the body's outline, 1 at its back.
    """

    height: float
    left_mm: float
    depth: float


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """A body's landmarks on a grid.

    Args:
        spacing_mm: of the grid, (z, y, x).
        shoulder: z index of the shoulder line.
        fork: z index where the legs part.
        middle: (z,) x index of the midline.
        front: (z,) y index of the outline's front.
        back: (z,) y index of its back.
    """

    spacing_mm: Spacing
    shoulder: float
    fork: float
    middle: NDArray[np.float64]
    front: NDArray[np.float64]
    back: NDArray[np.float64]

    @property
    def size(self) -> float:
        """The trunk's length over `TRUNK_MM`."""
        return (self.shoulder - self.fork) * self.spacing_mm[0] / TRUNK_MM

    def place(self, index: tuple[float, float, float]) -> BodyPlace:
        """Return where a voxel (z, y, x) lies."""
        z, y, x = index
        row = int(np.clip(round(z), 0, len(self.middle) - 1))
        thick = max(self.back[row] - self.front[row], 1.0)
        return BodyPlace(
            height=(self.shoulder - z) / (self.shoulder - self.fork),
            left_mm=(x - self.middle[row]) * self.spacing_mm[2] / self.size,
            depth=float((y - self.front[row]) / thick),
        )


def body_mask(solid: NDArray[np.bool_], spacing_mm: Spacing) -> NDArray[np.bool_]:
    """Return the body: the largest part of what is solid, thin things (a table) removed, filled slice by slice.

    Args:
        solid: (z, y, x) bool, denser than air or taking up tracer.
        spacing_mm: voxel size along (z, y, x).
    """
    rows = [max(1, round(4.0 / s)) for s in spacing_mm[1:]]
    ball = np.ones((1, 2 * rows[0] + 1, 2 * rows[1] + 1), dtype=bool)
    opened = ndimage.binary_opening(np.pad(solid, ((0, 0), (8, 8), (8, 8)), mode="edge"), ball)
    return np.stack([_filled(plane) for plane in largest_part(opened[:, 8:-8, 8:-8])])


def _filled(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what is enclosed: all but what is connected to the rim over faces."""
    outside, count = ndimage.label(np.pad(~plane, 1, constant_values=True))
    return plane if count == 0 else np.asarray(outside[1:-1, 1:-1] != outside[0, 0])


def body_frame(body: NDArray[np.bool_], spacing_mm: Spacing) -> BodyFrame | None:
    """Read the landmarks from a body's outline; None where neither is seen, or nothing as wide as a trunk.

    Args:
        body: (z, y, x) bool, of `body_mask`.
        spacing_mm: voxel size along (z, y, x).
    """
    if not body.any():
        return None
    parts = [_largest_parts(plane) for plane in body]
    area = np.array([sizes[0] for _, sizes in parts], dtype=np.float64)
    second = np.array([sizes[1] for _, sizes in parts], dtype=np.float64)
    outline: NDArray[np.bool_] = np.stack([mask for mask, _ in parts])
    dz = spacing_mm[0]
    shoulder, fork = _shoulder_line(area, dz), _fork(area, second, dz)
    widest = outline.any(axis=1).sum(axis=1).max() * spacing_mm[2]
    if (shoulder is None and fork is None) or widest < LEAST_WIDTH_MM:
        return None
    top = shoulder if shoulder is not None else (fork or 0.0) + TRUNK_MM / dz
    bottom = fork if fork is not None else top - TRUNK_MM / dz
    if not TRUNK_RANGE_MM[0] <= (top - bottom) * dz <= TRUNK_RANGE_MM[1]:
        return None
    middle, front, back = _outline_axes(outline, spacing_mm)
    return BodyFrame(spacing_mm, float(top), float(bottom), middle, front, back)


def _largest_parts(plane: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return the largest part of a slice, and the sizes of the two largest."""
    labels, count = ndimage.label(plane)
    sizes = np.bincount(labels.ravel(), minlength=3)
    sizes[0] = 0
    first = int(np.argmax(sizes))
    one = int(sizes[first])
    sizes[first] = 0
    return np.asarray((labels == first) & plane), (one, int(sizes.max()) if count > 1 else 0)


def _shoulder_line(area: NDArray[np.float64], dz: float) -> float | None:
    """Return the highest slice that is as large as the trunk, if head or neck lie above it."""
    trunk = float(np.percentile(area[area > 0], 80))
    large = np.flatnonzero(area >= AS_TRUNK * trunk)
    highest = int(large[-1])
    above = int(np.count_nonzero(area[highest + 1 :] > 0))
    return float(highest) if above * dz >= LEAST_ABOVE_MM else None


def _fork(area: NDArray[np.float64], second: NDArray[np.float64], dz: float) -> float | None:
    """Return the lowest slice above which there is one trunk, if two legs alike lie below it."""
    legs = (second >= LEGS_ALIKE * area) & (area > 0)
    half = len(area) // 2
    low = np.flatnonzero(legs[:half])
    if len(low) * dz < LEAST_LEGS_MM:
        return None
    return float(low[-1] + 1)


def _outline_axes(
    outline: NDArray[np.bool_], spacing_mm: Spacing
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return midline, front and back of each slice, smoothed; empty slices take the nearest one's."""
    columns = np.asarray(outline.any(axis=1))
    rows = np.asarray(outline.any(axis=2))
    there = np.flatnonzero(columns.any(axis=1))
    x0, x1 = columns[there].argmax(1), outline.shape[2] - 1 - columns[there][:, ::-1].argmax(1)
    y0, y1 = rows[there].argmax(1), outline.shape[1] - 1 - rows[there][:, ::-1].argmax(1)
    every = np.arange(len(outline))
    width = max(1, round(SMOOTH_MM / spacing_mm[0]))

    def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
        known = np.interp(every, there, values)
        middle = ndimage.median_filter(known, 2 * width + 1, mode="nearest")
        return np.asarray(ndimage.uniform_filter1d(middle, width, mode="nearest"))

    return smooth((x0 + x1) / 2), smooth(y0.astype(np.float64)), smooth(y1.astype(np.float64))
