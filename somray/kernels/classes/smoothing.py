"""Smoothing of a class map: every pixel takes the class that most of the disc around it has.

A step of its own, off unless asked for: it removes specks and fills holes thinner than the disc, and
with them whatever is truly that small. Lengths are in mm, so that a map is smoothed alike at any pixel
size. Pixels without data (0) neither vote nor change.
"""

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.compiled import compiled

__all__ = ["smooth_classes", "smoothing_halo"]

Labels = NDArray[np.uint8]


def smoothing_halo(radius_mm: float, spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """Return how many pixels beyond a tile along (y, x) decide about the pixels in it.

    Args:
        radius_mm: of the disc.
        spacing_mm: distance between pixels along (y, x).

    Raises:
        ShapeError: a length is negative, zero spacing, or not finite.
    """
    if not (np.isfinite(radius_mm) and radius_mm >= 0):
        raise ShapeError(f"radius_mm must be 0 or more, got {radius_mm}")
    if len(spacing_mm) != 2 or not all(np.isfinite(s) and s > 0 for s in spacing_mm):
        raise ShapeError(f"spacing_mm must be two positive numbers (y, x), got {spacing_mm}")
    # A disc of exactly n pixels must not lose its outermost ones to rounding.
    rows, columns = (int(np.floor(radius_mm / s * (1.0 + 1e-9))) for s in spacing_mm)
    return rows, columns


def smooth_classes(labels: Labels, radius_mm: float, spacing_mm: tuple[float, float]) -> Labels:
    """Give every pixel the class of the majority in a disc; where two lead, it keeps its own.

    Args:
        labels: (y, x) uint8, 0 where there is no data.
        radius_mm: of the disc; below the distance between pixels nothing changes.
        spacing_mm: distance between pixels along (y, x).

    Returns:
        (y, x) uint8, a new array. A tile with `smoothing_halo` pixels around it comes out as it does
        in the whole slice.

    Raises:
        ShapeError: labels are no uint8 plane, or a length is wrong.

    Cost: O(y x (rows of the disc + classes)) time, the result beside the input.
    """
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ShapeError(f"labels must be (y, x) uint8, got {labels.dtype} {labels.shape}")
    rows, columns = smoothing_halo(radius_mm, spacing_mm)
    if labels.size == 0 or rows + columns == 0:
        return labels.copy()
    off = np.arange(-rows, rows + 1) * spacing_mm[0]
    room = np.maximum((radius_mm * (1.0 + 1e-9)) ** 2 - off**2, 0.0)
    reach = np.floor(np.sqrt(room) / spacing_mm[1]).astype(np.int64)
    smoothed = np.empty_like(labels)
    _vote(np.ascontiguousarray(labels), reach, int(labels.max()) + 1, smoothed)
    return smoothed


@compiled
def _leader(votes: NDArray[np.int64], own: int) -> int:
    """Return the class with most votes, or the pixel's own where several have them."""
    most, leader = 0, own
    for value in range(1, votes.size):
        if votes[value] > most:
            most, leader = votes[value], value
        elif votes[value] == most:
            leader = own
    return leader


@compiled
def _start(labels: Labels, y: int, reach: NDArray[np.int64], votes: NDArray[np.int64]) -> None:
    """Count the disc around the first pixel of row y, but for its right rim."""
    middle = reach.size // 2
    for line in range(max(y - middle, 0), min(y + middle + 1, labels.shape[0])):
        for column in range(min(reach[line - y + middle], labels.shape[1])):
            votes[labels[line, column]] += 1


@compiled
def _move(
    labels: Labels, y: int, x: int, reach: NDArray[np.int64], votes: NDArray[np.int64]
) -> None:
    """Move the disc's centre to column x: its right rim enters, what lies left of it leaves."""
    middle, width = reach.size // 2, labels.shape[1]
    for line in range(max(y - middle, 0), min(y + middle + 1, labels.shape[0])):
        half = reach[line - y + middle]
        if x + half < width:
            votes[labels[line, x + half]] += 1
        if x - half > 0:
            votes[labels[line, x - half - 1]] -= 1


@compiled
def _vote(labels: Labels, reach: NDArray[np.int64], classes: int, smoothed: Labels) -> None:
    """Slide the disc along each row."""
    for y in range(labels.shape[0]):
        votes = np.zeros(classes, dtype=np.int64)
        _start(labels, y, reach, votes)
        for x in range(labels.shape[1]):
            _move(labels, y, x, reach, votes)
            own = labels[y, x]
            smoothed[y, x] = _leader(votes, own) if own > 0 else 0
