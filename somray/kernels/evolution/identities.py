"""Identities carried from session to session along the links between lesions.

`Follower` takes sessions in time order and remembers where every lesion was last seen, so that one which
vanishes and comes back at its old place keeps its number. The rules stand in `follow`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from somray.kernels.evolution.common_frame import PlacedLesions
from somray.kernels.evolution.links import Link, distance_links, nine_digits, same_place_links
from somray.kernels.evolution.overlaps import Overlaps

__all__ = ["Follower", "Memory", "Pairing", "carry", "strongest_links"]


@dataclass(frozen=True)
class Memory:
    """A lesion that took back the identity of one last seen before the session before."""

    session: str
    lesion_id: int
    link: Link


@dataclass(frozen=True, eq=False)
class Pairing:
    """Two consecutive sessions with identities; `before` is None for the first session.

    Args:
        before: earlier session.
        after: later session.
        ids_before: identity of each lesion of the earlier session, by position.
        ids_after: the same of the later one.
        links: between the two, by position.
        memories: identities taken back from sessions further back.
    """

    before: PlacedLesions | None
    after: PlacedLesions
    ids_before: tuple[int, ...]
    ids_after: tuple[int, ...]
    links: tuple[Link, ...]
    memories: tuple[Memory, ...] = ()


class Follower:
    """Gives lesions their identities, one session after the other."""

    def __init__(self, min_overlap: float, reach_mm: float, overlaps: Overlaps) -> None:
        self._overlaps = overlaps
        self._min_overlap = min_overlap
        self._reach_mm = reach_mm
        self._sessions: list[PlacedLesions] = []
        self._ids: list[tuple[int, ...]] = []
        self._last_seen: dict[int, tuple[int, int]] = {}  # lesion_id: session number, position

    def add(self, found: PlacedLesions) -> Pairing:
        """Take the next session and name its lesions."""
        before = self._sessions[-1] if self._sessions else None
        ids_before = self._ids[-1] if self._ids else ()
        links: tuple[Link, ...] = ()
        named: dict[int, int] = {}
        memories: list[Memory] = []
        if before is not None:
            links = strongest_links(self._link(before, found))
            carried = carry(links, before, found)
            named = {b: ids_before[a] for a, b in carried.items()}
            memories = self._take_back(found, named)
        fresh = 1 + max(self._last_seen, default=0)
        for b in range(len(found.numbers)):
            if b not in named:
                named[b] = fresh
                fresh += 1
        ids = tuple(named[b] for b in range(len(found.numbers)))
        number = len(self._sessions)
        self._last_seen |= {lesion: (number, b) for b, lesion in enumerate(ids)}
        self._sessions.append(found)
        self._ids.append(ids)
        return Pairing(before, found, ids_before, ids, links, tuple(memories))

    def _link(self, before: PlacedLesions, after: PlacedLesions) -> list[Link]:
        links = same_place_links(before, after, self._min_overlap, self._overlaps)
        if not (before.registered and after.registered):
            return links
        joined = ({link.before for link in links}, {link.after for link in links})
        free = (
            [a for a in range(len(before.numbers)) if a not in joined[0]],
            [b for b in range(len(after.numbers)) if b not in joined[1]],
        )
        return links + distance_links(before, after, free, self._reach_mm)

    def _take_back(self, found: PlacedLesions, named: dict[int, int]) -> list[Memory]:
        """Return old identities to lesions that lie where a vanished one was last seen."""
        memories: list[Memory] = []
        current = len(self._sessions) - 1
        for number in range(current - 1, -1, -1):  # the latest memory first
            awake = set(named.values())
            asleep = {
                position: lesion
                for lesion, (seen, position) in self._last_seen.items()
                if seen == number and lesion not in awake
            }
            if not asleep or len(named) == len(found.numbers):
                continue
            old = self._sessions[number]
            links = [
                link
                for link in strongest_links(self._link(old, found))
                if link.before in asleep and link.after not in named
            ]
            along = {(link.before, link.after): link for link in links}
            for a, b in carry(links, old, found).items():
                named[b] = asleep[a]
                memories.append(Memory(old.session, asleep[a], along[a, b]))
        return memories


def strongest_links(links: Sequence[Link]) -> tuple[Link, ...]:
    """Keep the links that are the strongest of at least one of their two lesions."""
    ranked = sorted(links, key=lambda link: link.rank)
    of_before: dict[int, Link] = {}
    of_after: dict[int, Link] = {}
    for link in ranked:
        of_before.setdefault(link.before, link)
        of_after.setdefault(link.after, link)
    return tuple(
        link for link in links if link is of_before[link.before] or link is of_after[link.after]
    )


def carry(links: Sequence[Link], before: PlacedLesions, after: PlacedLesions) -> dict[int, int]:
    """Choose along which links identities pass, one to one.

    The link between the largest bodies goes first: in a merge that is the largest contributor, in a
    split the largest part; equal sizes are settled by shared volume, then distance, then number.

    Returns:
        Position before to position after.
    """
    volumes = before.volume_mm3, after.volume_mm3

    def rank(link: Link) -> tuple[float, tuple[float, float, int, int]]:
        smaller = min(volumes[0][link.before], volumes[1][link.after])
        return -nine_digits(float(smaller)), link.rank

    passed: dict[int, int] = {}
    reached: set[int] = set()
    for link in sorted(links, key=rank):
        if link.before not in passed and link.after not in reached:
            passed[link.before] = link.after
            reached.add(link.after)
    return passed
