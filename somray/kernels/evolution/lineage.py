"""Which lesions of a session go back to the first one, which are new, and of which nothing is known."""

from collections.abc import Iterable

from somray.kernels.evolution.changes import LesionChange

__all__ = ["Lineage"]


class Lineage:
    """Follows lesions from the first session on, pair of sessions by pair of sessions.

    What a lesion splits into goes back to where it came from, and what absorbs a target is one: its
    diameter is the target's now (RECIST 1.1 adds fragments up and measures what has coalesced as one).

    Args:
        first: lesion_ids of the first session.
        targets: those of them that are measured.
    """

    def __init__(self, first: Iterable[int], targets: Iterable[int]) -> None:
        self._old = set(first)
        self._targets = set(targets)
        self._new: set[int] = set()
        self._doubts: dict[int, str] = {}

    @property
    def targets(self) -> list[int]:
        """Their lesion_ids, ascending; those that are gone too."""
        return sorted(self._targets)

    def advance(self, changes: Iterable[LesionChange]) -> None:
        """Take the changes between the session before and the next one."""
        for row in changes:
            if row.linked_ids and row.volume_from_mm3 is None:  # a part, named split or in doubt
                self._inherit(row.lesion_id, row.linked_ids)
            elif row.linked_ids and row.volume_to_mm3 is None:  # absorbed
                self._absorbed(row.lesion_id, row.linked_ids)
            elif row.change == "new" and row.lesion_id not in self._old:
                self._new.add(row.lesion_id)
            self._doubt(row)

    def new(self, present: Iterable[int]) -> list[int]:
        """Return which of the lesions that are there are known to be new since the first session."""
        return sorted(self._new & set(present))

    def doubts(self, present: Iterable[int]) -> set[str]:
        """Return the doubts about lesions that are there, or were at the first session."""
        matter = self._old | set(present)
        return {doubt for lesion, doubt in self._doubts.items() if lesion in matter}

    def _inherit(self, lesion: int, parents: Iterable[int]) -> None:
        if self._targets & set(parents):
            self._targets.add(lesion)
        if self._old & set(parents):
            self._old.add(lesion)
        elif self._new & set(parents):
            self._new.add(lesion)

    def _absorbed(self, lesion: int, survivors: Iterable[int]) -> None:
        if lesion in self._targets:
            self._targets |= set(survivors)

    def _doubt(self, row: LesionChange) -> None:
        """Note or forget a doubt; one about where a lesion came from stays while it is there."""
        known = row.lesion_id in self._old | self._new
        if row.doubt is not None:
            self._doubts[row.lesion_id] = row.doubt
        elif known or row.volume_to_mm3 is None:
            self._doubts.pop(row.lesion_id, None)
