"""Objects as a map draws them: connected parts of its target, kept pixel by pixel.

For images that no rule of their own finds objects in (CT, micro-CT, others). The parts are told on blocks, so that
an organ mask or a person can call one of them normal; what is called lesion keeps every pixel that the map drew.
Parts less than a block apart are one object here, and are followed as the connected parts they are.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.cut import CONNECTED
from somray.kernels.objects.found import LESION, FoundObject
from somray.kernels.objects.tree import FACES_OF_A_BALL

__all__ = ["MOST_BLOCKS", "find_map_parts", "map_parts"]

MOST_BLOCKS = 4_000_000
"""Blocks that a scan is looked at on, however many voxels it has."""

MOST_TOLD = 1000
"""Objects that are told one by one, the largest; a specimen may have a hundred thousand pores, which are one more."""


def find_map_parts(
    image: NDArray[np.float32], mask: NDArray[np.float32], spacing_mm: tuple[float, float, float]
) -> tuple[NDArray[np.int32], list[FoundObject]]:
    """List the parts of a map's target.

    Args:
        image: (z, y, x) intensities on blocks, NaN where nothing was scanned.
        mask: (z, y, x) share of the target in every block.
        spacing_mm: size of the blocks along (z, y, x).

    Returns:
        Labels (z, y, x) int32 of all blocks that hold any target, and one object per number.
    """
    found, count = ndimage.label(mask > 0, CONNECTED)
    labels = np.asarray(found, dtype=np.int32)
    if count > MOST_TOLD:
        labels, count = _rest_joined(labels, mask)
    numbers = np.arange(1, count + 1)
    block_mm3 = float(np.prod(spacing_mm))
    volumes = ndimage.sum_labels(mask.astype(np.float64), labels, numbers) * block_mm3
    places = np.reshape(ndimage.center_of_mass(labels > 0, labels, numbers), (-1, 3))
    surfaces = _surfaces(labels, count, spacing_mm)
    values = np.where(np.isfinite(image), image, 0.0).astype(np.float64)
    means, peaks = ndimage.mean(values, labels, numbers), ndimage.maximum(values, labels, numbers)
    own = np.bincount(labels.ravel(), minlength=count + 1)[1:] * block_mm3
    objects = [
        FoundObject(
            number=n + 1,
            called=LESION,
            reason="drawn by the map; no rule of its own judges this kind of image",
            salience=None,
            volume_mm3=float(volumes[n]),
            centroid=(float(places[n, 0]), float(places[n, 1]), float(places[n, 2])),
            peak=float(peaks[n]),
            mean=float(means[n]),
            contrast_log2=None,
            sphericity=float(np.cbrt(36 * np.pi * own[n] ** 2) / surfaces[n]),
        )
        for n in range(count)
    ]
    return labels, objects


def map_parts(mask: NDArray[np.float32]) -> NDArray[np.int32]:
    """Number the parts of a target on coarse blocks, such that those which hardly touch stay apart.

    Blocks that are mostly target make the parts; a block that is less so goes with the nearest of them beside it,
    or is a part of its own.

    Args:
        mask: (z, y, x) share of the target in every block.

    Returns:
        (z, y, x) int32, 0 where there is no target.
    """
    found, count = ndimage.label(mask >= 0.5, CONNECTED)
    labels = np.asarray(found, dtype=np.int32)
    rest = (mask > 0) & (labels == 0)
    if count:
        apart, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
        beside = rest & (apart < 2.0)
        labels[beside] = labels[tuple(n[beside] for n in nearest)]
        rest &= ~beside
    lone, _ = ndimage.label(rest, CONNECTED)
    return np.where(rest, lone + count, labels).astype(np.int32)


def _rest_joined(
    labels: NDArray[np.int32], mask: NDArray[np.float32]
) -> tuple[NDArray[np.int32], int]:
    """Keep the largest parts as they are and make one object of all others; numbers in scan order."""
    sizes = ndimage.sum_labels(mask.astype(np.float64), labels, np.arange(labels.max() + 1))
    sizes[0] = 0.0
    kept = np.sort(np.argsort(-sizes, kind="stable")[: MOST_TOLD - 1])
    number = np.full(len(sizes), MOST_TOLD, dtype=np.int32)
    number[0] = 0
    number[kept] = np.arange(1, MOST_TOLD)
    return number[labels], MOST_TOLD


def _surfaces(
    labels: NDArray[np.int32], count: int, spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return each object's surface (n,) in mm²: its faces, over a ball's faces for its surface."""
    padded = np.pad(labels, 1)
    area = np.zeros(count + 1)
    for axis in range(3):
        one = np.delete(padded, -1, axis)
        other = np.delete(padded, 0, axis)
        differs = one != other
        faces = np.bincount(one[differs], minlength=count + 1)
        faces += np.bincount(other[differs], minlength=count + 1)
        area += faces * np.prod(spacing_mm) / spacing_mm[axis]
    return area[1:] / FACES_OF_A_BALL
