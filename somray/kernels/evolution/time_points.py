"""Lesions of the later time points of a 4D scan: the grid is the same, so identities go by shared voxels.

Sessions are compared at t 0 alone (`follow`); here what is known of t 0 is carried along t.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.evolution.common_frame import SessionLesions

__all__ = ["LesionVoxels", "carry_over_time", "with_identities"]


@dataclass(frozen=True, eq=False)
class LesionVoxels:
    """Voxel indices (n, 3) in z, y, x in scan order, and lesion_id (n,) of each."""

    index: NDArray[np.int32]
    ids: NDArray[np.int32]


def with_identities(found: SessionLesions, identities: dict[int, int]) -> LesionVoxels:
    """Return the voxels of the instances that have an identity, with it."""
    lookup = np.zeros(int(found.instance.max(initial=0)) + 1, dtype=np.int32)
    for number, lesion_id in identities.items():
        lookup[number] = lesion_id
    ids = lookup[found.instance]
    return LesionVoxels(found.index[ids > 0], ids[ids > 0])


def carry_over_time(
    first: LesionVoxels, later: SessionLesions, min_volume_mm3: float, highest: int
) -> tuple[dict[int, int], int]:
    """Give the lesions of a later time point the ids of t 0.

    Each takes the id that it shares most voxels with, the smaller one where two share as many; parts of one
    lesion of t 0 are one lesion still.

    Args:
        first: lesions of t 0 on the same grid.
        later: all instances of the later time point.
        min_volume_mm3: smaller ones are left out.
        highest: largest id in use.

    Returns:
        Instance number to lesion_id, and the largest id in use then; new ids in order of the numbers.
    """
    shape = later.geometry.shape
    known, wanted = _flat(first.index, shape), _flat(later.index, shape)
    met = np.zeros(len(wanted), dtype=np.int32)
    if len(known):
        slot = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        met = np.where(known[slot] == wanted, first.ids[slot], 0).astype(np.int32)
    shared: dict[int, tuple[int, int]] = {}
    both = np.stack([later.instance, met], axis=1)[met > 0]
    pairs, counts = np.unique(both, axis=0, return_counts=True)
    for (number, lesion_id), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        shared[number] = max(shared.get(number, (0, 0)), (count, -lesion_id))
    least = min_volume_mm3 * (1.0 - 1e-9)
    identities: dict[int, int] = {}
    numbers, sizes = np.unique(later.instance, return_counts=True)
    for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
        if size * later.geometry.voxel_mm3 < least:
            continue
        if number in shared:
            identities[number] = -shared[number][1]
        else:
            highest += 1
            identities[number] = highest
    return identities, highest


def _flat(index: NDArray[np.int32], shape: tuple[int, int, int]) -> NDArray[np.int64]:
    return np.asarray(np.ravel_multi_index(tuple(index.T), shape), dtype=np.int64)
