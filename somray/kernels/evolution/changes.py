"""What became of every lesion between two consecutive sessions, once identities are given.

A change is named only where both sessions could have shown it. Where they could not, the row stays, its
change is None, and `doubt` says why.
"""

from dataclasses import dataclass

import numpy as np

from somray.errors import ShapeError
from somray.kernels.evolution.common_frame import PlacedLesions
from somray.kernels.evolution.identities import Pairing
from somray.kernels.evolution.links import Link
from somray.kernels.evolution.overlaps import Overlaps

__all__ = [
    "USUAL",
    "ChangeThresholds",
    "LesionChange",
    "LesionLink",
    "changes_between",
    "links_between",
]


@dataclass(frozen=True)
class ChangeThresholds:
    """What counts as a lesion, as the same lesion and as change; the same for all sessions of a subject.

    Args:
        change_fraction: a volume changed by more than this share …
        change_floor_mm3: … and by at least this much is enlarging or shrinking, else stable.
        min_overlap: share of the smaller lesion that links two lesions.
        reach_mm: distance of centroids that links lesions which do not overlap.
        min_seen: share of a lesion's voxels that the other session must cover to speak of new or
            resolved.
        min_volume_mm3: smallest volume that counts as a lesion (`lesions_that_count` says what its margin is).

    Raises:
        ShapeError: if a value is out of its range.
    """

    change_fraction: float = 0.3
    change_floor_mm3: float = 30.0
    min_overlap: float = 0.1
    reach_mm: float = 5.0
    min_seen: float = 0.5
    min_volume_mm3: float = 0.0

    def __post_init__(self) -> None:
        """Refuse thresholds that decide nothing."""
        least = min(self.change_floor_mm3, self.reach_mm, self.min_volume_mm3)
        if not self.change_fraction > 0 or least < 0:
            raise ShapeError(f"thresholds must not be negative, change_fraction not 0: {self}")
        if not 0 < self.min_overlap <= 1 or not 0 < self.min_seen <= 1:
            raise ShapeError(f"min_overlap and min_seen are shares in (0, 1]: {self}")


USUAL = ChangeThresholds()
"""What `follow` goes by where it is given no thresholds."""


@dataclass(frozen=True)
class LesionChange:
    """What became of one lesion between consecutive sessions; fields are those of `evolution`."""

    lesion_id: int
    from_session: str
    to_session: str
    change: str | None
    volume_from_mm3: float | None
    volume_to_mm3: float | None
    volume_change_fraction: float | None
    displacement_mm: float | None
    linked_ids: tuple[int, ...]
    registered: bool
    doubt: str | None = None
    surround_ncc: float | None = None


@dataclass(frozen=True)
class LesionLink:
    """One edge of the match graph; fields are those of `links`."""

    from_session: str
    to_session: str
    from_id: int
    to_id: int
    by: str
    shared_mm3: float
    shared_fraction: float
    distance_mm: float
    carried: bool


def links_between(pairing: Pairing) -> list[LesionLink]:
    """Return the edges of the match graph that lead to a session.

    Those from the session before, and those by which an identity was taken back from one further back.
    """
    if pairing.before is None:
        return []
    near = pairing.before.session
    edges = [
        (near, pairing.ids_before[link.before], link, pairing.ids_after[link.after])
        for link in pairing.links
    ]
    edges += [(m.session, m.lesion_id, m.link, m.lesion_id) for m in pairing.memories]
    found = [
        _edge(session, one, pairing.after.session, other, link)
        for session, one, link, other in edges
    ]
    order = {session: n for n, session in enumerate(dict.fromkeys(e.from_session for e in found))}
    return sorted(found, key=lambda e: (order[e.from_session], e.from_id, e.to_id))


def _edge(session: str, one: int, later: str, other: int, link: Link) -> LesionLink:
    by = "overlap" if link.shared_mm3 > 0 else "distance"
    return LesionLink(
        session, later, one, other, by, link.shared_mm3, link.shared_fraction, link.distance_mm,
        carried=one == other,
    )  # fmt: skip


def changes_between(
    pairing: Pairing, thresholds: ChangeThresholds, overlaps: Overlaps
) -> list[LesionChange]:
    """Name what became of every lesion of two consecutive sessions.

    Args:
        pairing: the sessions with identities.
        thresholds: what counts as change.
        overlaps: what pairs of sessions share.

    Returns:
        One row per identity that is there in either session, by identity; none for the first session.
    """
    if pairing.before is None:
        return []
    return _Comparison(pairing, pairing.before, thresholds, overlaps).all_changes()


class _Comparison:
    """Two consecutive sessions with identities, asked lesion by lesion."""

    def __init__(
        self,
        pairing: Pairing,
        before: PlacedLesions,
        thresholds: ChangeThresholds,
        overlaps: Overlaps,
    ) -> None:
        self._before, self._after = before, pairing.after
        self._ids_before, self._ids_after = pairing.ids_before, pairing.ids_after
        self._thresholds = thresholds
        self._position_after = {lesion: b for b, lesion in enumerate(pairing.ids_after)}
        self._earlier = set(pairing.ids_before)
        self._registered = before.registered and pairing.after.registered
        self._volumes = before.volume_mm3, pairing.after.volume_mm3
        self._seen = np.ones(len(before.numbers)), np.ones(len(pairing.after.numbers))
        if self._registered:  # else nothing is said that depends on it
            self._seen = (
                overlaps.share_inside(before, pairing.after),
                overlaps.share_inside(pairing.after, before),
            )
        self._to: dict[int, list[int]] = {}
        self._from: dict[int, list[int]] = {}
        for link in pairing.links:
            self._to.setdefault(link.before, []).append(link.after)
            self._from.setdefault(link.after, []).append(link.before)

    def all_changes(self) -> list[LesionChange]:
        """Describe every lesion of either session once."""
        rows = [self._earlier_lesion(a, lesion) for a, lesion in enumerate(self._ids_before)]
        rows += [
            self._arrival(b, lesion)
            for b, lesion in enumerate(self._ids_after)
            if lesion not in self._earlier
        ]
        return sorted(rows, key=lambda row: row.lesion_id)

    def _earlier_lesion(self, a: int, lesion_id: int) -> LesionChange:
        """Describe a lesion that was there in the earlier session."""
        joined = self._to.get(a, [])
        b = self._position_after.get(lesion_id)
        volume = float(self._volumes[0][a])
        if b is None:
            others = {self._ids_after[k] for k in joined}
            if joined:
                return self._row(lesion_id, "merged", (volume, None), linked=others)
            return self._lonely(lesion_id, "resolved", (volume, None), self._seen[0][a])
        # A linked neighbour that lives on under its own id was neither absorbed nor split off.
        absorbed = {self._ids_before[k] for k in self._from.get(b, [])} - set(self._position_after)
        parted = {self._ids_after[k] for k in joined} - self._earlier
        volumes = (volume, float(self._volumes[1][b]))
        moved = float(np.linalg.norm(self._after.centroid_mm[b] - self._before.centroid_mm[a]))
        if absorbed or parted:
            change = "merged" if absorbed else "split"
            return self._row(lesion_id, change, volumes, moved, absorbed | parted)
        change = _name(*volumes, self._thresholds)
        # What is cut by the edge of a scan changes its volume without changing.
        cut = (volumes[0] * self._seen[0][a], volumes[1] * self._seen[1][b])
        doubt = "not_covered" if change != _name(*cut, self._thresholds) else None
        return self._row(lesion_id, change, volumes, moved, doubt=doubt)

    def _arrival(self, b: int, lesion_id: int) -> LesionChange:
        """Describe a lesion that was not there, as such, in the earlier session."""
        parents = {self._ids_before[k] for k in self._from.get(b, [])}
        volume = float(self._volumes[1][b])
        if parents:
            return self._row(lesion_id, "split", (None, volume), linked=parents)
        return self._lonely(lesion_id, "new", (None, volume), self._seen[1][b])

    def _lonely(
        self, lesion_id: int, change: str, volumes: tuple[float | None, float | None], seen: float
    ) -> LesionChange:
        """Describe a lesion that nothing of the other session is linked to."""
        if not self._registered:
            return self._row(lesion_id, None, volumes)
        doubt = None if seen >= self._thresholds.min_seen else "not_covered"
        return self._row(lesion_id, change, volumes, doubt=doubt)

    def _row(
        self, lesion_id: int, change: str | None, volumes: tuple[float | None, float | None],
        moved_mm: float | None = None, linked: frozenset[int] | set[int] = frozenset(), doubt: str | None = None,
    ) -> LesionChange:  # fmt: skip
        first, last = volumes
        fraction = None if first is None or last is None else (last - first) / first
        if not self._registered:
            moved_mm, doubt = None, "not_registered"
        return LesionChange(
            lesion_id, self._before.session, self._after.session,
            None if doubt else change, first, last, fraction, moved_mm,
            tuple(sorted(linked)), self._registered, doubt,
        )  # fmt: skip


def _name(before_mm3: float, after_mm3: float, thresholds: ChangeThresholds) -> str:
    """Name a change of volume; stable unless it exceeds both the share and the floor.

    Volumes are counts times a product of three spacings: their last digits decide nothing.
    """
    change = after_mm3 - before_mm3
    large = abs(change) > thresholds.change_fraction * before_mm3 * (1.0 + 1e-9)
    if not large or abs(change) < thresholds.change_floor_mm3 * (1.0 - 1e-9):
        return "stable"
    return "enlarging" if change > 0 else "shrinking"
