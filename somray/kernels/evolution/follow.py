"""Lesions through time: one identity per lesion over all sessions, and what became of it.

The rules, in order, for sessions k−1 → k, everything in the common frame:

1. Parts smaller than `min_volume_mm3` are no lesions, the same volume for all sessions, but where a
   lesion of a neighbouring session goes on in nothing else (`lesions_that_count`).
2. Lesions that share at least `min_overlap` of the smaller one are linked; what is left is linked by
   distance, one to one (`links.distance_links`).
3. A link is kept when it is the strongest of at least one of its ends; so touching neighbours are not
   taken for a merge and a split at once.
4. Identities pass along links, strongest first, one to one: in a merge the largest contributor's id
   lives on, in a split the largest part keeps it.
5. A lesion without an identity takes back that of a lesion which was last seen there before session
   k−1 (same links, same thresholds); it is `new` all the same when it was absent in between. Other
   lesions get the next free number.
6. A lesion whose place the other session's scan did not cover is neither new nor resolved: its change
   is None, its doubt `not_covered`. The same where only the edge of a scan makes it grow or shrink.
7. Where a session's registration was refused, the lesions of its pairs are compared where the scanners
   saw them, linked only when they share half of the smaller one. Every row says `registered` False and
   doubt `not_registered`, without a displacement: linked lesions keep their identity and both volumes, but
   no change is named (None).

Every lesion of either session has exactly one row per pair. The links that were kept are the match
graph; those by which an identity was taken back lead over more than one session.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.evolution.changes import (
    USUAL,
    ChangeThresholds,
    LesionChange,
    LesionLink,
    changes_between,
    links_between,
)
from somray.kernels.evolution.common_frame import PlacedLesions, SessionLesions, place_lesions
from somray.kernels.evolution.identities import Follower
from somray.kernels.evolution.overlaps import Overlaps
from somray.kernels.evolution.smallest import lesions_that_count

__all__ = [
    "ChangeThresholds",
    "Evolution",
    "LesionChange",
    "LesionLink",
    "SessionLesions",
    "follow",
]


@dataclass(frozen=True)
class Evolution:
    """Lesions of one subject through time.

    Args:
        identities: per session, instance number to lesion_id (from 1, over the whole study); what is
            too small to count has none.
        changes: by pair of sessions in time, then by lesion_id.
        links: the match graph, by later session, then earlier session, then lesion_ids.
        placed: per session, the lesions that count, in the common frame.
    """

    identities: tuple[dict[int, int], ...]
    changes: tuple[LesionChange, ...]
    links: tuple[LesionLink, ...]
    placed: tuple[PlacedLesions, ...]

    def ids_of(self, session: int) -> list[int]:
        """Return the lesion_id of each lesion of a session, in the order of `placed`."""
        return [self.identities[session][n] for n in self.placed[session].numbers.tolist()]


def follow(
    sessions: Sequence[SessionLesions],
    transforms: Sequence[NDArray[np.float64] | None],
    thresholds: ChangeThresholds = USUAL,
) -> Evolution:
    """Give every lesion one identity over all sessions and name each change.

    Args:
        sessions: lesion instances of each session, in time order.
        transforms: per session (4, 4) LPS mm that takes it to the common frame (usually the first
            session's, whose own is the identity); None where its registration was refused.
        thresholds: what counts as the same lesion and as change.

    Returns:
        Identities, changes per pair of consecutive sessions, and the match graph. Each session's
        unmatched lesions are numbered in the order of their instance numbers.

    Raises:
        ShapeError: if sessions and transforms differ in number, or a transform is not usable.

    Cost: one look at the voxels of lesions per pair of sessions and direction, piece by piece; memory follows
    the lesions. Images are not needed.
    """
    if len(sessions) != len(transforms):
        raise ShapeError(f"{len(sessions)} sessions but {len(transforms)} transforms")
    names = [s.session for s in sessions]
    if len(set(names)) != len(names):
        raise ShapeError(f"sessions must differ, got {names}")
    every = [
        place_lesions(found, matrix) for found, matrix in zip(sessions, transforms, strict=True)
    ]
    overlaps = Overlaps()
    kept = lesions_that_count(every, thresholds.min_volume_mm3, thresholds.min_overlap, overlaps)
    placed = tuple(one.only(mask) for one, mask in zip(every, kept, strict=True))
    follower = Follower(thresholds.min_overlap, thresholds.reach_mm, overlaps)
    identities: list[dict[int, int]] = []
    changes: list[LesionChange] = []
    links: list[LesionLink] = []
    for found in placed:
        pairing = follower.add(found)
        identities.append(dict(zip(found.numbers.tolist(), pairing.ids_after, strict=True)))
        changes += changes_between(pairing, thresholds, overlaps)
        links += links_between(pairing)
    return Evolution(tuple(identities), tuple(changes), tuple(links), placed)
