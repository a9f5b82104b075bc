"""Which lesions of two sessions are the same tissue: links by overlap, then by distance, in a common frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from somray.kernels.evolution.common_frame import PlacedLesions
from somray.kernels.evolution.overlaps import Overlaps

__all__ = ["Link", "distance_links", "nine_digits", "overlap_links", "same_place_links"]

UNREGISTERED_OVERLAP = 0.5  # of the smaller lesion, where one session was not registered


@dataclass(frozen=True)
class Link:
    """Two lesions that are, at least in part, the same tissue.

    Args:
        before: position among the earlier session's lesions.
        after: position among the later session's lesions.
        shared_mm3: volume they share; 0 for a link by distance.
        shared_fraction: of the smaller of the two.
        distance_mm: between their centroids.
    """

    before: int
    after: int
    shared_mm3: float
    shared_fraction: float
    distance_mm: float

    @property
    def rank(self) -> tuple[float, float, int, int]:
        """Order of strength, the strongest first: shared volume, distance, then position.

        What differs in its tenth digit alone is a tie: transforms leave such differences.
        """
        return -nine_digits(self.shared_mm3), nine_digits(self.distance_mm), self.before, self.after


def nine_digits(value: float) -> float:
    """Round to nine significant digits."""
    return float(f"{value:.9g}")


def overlap_links(
    before: PlacedLesions, after: PlacedLesions, min_fraction: float, overlaps: Overlaps
) -> list[Link]:
    """Link lesions that share at least `min_fraction` of the smaller one.

    The shared volume is counted on both grids and the larger count taken, so that a lesion smaller than
    the other grid's voxels is not missed.
    """
    shared: dict[tuple[int, int], float] = {}
    for (a, b), count in overlaps.shared(before, after):
        shared[a, b] = count * before.geometry.voxel_mm3
    for (b, a), count in overlaps.shared(after, before):
        shared[a, b] = max(shared.get((a, b), 0.0), count * after.geometry.voxel_mm3)
    volumes = before.volume_mm3, after.volume_mm3
    links = []
    for (a, b), volume in sorted(shared.items()):
        fraction = min(1.0, volume / min(volumes[0][a], volumes[1][b]))
        if fraction >= min_fraction - 1e-9:
            links.append(Link(a, b, volume, float(fraction), _distance(before, a, after, b)))
    return links


def same_place_links(
    before: PlacedLesions, after: PlacedLesions, min_fraction: float, overlaps: Overlaps
) -> list[Link]:
    """Link by overlap, in the common frame or, where one is not registered, in the scanner's.

    Nothing says how the patient lay then: half of the smaller lesion must be shared, and a distance
    between two means nothing.
    """
    if before.registered and after.registered:
        return overlap_links(before, after, min_fraction, overlaps)
    least = max(min_fraction, UNREGISTERED_OVERLAP)
    return overlap_links(before.in_scanner(), after.in_scanner(), least, overlaps)


def distance_links(
    before: PlacedLesions,
    after: PlacedLesions,
    free: tuple[Sequence[int], Sequence[int]],
    reach_mm: float,
) -> list[Link]:
    """Link lesions without overlap, one to one, the nearest first.

    Small lesions move by more than their own size between sessions (breathing, residual
    misregistration). Two are linked when their centroids are no further apart than `reach_mm`, or than
    the sum of the radii of spheres of their volumes where that is more.

    Args:
        before: earlier session.
        after: later session.
        free: positions of the lesions that overlap did not link, on either side.
        reach_mm: distance that is bridged for lesions of any size.
    """
    if not free[0] or not free[1]:
        return []
    earlier, later = np.asarray(free[0]), np.asarray(free[1])
    radii = (_radius(before.volume_mm3[earlier]), _radius(after.volume_mm3[later]))
    farthest = max(reach_mm, float(radii[0].max() + radii[1].max()))
    near = cKDTree(after.centroid_mm[later])
    candidates = []
    for n, found in enumerate(near.query_ball_point(before.centroid_mm[earlier], farthest)):
        for m in found:
            a, b = int(earlier[n]), int(later[m])
            distance = _distance(before, a, after, b)
            if distance <= max(reach_mm, float(radii[0][n] + radii[1][m])) + 1e-9 * reach_mm:
                candidates.append((nine_digits(distance), a, b))
    links: list[Link] = []
    taken_before: set[int] = set()
    taken_after: set[int] = set()
    for distance, a, b in sorted(candidates):
        if a not in taken_before and b not in taken_after:
            taken_before.add(a)
            taken_after.add(b)
            links.append(Link(a, b, 0.0, 0.0, distance))
    return links


def _distance(before: PlacedLesions, a: int, after: PlacedLesions, b: int) -> float:
    return float(np.linalg.norm(before.centroid_mm[a] - after.centroid_mm[b]))


def _radius(volume_mm3: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((3.0 * volume_mm3 / (4.0 * np.pi)) ** (1.0 / 3.0))
