"""Compare what two registered sessions show around every lesion, reading only what is met."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.kernels.evolution.common_frame import PlacedLesions
from somray.kernels.evolution.follow import Evolution, LesionChange
from somray.kernels.evolution.surroundings import HALO, Shells, correlation, values_in_block
from somray.stages.evolution.lesion_map import SessionScan, by_brick

__all__ = ["surroundings"]

SHELLS_AT_ONCE = 256  # looked up together, half a million points at most

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
    shells = Shells(*sessions)
    along_z = sorted(which, key=shells.first_slice)
    found: dict[int, float | None] = {}
    for start in range(0, len(along_z), SHELLS_AT_ONCE):
        positions = along_z[start : start + SHELLS_AT_ONCE]
        points = shells.points(positions)
        one, other = (
            _values(scan, np.concatenate([pair[side] for pair in points]))
            for side, scan in enumerate(scans)
        )
        first = 0
        for position, (here, _) in zip(positions, points, strict=True):
            part = slice(first, first + len(here))
            found[position] = correlation(one[:, part], other[:, part])
            first += len(here)
    return found


def _values(scan: SessionScan, points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Look up points (n, 3) of the first channel at t 0, brick by brick; (2, n)."""
    found = np.full((2, len(points)), np.nan, dtype=np.float32)
    shape = scan.meta.shape[2:]
    nearest = np.clip(np.floor(points + 0.5), 0, np.array(shape) - 1).astype(np.int64)
    for _, which in by_brick(scan.meta.bricks(0), nearest):
        low = nearest[which].min(axis=0).tolist()
        high = (nearest[which].max(axis=0) + 1).tolist()
        met = Brick(0, low[0], high[0], low[1], high[1], low[2], high[2])
        outer = met.grown((HALO, HALO, HALO), shape)
        block = scan.values(outer, 0)
        found[:, which] = values_in_block(block, points[which], outer.corner)
    return found
