"""The last word on an object: a person's, an organ mask's, the cohort's, else the rule's.

Each speaks only where it has something to say, and says so in the reason; none deletes an object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from somray.errors import ShapeError
from somray.kernels.objects.found import CALLS, DOUBT, LESION, PHYSIOLOGICAL, FoundObject
from somray.kernels.objects.prior import LEAST_SUBJECTS, Landmark, Occurrence
from somray.kernels.objects.uptake.find import stands_out

__all__ = ["ObjectEvidence", "Word", "call_objects"]

COMMON_FROM = 0.42
"""Occurrence in the cohort from which a place counts as physiology (bench_bodies)."""

CLEAR_FROM = 4.5
"""How much a lesion stands out from which a like thing in some others is no explanation …"""

CLEARLY_COMMON_FROM = 0.65
"""… but one in nearly all others is. On drawn bodies (seeds 1 to 5) four of five lesions that had homologues are spared
so (occurrence .42 to .58), and one organ of thirty."""

REACH_MM = 10.0  # a person's point belongs to the object whose centre lies nearest, within this or its radius


@dataclass(frozen=True)
class Word:
    """A person's word on one object.

    Args:
        at_mm: a point in it, LPS x, y, z, as the table `objects` tells centroids.
        call: one of `CALLS`.
    """

    at_mm: tuple[float, float, float]
    call: str

    def __post_init__(self) -> None:
        """Refuse a call that is none."""
        if self.call not in CALLS:
            raise ShapeError(f"call must be one of {', '.join(CALLS)}, got {self.call!r}")


@dataclass(frozen=True)
class ObjectEvidence:
    """What is known of one object beside the rule.

    Args:
        centroid_mm: LPS x, y, z.
        occurrence: in the cohort; None where it was not asked.
        organ: of the organ mask that holds most of it; None without a mask.
        organ_reason: why the mask calls it physiological; empty where it does not.
    """

    centroid_mm: tuple[float, float, float]
    occurrence: Occurrence | None = None
    organ: str | None = None
    organ_reason: str = ""


def call_objects(
    objects: Sequence[FoundObject], evidence: Sequence[ObjectEvidence], words: Sequence[Word] = ()
) -> list[FoundObject]:
    """Call every object.

    Args:
        objects: as the rule called them.
        evidence: of each.
        words: a person's; each belongs to one object at most.

    Returns:
        The objects in the same order, with who decided and why.
    """
    meant = {_meant(word, objects, evidence): word for word in words}
    called = []
    for n, (found, known) in enumerate(zip(objects, evidence, strict=True)):
        if n in meant:
            reason = f"named by the configuration (the rule says {found.called}: {found.reason})"
            called.append(replace(found, called=meant[n].call, by="configuration", reason=reason))
        elif known.organ_reason:
            why = known.organ_reason
            called.append(
                replace(found, called=PHYSIOLOGICAL, by="anatomy", name=known.organ, reason=why)
            )
        else:
            called.append(_by_cohort(found, known.occurrence))
    return called


def _by_cohort(found: FoundObject, occurrence: Occurrence | None) -> FoundObject:
    """Hear the cohort where enough subjects show the place."""
    if occurrence is None or occurrence.subjects < LEAST_SUBJECTS:
        return found
    share, count = occurrence.fraction, occurrence.subjects
    least = CLEARLY_COMMON_FROM if _is_clear(found) else COMMON_FROM
    if share < least or found.called not in (LESION, DOUBT):
        return found
    reason = f"the same place is as hot and as large in {share:.0%} of {count} other subjects; {found.reason}"
    return replace(
        found, called=PHYSIOLOGICAL, by="cohort", name=found.name or "common", reason=reason
    )


def _is_clear(found: FoundObject) -> bool:
    """Return whether a lesion stands out so much that a like thing in some others is no explanation."""
    if found.called != LESION or found.landmark is None:
        return False
    figures = Landmark(*found.landmark).ratio, found.salience, found.sphericity
    score = stands_out(*(np.array([figure]) for figure in figures))
    return bool(score[0] >= CLEAR_FROM)


def _meant(word: Word, objects: Sequence[FoundObject], evidence: Sequence[ObjectEvidence]) -> int:
    """Return the place of the object that a point means, -1 for none."""
    if not objects:
        return -1
    centres = np.array([known.centroid_mm for known in evidence], dtype=np.float64)
    apart = np.linalg.norm(centres - np.array(word.at_mm), axis=1)
    nearest = int(np.argmin(apart))
    radius = (3.0 * objects[nearest].volume_mm3 / (4.0 * np.pi)) ** (1 / 3)
    return nearest if apart[nearest] <= max(REACH_MM, radius) else -1
