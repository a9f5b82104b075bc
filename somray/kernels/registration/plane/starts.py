"""Where to start: turns and scales tried at thumbnail size, shifts found for all of them by correlation.

Thumbnails are band-passed, so that body outline and organs count and mean brightness does not. For every
turn and scale the cross-correlation over all shifts comes from one Fourier product, normalised by the
energy that overlaps at each shift. The same turned thumbnails are laid on the mirror images of the fixed
slice, or on the slice turned wrongly, which costs only the products: what chance and outlines alone reach.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from somray.kernels.registration.plane.prepare import Float32, Level, Prepared, level_within

__all__ = [
    "IDENTITY",
    "MIRRORS",
    "WRONG_TURNS",
    "Coarse",
    "Pose",
    "Start",
    "alike",
    "posed",
    "read_level",
]

Matrix = NDArray[np.float64]

_THUMBNAIL = 32  # pixels along the longest side of both slices
_READ_FROM = 80  # pixels: thumbnails are read from the first level within that
_TURNS = tuple(range(-48, 49, 12))  # degrees
_SCALES = (0.83, 1.0, 1.2)
_REACH = 0.34  # of the longest side: largest shift between the slices' middles
_FINE, _SLOW = 0.7, 3.0  # pixels of the thumbnail: the band that is kept
_LEAST_OVERLAP = 0.3  # of the smaller thumbnail's energy
Pose = tuple[bool, bool, bool]
"""How a slice is laid: rows and columns swapped, then which of x and y is turned round: (x, y, swapped)."""
IDENTITY: Pose = (False, False, False)
MIRRORS: tuple[Pose, ...] = ((True, False, False), (False, True, False))
WRONG_TURNS: tuple[Pose, ...] = ((True, True, False), (True, False, True), (False, True, True))
"""A half turn and both quarter turns: as wrong as mirror images, and no body is its own."""


@dataclass(frozen=True, eq=False)
class Start:
    """A motion to begin with: fixed pixels to moving pixels on the full grid, and its correlation."""

    sampling: Matrix
    correlation: float


def posed(pose: Pose, shape: tuple[int, int]) -> Matrix:
    """Return the (3, 3) matrix that lays the pixels of a slice in another pose, about its middle."""
    matrix = np.eye(3)
    matrix[:2, :2] = _linear(pose)
    middle = (np.array(shape[::-1]) - 1.0) / 2.0
    matrix[:2, 2] = middle - matrix[:2, :2] @ middle
    return matrix


def _linear(pose: Pose) -> Matrix:
    signs = np.diag([-1.0 if turned else 1.0 for turned in pose[:2]])
    return signs[:, ::-1] if pose[2] else signs


def _laid(plane: Float32, pose: Pose) -> Float32:
    """Return a plane in another pose, from its first pixel on."""
    x_step, y_step = (-1 if turned else 1 for turned in pose[:2])
    return (plane.T if pose[2] else plane)[::y_step, ::x_step]


class Coarse:
    """A pair's thumbnails, and what their correlations suggest.

    Args:
        fixed: fixed slice.
        moving: moving slice; its pixels are taken to be as large as the fixed ones, give or take a fourth.
    """

    def __init__(self, fixed: Prepared, moving: Prepared) -> None:
        turned = [(turn, scale) for turn in _TURNS for scale in _SCALES]
        self._pixel, self._still, self._canvas = _thumbnails(fixed, moving, turned)

    def starts(self, pose: Pose, keep: int) -> list[Start]:
        """Find promising motions of the slice as it is, or wrongly laid.

        Args:
            pose: how to lay the fixed slice: `IDENTITY`, or one of `MIRRORS` or `WRONG_TURNS`.
            keep: how many to return at most, best first, no two from the same turn and scale.

        Returns:
            Starts for refinement; their own precision is a thumbnail's pixel.
        """
        image, weight = (_laid(plane, pose) for plane in self._still)
        turned = np.eye(3)
        turned[:2, :2] = _linear(pose)
        ends = np.array(image.shape[::-1]) - 1.0
        turned[:2, 2] = np.where(turned[:2, :2].sum(axis=1) < 0, ends, 0.0)
        shrunk = np.diag([1.0 / self._pixel, 1.0 / self._pixel, 1.0])
        found = []
        best = _best_shifts(image, weight, self._canvas)
        for score, x, y, linear in zip(*best, self._canvas.samplings, strict=True):
            # Pixel p of the thumbnail lies on pixel p + (x, y) of the turned canvas.
            placed = np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
            found.append(Start(linear @ placed @ turned @ shrunk, float(score)))
        order = sorted(range(len(found)), key=lambda k: (-found[k].correlation, k))
        return [found[k] for k in order[:keep]]


def alike(fixed: Prepared, moving: Prepared, turns: tuple[int, ...]) -> float:
    """Return the highest correlation over some turns (degrees) and all shifts.

    Args:
        fixed: fixed slice; levels finer than `read_level` are not needed.
        moving: moving slice, the same.
        turns: degrees to try.
    """
    _, (image, weight), canvas = _thumbnails(fixed, moving, [(turn, 1.0) for turn in turns])
    return float(_best_shifts(image, weight, canvas)[0].max())


def read_level(slice_: Prepared) -> int:
    """Return the index of the level that thumbnails are read from."""
    return level_within(slice_, _READ_FROM)


@dataclass(frozen=True, eq=False)
class _TurnedThumbnails:
    """The moving thumbnail at every turn and scale, with room for every shift.

    Args:
        images: (n, side, side) float32, 0 where there is no data.
        samplings: n matrices (3, 3), pixels of the canvas to full pixels of the moving slice.
        spectra: Fourier transforms of image, image² and weight, each (n, side, side // 2 + 1).
    """

    images: Float32
    samplings: tuple[Matrix, ...]
    spectra: tuple[NDArray[np.complexfloating], ...]


def _band(slice_: Prepared, pixel: float) -> Level:
    """Keep what a thumbnail can show, without slow brightness, on the level it is read from."""
    level = slice_.levels[read_level(slice_)]
    fine, slow = (k * pixel / level.step for k in (_FINE, _SLOW))
    blurs = []
    for sigma in (fine, slow):
        share = cv2.GaussianBlur(level.weight, (0, 0), sigma)
        blurred = cv2.GaussianBlur(level.image * level.weight, (0, 0), sigma)
        blurs.append(blurred / np.maximum(share, np.float32(1e-3)))
    return Level((blurs[0] - blurs[1]) * level.weight, level.weight, level.step)


def _read(band: Level, to_full: Matrix, shape: tuple[int, int]) -> tuple[Float32, Float32]:
    """Read band and weight on a grid whose pixels `to_full` takes to full pixels."""
    matrix = to_full[:2] / band.step
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image, weight = (
        cv2.warpAffine(plane, matrix, shape[::-1], flags=flags)
        for plane in (band.image, band.weight)
    )
    return np.asarray(image), np.asarray(weight)


def _extent(slice_: Prepared) -> tuple[int, int]:
    """Return rows and columns in full pixels, also where only coarser levels were kept."""
    step = slice_.full.step
    rows, columns = slice_.shape
    return (rows - 1) * step + 1, (columns - 1) * step + 1


def _thumbnails(
    fixed: Prepared, moving: Prepared, turned: list[tuple[int, float]]
) -> tuple[float, tuple[Float32, Float32], _TurnedThumbnails]:
    """Return full pixels per thumbnail pixel, the fixed thumbnail with its weight, the moving ones."""
    extent = _extent(fixed)
    longest = max(*extent, *_extent(moving))
    pixel = max(longest / _THUMBNAIL, 1.0)
    rows, columns = (int((n - 1) / pixel) + 1 for n in extent)
    still = _read(_band(fixed, pixel), np.diag([pixel, pixel, 1.0]), (rows, columns))
    reach = int(np.ceil(_REACH * longest / pixel))
    side = fft.next_fast_len(max(rows, columns) + 2 * reach, real=True)
    return pixel, still, _turned(moving, pixel, side, turned)


def _turned(
    moving: Prepared, pixel: float, side: int, turned: list[tuple[int, float]]
) -> _TurnedThumbnails:
    # At the middle of the valid shifts the middles of both slices coincide.
    middle = np.array([side - 1.0, side - 1.0]) / 2.0
    centre = (np.array(_extent(moving)[::-1]) - 1.0) / 2.0
    band = _band(moving, pixel)
    planes, samplings = [], []
    for degrees, scale in turned:
        turn = np.deg2rad(degrees)
        cosine, sine = pixel * scale * np.cos(turn), pixel * scale * np.sin(turn)
        matrix = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        matrix[:2, 2] = centre - matrix[:2, :2] @ middle
        planes.append(_read(band, matrix, (side, side)))
        samplings.append(matrix)
    images = np.stack([p[0] for p in planes])
    weights = np.stack([p[1] for p in planes])
    spectra = tuple(fft.rfft2(stack) for stack in (images, images * images, weights))
    return _TurnedThumbnails(images, tuple(samplings), spectra)


def _best_shifts(
    image: Float32, weight: Float32, canvas: _TurnedThumbnails
) -> tuple[Float32, NDArray[np.int64], NDArray[np.int64]]:
    """Return for every turn and scale the highest normalised correlation and its shift x, y."""
    side = canvas.images.shape[1]
    rows, columns = image.shape
    size = (side, side)
    own, square, share = (fft.rfft2(plane, size).conj() for plane in (image, image * image, weight))
    moved, energy, weights = canvas.spectra
    cross, under, over = (
        fft.irfft2(one * other, size)[:, : side - rows + 1, : side - columns + 1]
        for one, other in ((own, moved), (square, weights), (share, energy))
    )
    total = (canvas.images**2).sum(axis=(1, 2))[:, None, None]
    enough = (under > _LEAST_OVERLAP * (image**2).sum()) & (over > _LEAST_OVERLAP * total)
    power = np.sqrt(np.maximum(under, 1e-9) * np.maximum(over, 1e-9))
    score = np.where(enough, cross / power, np.float32(-1.0)).reshape(len(moved), -1)
    peak = score.argmax(axis=1)
    y, x = np.divmod(peak, side - columns + 1)
    return score[np.arange(len(peak)), peak], x, y
