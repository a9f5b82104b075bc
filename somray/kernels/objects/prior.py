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

__all__ = ["LEAST_SUBJECTS", "Landmark", "Occurrence", "occurrence"]

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


def _nearest(wanted: NDArray[np.float64], hot: Sequence[Landmark]) -> float:
    """Return the degree to which the most alike of some objects is the same thing."""
    if not hot:
        return 0.0
    apart = np.array([landmark.scaled() for landmark in hot]) - wanted
    return float(np.exp(-0.5 * (apart**2).sum(axis=1).min()))
