"""Lesions through time: one identity per lesion over all sessions, and what became of it.

The rules, in order, for sessions k−1 → k, everything in the common frame:

1. Lesions that share at least `min_overlap` of the smaller one are linked; what is left is linked by
   distance, one to one (`overlap.distance_links`).
2. A link is kept when it is the strongest of at least one of its ends; so touching neighbours are not
   taken for a merge and a split at once.
3. Identities pass along links, strongest first, one to one: in a merge the largest contributor's id
   lives on, in a split the largest part keeps it.
4. A lesion without an identity takes back that of a lesion which was last seen there before session
   k−1 (same links, same thresholds); it is `new` all the same when it was absent in between. Other
   lesions get the next free number.
5. A lesion whose place the other session's scan did not cover gets no row for that pair, neither new
   nor resolved: nothing is known. It is listed in `Evolution.unseen`.
6. Where a session's registration was refused its lesions are compared in scanner coordinates, and
   every row of its pairs says `registered` False, without a displacement.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.identities import Follower, Pairing
from somray.kernels.overlap import PlacedLesions, SessionLesions, place

__all__ = ["ChangeThresholds", "Evolution", "LesionChange", "SessionLesions", "Unseen", "follow"]


@dataclass(frozen=True)
class ChangeThresholds:
    """What counts as the same lesion and as change.

    Args:
        change_fraction: a volume changed by more than this share …
        change_floor_mm3: … and by at least this much is enlarging or shrinking, else stable.
        min_overlap: share of the smaller lesion that links two lesions.
        reach_mm: distance of centroids that links lesions which do not overlap.
        min_seen: share of a lesion's voxels that the other session must cover to speak of new or
            resolved.

    Raises:
        ShapeError: if a value is out of its range.
    """

    change_fraction: float = 0.3
    change_floor_mm3: float = 30.0
    min_overlap: float = 0.1
    reach_mm: float = 5.0
    min_seen: float = 0.5

    def __post_init__(self) -> None:
        """Refuse thresholds that decide nothing."""
        if not self.change_fraction > 0 or self.change_floor_mm3 < 0 or self.reach_mm < 0:
            raise ShapeError(f"thresholds must not be negative, change_fraction not 0: {self}")
        if not 0 < self.min_overlap <= 1 or not 0 < self.min_seen <= 1:
            raise ShapeError(f"min_overlap and min_seen are shares in (0, 1]: {self}")


@dataclass(frozen=True)
class LesionChange:
    """What became of one lesion between consecutive sessions; fields are those of `evolution`."""

    lesion_id: int
    from_session: str
    to_session: str
    change: str
    volume_from_mm3: float | None
    volume_to_mm3: float | None
    volume_change_fraction: float | None
    displacement_mm: float | None
    linked_ids: tuple[int, ...]
    registered: bool
    doubt: str | None = None
    surround_ncc: float | None = None


@dataclass(frozen=True)
class Unseen:
    """A lesion of one session whose place the other session's scan does not cover."""

    lesion_id: int
    seen_in: str
    not_covered_by: str


@dataclass(frozen=True)
class Evolution:
    """Lesions of one subject through time.

    Args:
        identities: per session, instance number to lesion_id (from 1, over the whole study).
        changes: by pair of sessions in time, then by lesion_id.
        unseen: lesions that a neighbouring session could not show.
    """

    identities: tuple[dict[int, int], ...]
    changes: tuple[LesionChange, ...]
    unseen: tuple[Unseen, ...]


def follow(
    sessions: Sequence[SessionLesions],
    transforms: Sequence[NDArray[np.float64] | None],
    thresholds: ChangeThresholds = ChangeThresholds(),
) -> Evolution:
    """Give every lesion one identity over all sessions and name each change.

    Args:
        sessions: lesion instances of each session, in time order.
        transforms: per session (4, 4) LPS mm that takes it to the common frame (usually the first
            session's, whose own is the identity); None where its registration was refused.
        thresholds: what counts as the same lesion and as change.

    Returns:
        Identities, changes per pair of consecutive sessions, and what could not be seen. Each session's
        unmatched lesions are numbered in the order of their instance numbers.

    Raises:
        ShapeError: if sessions and transforms differ in number, or a transform is not usable.

    Cost: O(voxels of lesions · log) per pair; images are not needed.
    """
    if len(sessions) != len(transforms):
        raise ShapeError(f"{len(sessions)} sessions but {len(transforms)} transforms")
    names = [s.session for s in sessions]
    if len(set(names)) != len(names):
        raise ShapeError(f"sessions must differ, got {names}")
    follower = Follower(thresholds.min_overlap, thresholds.reach_mm)
    identities: list[dict[int, int]] = []
    changes: list[LesionChange] = []
    unseen: list[Unseen] = []
    for found, transform in zip(sessions, transforms, strict=True):
        pairing = follower.add(place(found, transform))
        ids = pairing.ids_after
        identities.append(dict(zip(pairing.after.numbers.tolist(), ids, strict=True)))
        if pairing.before is not None:
            rows, missed = _Comparison(pairing, pairing.before, thresholds).all_changes()
            changes.extend(rows)
            unseen.extend(missed)
    return Evolution(tuple(identities), tuple(changes), tuple(unseen))


class _Comparison:
    """Two consecutive sessions with identities, asked lesion by lesion."""

    def __init__(
        self, pairing: Pairing, before: PlacedLesions, thresholds: ChangeThresholds
    ) -> None:
        self._before, self._after = before, pairing.after
        self._ids_before, self._ids_after = pairing.ids_before, pairing.ids_after
        self._thresholds = thresholds
        self._position_after = {lesion: b for b, lesion in enumerate(pairing.ids_after)}
        self._earlier = set(pairing.ids_before)
        self._registered = before.registered and pairing.after.registered
        self._to: dict[int, list[int]] = {}
        self._from: dict[int, list[int]] = {}
        for link in pairing.links:
            self._to.setdefault(link.before, []).append(link.after)
            self._from.setdefault(link.after, []).append(link.before)

    def all_changes(self) -> tuple[list[LesionChange], list[Unseen]]:
        """Name the change of every lesion; what a scan does not cover is listed apart."""
        rows: list[LesionChange] = []
        unseen: list[Unseen] = []
        before, after, least = self._before, self._after, self._thresholds.min_seen
        seen = before.share_inside(after) >= least
        for a, lesion_id in enumerate(self._ids_before):
            if a in self._to or lesion_id in self._position_after or seen[a]:
                rows.append(self._earlier_lesion(a, lesion_id))
            else:
                unseen.append(Unseen(lesion_id, before.session, after.session))
        seen = after.share_inside(before) >= least
        for b, lesion_id in enumerate(self._ids_after):
            if lesion_id in self._earlier:
                continue
            if b in self._from or seen[b]:
                rows.append(self._arrival(b, lesion_id))
            else:
                unseen.append(Unseen(lesion_id, after.session, before.session))
        return sorted(rows, key=lambda row: row.lesion_id), unseen

    def _row(
        self, lesion_id: int, change: str, volumes: tuple[float | None, float | None],
        moved_mm: float | None, linked: set[int],
    ) -> LesionChange:  # fmt: skip
        first, last = volumes
        fraction = None if first is None or last is None else (last - first) / first
        return LesionChange(
            lesion_id, self._before.session, self._after.session, change, first, last, fraction,
            moved_mm if self._registered else None, tuple(sorted(linked)), self._registered,
        )  # fmt: skip

    def _earlier_lesion(self, a: int, lesion_id: int) -> LesionChange:
        """Describe a lesion that was there in the earlier session."""
        volume = float(self._before.volume_mm3[a])
        joined = self._to.get(a, [])
        b = self._position_after.get(lesion_id)
        if b is None:
            others = {self._ids_after[k] for k in joined}
            return self._row(
                lesion_id, "merged" if joined else "resolved", (volume, None), None, others
            )
        # A linked neighbour that lives on under its own id was neither absorbed nor split off.
        absorbed = {self._ids_before[k] for k in self._from.get(b, [])} - set(self._position_after)
        parted = {self._ids_after[k] for k in joined} - self._earlier
        volume_to = float(self._after.volume_mm3[b])
        moved = float(np.linalg.norm(self._after.centroid_mm[b] - self._before.centroid_mm[a]))
        change = _name(volume, volume_to, self._thresholds)
        if absorbed or parted:
            change = "merged" if absorbed else "split"
        return self._row(lesion_id, change, (volume, volume_to), moved, absorbed | parted)

    def _arrival(self, b: int, lesion_id: int) -> LesionChange:
        """Describe a lesion that was not there, as such, in the earlier session."""
        parents = {self._ids_before[k] for k in self._from.get(b, [])}
        volume = float(self._after.volume_mm3[b])
        return self._row(lesion_id, "split" if parents else "new", (None, volume), None, parents)


def _name(before_mm3: float, after_mm3: float, thresholds: ChangeThresholds) -> str:
    """Name a change of volume; stable unless it exceeds both the share and the floor."""
    change = after_mm3 - before_mm3
    large = abs(change) > thresholds.change_fraction * before_mm3
    if not large or abs(change) < thresholds.change_floor_mm3:
        return "stable"
    return "enlarging" if change > 0 else "shrinking"
