"""The cohort's own prior: what is hot in the same place in most subjects of a protocol is physiology.

Every hot object of every subject is brought to the body's frame (`frame`), an affine one: height between shoulders
and legs, millimetres from the midline, depth. An object has a *homologue* in another subject to the degree that
some object there lies in the same place, is as large and as hot. Its occurrence is the mean of that over all
other subjects whose scans show the place: the subject itself never votes (leave one subject out), and sessions
of one subject are one voice. A lesion next to an organ has no homologue in others, however often the organ
itself has one, since size and strength count beside place.

A scan gives a few numbers per object, so that the whole cohort is a fold over small lists, in the order of
subjects and objects: the same bits on any number of workers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_SUBJECTS", "Landmark", "Occurrence", "mirrored", "occurrence"]

LEAST_SUBJECTS = 4
"""Other subjects that must show a place before their voice is heard."""

HEIGHT_SPREAD, LEFT_SPREAD_MM, DEPTH_SPREAD = 0.05, 22.0, 0.14
"""How far the same organ lies apart in two bodies of one frame, one standard deviation."""

VOLUME_SPREAD, RATIO_SPREAD = 1.6, 1.4
"""The same for size and strength, in octaves."""


@dataclass(frozen=True)
class Landmark:
    """A hot object as other subjects are asked for it.

    Args:
        height: in the body's frame.
        left_mm: in the body's frame.
        depth: in the body's frame.
        volume_ml: of the object.
        ratio: peak over background.
    """

    height: float
    left_mm: float
    depth: float
    volume_ml: float
    ratio: float

    def scaled(self) -> tuple[float, float, float, float, float]:
        """Return the figures in units of their spread between subjects."""
        return (
            self.height / HEIGHT_SPREAD,
            self.left_mm / LEFT_SPREAD_MM,
            self.depth / DEPTH_SPREAD,
            float(np.log2(max(self.volume_ml, 1e-3))) / VOLUME_SPREAD,
            float(np.log2(max(self.ratio, 1e-3))) / RATIO_SPREAD,
        )


TWIN_SPREADS = (0.02, 12.0, 0.07, 1.2, 0.5)
"""The same, in the same order, between the two sides of one body; paired organs differ less."""

LEAST_OFF_MM = 8.0  # from the midline, that a twin is looked for from


@dataclass(frozen=True)
class Occurrence:
    """How often other subjects have the same thing.

    Args:
        fraction: mean degree of homology, 0 to 1.
        subjects: other subjects whose scans show the place.
    """

    fraction: float
    subjects: int


def occurrence(
    own: Landmark,
    subject: str,
    cohort: Mapping[str, Sequence[tuple[tuple[float, float], Sequence[Landmark]]]],
) -> Occurrence:
    """Ask all other subjects for an object.

    Args:
        own: the object.
        subject: whose it is; that subject is not asked.
        cohort: subject to its scans, each the heights that it shows (from, to) and its hot objects.
    """
    voices = []
    wanted = np.array(own.scaled())
    for name in sorted(cohort):
        if name == subject:
            continue
        shown = [hot for (low, high), hot in cohort[name] if low <= own.height <= high]
        if not shown:
            continue
        found = [float(_nearest(wanted, hot)) for hot in shown]
        voices.append(sum(found) / len(found))
    fraction = sum(voices) / len(voices) if voices else 0.0
    return Occurrence(fraction, len(voices))


def mirrored(own: Landmark, others: Sequence[Landmark]) -> float:
    """Return the degree to which some object is an object's mirror image, across the body's midline.

    Args:
        own: the object, one of `others`.
        others: all objects of the same scan.
    """
    if abs(own.left_mm) < LEAST_OFF_MM:
        return 0.0
    wanted = np.array((own.height, -own.left_mm, own.depth, *np.log2((own.volume_ml, own.ratio))))
    best = 0.0
    for other in others:
        if other.left_mm * own.left_mm >= 0:
            continue
        found = (other.height, other.left_mm, other.depth, *np.log2((other.volume_ml, other.ratio)))
        apart = (np.array(found) - wanted) / TWIN_SPREADS
        best = max(best, float(np.exp(-0.5 * (apart**2).sum())))
    return best


def _nearest(wanted: NDArray[np.float64], hot: Sequence[Landmark]) -> float:
    """Return the degree to which the most alike of some objects is the same thing."""
    if not hot:
        return 0.0
    apart = np.array([landmark.scaled() for landmark in hot]) - wanted
    return float(np.exp(-0.5 * (apart**2).sum(axis=1).min()))
