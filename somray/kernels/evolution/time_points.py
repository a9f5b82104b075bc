"""Lesions of the later time points of a 4D scan: the grid is the same, so identities go by shared voxels.

Sessions are compared at t 0 alone (`follow`); here what is known of t 0 is carried along t.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from somray.kernels.evolution.common_frame import SessionLesions
from somray.kernels.evolution.overlaps import PairCounts

__all__ = ["carry_over_time", "identity_lookup"]


def identity_lookup(found: SessionLesions, identities: Mapping[int, int]) -> NDArray[np.int32]:
    """Return lesion_id by instance number; 0 for instances without an identity."""
    lookup = np.zeros(int(found.facts.numbers.max(initial=0)) + 1, dtype=np.int32)
    for number, lesion_id in identities.items():
        lookup[number] = lesion_id
    return lookup


def carry_over_time(
    shared: PairCounts, later: SessionLesions, min_volume_mm3: float, highest: int
) -> tuple[dict[int, int], int]:
    """Give the lesions of a later time point the ids of t 0.

    Each takes the id that it shares most voxels with, the smaller one where two share as many; parts of one
    lesion of t 0 are one lesion still.

    Args:
        shared: instance numbers of the later time point against the ids of t 0 in the same voxels.
        later: all instances of the later time point.
        min_volume_mm3: smaller ones are left out.
        highest: largest id in use.

    Returns:
        Instance number to lesion_id, and the largest id in use then; new ids in order of the numbers.
    """
    best: dict[int, tuple[int, int]] = {}
    for number, lesion_id, count in zip(*(a.tolist() for a in shared.finish()), strict=True):
        best[number] = max(best.get(number, (0, 0)), (count, -lesion_id))
    least = min_volume_mm3 * (1.0 - 1e-9)
    identities: dict[int, int] = {}
    facts = later.facts
    for number, size in zip(facts.numbers.tolist(), facts.voxels.tolist(), strict=True):
        if size * later.geometry.voxel_mm3 < least:
            continue
        if number in best:
            identities[number] = -best[number][1]
        else:
            highest += 1
            identities[number] = highest
    return identities, highest
