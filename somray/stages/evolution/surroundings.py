"""Compare what two registered sessions show around every lesion, reading only the slabs that are met."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from somray.io.ome.image import read_channel, slabs
from somray.kernels.evolution.common_frame import PlacedLesions
from somray.kernels.evolution.follow import Evolution, LesionChange
from somray.kernels.evolution.surroundings import HALO, Shells, correlation, values_in_block
from somray.stages.evolution.lesion_labels import SessionScan

__all__ = ["POINTS_AT_ONCE", "surroundings"]

POINTS_AT_ONCE = 500_000  # of all shells that are looked up together

Around = dict[tuple[int, str], float | None]


def surroundings(evolution: Evolution, scans: Sequence[SessionScan]) -> Around:
    """Correlate the first channel of both sessions of every registered pair around each lesion.

    Returns:
        By lesion_id and later session, for lesions of registered pairs; None where there is too little to
        go by.
    """
    order = {scan.place.session: n for n, scan in enumerate(scans)}
    found: Around = {}
    pairs: dict[tuple[int, int], list[LesionChange]] = {}
    for row in evolution.changes:
        if row.registered:
            pair = (order[row.from_session], order[row.to_session])
            pairs.setdefault(pair, []).append(row)
    for (early, late), rows in pairs.items():
        for here, there, side in ((early, late, True), (late, early, False)):
            wanted = [r for r in rows if (r.volume_from_mm3 is not None) == side]
            position = {lesion: k for k, lesion in enumerate(evolution.ids_of(here))}
            which = [position[r.lesion_id] for r in wanted]
            sessions = (evolution.placed[here], evolution.placed[there])
            told = _correlations(sessions, (scans[here], scans[there]), which)
            found |= {
                (r.lesion_id, r.to_session): told[k] for r, k in zip(wanted, which, strict=True)
            }
    return found


def _correlations(
    sessions: tuple[PlacedLesions, PlacedLesions],
    scans: tuple[SessionScan, SessionScan],
    which: Sequence[int],
) -> dict[int, float | None]:
    """Correlate the shells of some lesions of the first session, by position."""
    if not which:
        return {}
    shells = Shells(*sessions)
    along_z = sorted(which, key=lambda k: shells.first_slice(k))
    found: dict[int, float | None] = {}
    for positions, here, there in _batches(shells, along_z):
        one, other = (
            _values(scan, np.concatenate(points))
            for scan, points in zip(scans, (here, there), strict=True)
        )
        start = 0
        for position, points in zip(positions, here, strict=True):
            part = slice(start, start + len(points))
            found[position] = correlation(one[:, part], other[:, part])
            start += len(points)
    return found


Batch = tuple[list[int], list[NDArray[np.float64]], list[NDArray[np.float64]]]


def _batches(shells: Shells, positions: Sequence[int]) -> Iterator[Batch]:
    """Gather the points of shells until there are enough of them for one look at the slabs."""
    batch: Batch = ([], [], [])
    for position in positions:
        here, there = shells.points(position)
        batch[0].append(position)
        batch[1].append(here)
        batch[2].append(there)
        if sum(len(points) for points in batch[1]) >= POINTS_AT_ONCE:
            yield batch
            batch = ([], [], [])
    if batch[0]:
        yield batch


def _values(scan: SessionScan, points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Look up points (n, 3) of the first channel at t 0, slab by slab; (2, n)."""
    depth = scan.meta.shape[2]
    found = np.full((2, len(points)), np.nan, dtype=np.float32)
    nearest = np.clip(np.floor(points[:, 0] + 0.5), 0, depth - 1)
    for z0, z1 in slabs(depth, scan.meta.slab_depth):
        inside = (nearest >= z0) & (nearest < z1)
        if inside.any():
            first = max(0, z0 - HALO)
            block = read_channel(scan.storage, scan.place.name, 0, first, min(depth, z1 + HALO))
            found[:, inside] = values_in_block(block, points[inside] - [first, 0, 0])
    return found
