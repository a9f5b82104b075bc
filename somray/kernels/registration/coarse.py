"""Where to start: turns and scales tried at thumbnail size, shifts found for all of them by correlation.

Thumbnails are band-passed, so that body outline and organs count and mean brightness does not. For every
turn and scale the cross-correlation over all shifts comes from one Fourier product, normalised by the
energy that overlaps at each shift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from somray.kernels.registration.intensity import structure, warp_level
from somray.kernels.registration.prepare import Float32, Level, Prepared

__all__ = ["Start", "level_within", "search_level", "starts"]

Matrix = NDArray[np.float64]

_SEARCHED = 40  # pixels: the first level whose longer side is no larger
_TURNS = tuple(range(-50, 51, 10))  # degrees
_SCALES = (0.8, 0.93, 1.08, 1.25)
_SIGMA = 4.0  # pixels of the thumbnail
_LEAST_OVERLAP = 0.3  # of the smaller thumbnail's energy


@dataclass(frozen=True, eq=False)
class Start:
    """A motion to begin with: fixed pixels to moving pixels on the full grid, and its correlation."""

    sampling: Matrix
    correlation: float


def level_within(slice_: Prepared, longest: int) -> int:
    """Return the index of the first level whose longer side is no longer than `longest`."""
    for index, level in enumerate(slice_.levels):
        if max(level.image.shape) <= longest:
            return index
    return len(slice_.levels) - 1


def search_level(slice_: Prepared) -> int:
    """Return the index of the level that the search runs on."""
    return level_within(slice_, _SEARCHED)


def starts(
    fixed: Prepared,
    moving: Prepared,
    keep: int,
    turns: tuple[int, ...] = _TURNS,
    scales: tuple[float, ...] = _SCALES,
) -> list[Start]:
    """Find promising motions.

    Args:
        fixed: fixed slice.
        moving: moving slice.
        keep: how many to return at most, best first, no two from the same turn and scale.
        turns: degrees to try.
        scales: scales to try.

    Returns:
        Starts for refinement; the thumbnails' own precision is about half a pixel of theirs.
    """
    a, b = fixed.levels[search_level(fixed)], moving.levels[search_level(moving)]
    relative = b.step / a.step  # thumbnails of very different slices may differ in step
    first = structure(a, _SIGMA)
    size = tuple(
        fft.next_fast_len(m + n, real=True)
        for m, n in zip(a.image.shape, _diagonal(b, relative), strict=True)
    )
    spectra = fft.rfft2(np.stack([first, first * first]), size)
    second = Level(structure(b, _SIGMA), b.weight, b.step)
    found = []
    for turn in turns:
        for scale in scales:
            turned, grid_to_moving = _turned(second, turn, scale * relative)
            correlation, shift = _best_shift(first, spectra, turned, size)
            sampling = grid_to_moving @ np.array(
                [[1, 0, -shift[0]], [0, 1, -shift[1]], [0, 0, 1.0]]
            )
            # thumbnail pixels of fixed -> thumbnail pixels of moving, then both to full pixels
            full = (
                np.diag([b.step, b.step, 1.0]) @ sampling @ np.diag([1 / a.step, 1 / a.step, 1.0])
            )
            found.append(Start(full, correlation))
    order = sorted(range(len(found)), key=lambda k: (-found[k].correlation, k))
    return [found[k] for k in order[:keep]]


def _diagonal(level: Level, relative: float) -> tuple[int, int]:
    side = int(np.ceil(np.hypot(*level.image.shape) * relative * 1.3)) + 2
    return side, side


def _turned(level: Level, turn: float, scale: float) -> tuple[Float32, Matrix]:
    """Turn and scale a thumbnail about its middle onto a canvas that holds all of it."""
    rows, columns = level.image.shape
    side = int(np.ceil(np.hypot(rows, columns) * scale)) + 2
    angle = np.deg2rad(turn)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    linear = np.array([[cosine, sine], [-sine, cosine]])
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
    canvas_to_level = np.eye(3)
    canvas_to_level[:2, :2] = linear
    canvas_to_level[:2, 2] = middle - linear @ np.full(2, (side - 1) / 2)
    image, _ = warp_level(level, canvas_to_level, (side, side))
    return image, canvas_to_level


def _best_shift(
    fixed: Float32, spectra: NDArray[np.complexfloating], moving: Float32, size: tuple[int, ...]
) -> tuple[float, tuple[int, int]]:
    """Return the highest normalised correlation and the (x, y) where moving's corner then lies."""
    _rows, _columns = fixed.shape
    high, wide = moving.shape
    here = fft.rfft2(np.stack([moving, moving * moving, np.ones_like(moving)]), size).conj()
    filled = fft.rfft2(np.ones_like(fixed), size)
    products = np.stack([spectra[0] * here[0], spectra[1] * here[2], filled * here[1]])
    cross, energy_fixed, energy_moving = fft.irfft2(products, size)
    own, other = float((fixed**2).sum()), float((moving**2).sum())
    enough = (energy_fixed > _LEAST_OVERLAP * own) & (energy_moving > _LEAST_OVERLAP * other)
    power = np.sqrt(np.maximum(energy_fixed, 1e-9) * np.maximum(energy_moving, 1e-9))
    score = np.where(enough, cross / power, -1.0)
    peak = int(np.argmax(score))
    y, x = divmod(peak, score.shape[1])
    y = y - size[0] if y > size[0] - high else y
    x = x - size[1] if x > size[1] - wide else x
    return float(score.flat[peak]), (x, y)
