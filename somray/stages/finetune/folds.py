"""Which subjects are held out together, what is trained on, and what the difference between two arms can say.

A subject's sessions are never parted: what was learned from one would be found again in the other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["FEWEST", "PairedDifference", "paired", "split_subjects", "training_scans"]

FEWEST = 6
"""Subjects from which a sign test can reach 5 % at all: 2 · (1/2)^5 = 6 %, 2 · (1/2)^6 = 3 %."""
DRAWS = 4000  # of the bootstrap
LEVEL = 95.0  # per cent, of the interval


def split_subjects(subjects: Sequence[str], folds: int, seed: int) -> list[tuple[str, ...]]:
    """Part subjects into folds that differ by one at most; no fold for fewer than two subjects.

    Args:
        subjects: each once or more often.
        folds: how many; as many as subjects at most.
        seed: of who is held out with whom.
    """
    names = sorted(set(subjects))
    if len(names) < 2:
        return []
    order = np.random.default_rng(seed).permutation(len(names))
    parts = np.array_split(order, min(max(2, folds), len(names)))
    return [tuple(sorted(names[n] for n in part)) for part in parts]


def training_scans(
    scans: Sequence[tuple[str, str]],
    held_out: Sequence[str],
    most: int | None,
    seed: tuple[int, ...],
) -> list[int]:
    """Choose the scans (subject, session) that are trained on: none of who is held out.

    Args:
        scans: all that have a truth.
        held_out: subjects.
        most: how many; all where None. Of every subject one before a second of any.
        seed: of the choice.

    Returns:
        Their numbers, in order.
    """
    free = [n for n, (subject, _) in enumerate(scans) if subject not in set(held_out)]
    if most is None or most >= len(free):
        return free
    order = [free[n] for n in np.random.default_rng(seed).permutation(len(free))]
    turns: dict[str, int] = {}
    ranked = []
    for place, n in enumerate(order):
        subject = scans[n][0]
        turns[subject] = turns.get(subject, 0) + 1
        ranked.append((turns[subject], place, n))
    return sorted(n for _, _, n in sorted(ranked)[:most])


@dataclass(frozen=True)
class PairedDifference:
    """How much better one arm is than another, subject by subject.

    Args:
        mean: of the subjects' differences.
        low: lower end of the 95 % bootstrap interval of that mean.
        high: its upper end.
        subjects: how many have both.
        better: of them, in how many the first arm is better.
    """

    mean: float
    low: float
    high: float
    subjects: int
    better: int

    @property
    def is_told_apart(self) -> bool:
        """Whether there are enough subjects and the interval leaves zero out."""
        return self.subjects >= FEWEST and (self.low > 0 or self.high < 0)


def paired(
    one: Mapping[tuple[str, str], float | None],
    other: Mapping[tuple[str, str], float | None],
    seed: int = 0,
) -> PairedDifference | None:
    """Compare two arms by what they reach on the same scans; None without any.

    Args:
        one: (subject, session) to a figure, None where it does not exist.
        other: the same of the other arm.
        seed: of the bootstrap, over subjects.
    """
    by_subject: dict[str, list[float]] = {}
    for (subject, session), value in sorted(one.items()):
        against = other.get((subject, session))
        if value is not None and against is not None:
            by_subject.setdefault(subject, []).append(value - against)
    if not by_subject:
        return None
    means = np.array([math.fsum(found) / len(found) for found in by_subject.values()])
    draws = np.random.default_rng(seed).integers(0, len(means), (DRAWS, len(means)))
    tails = (100 - LEVEL) / 2
    low, high = np.percentile(means[draws].mean(axis=1), (tails, 100 - tails))
    better = int((means > 0).sum())
    return PairedDifference(float(means.mean()), float(low), float(high), len(means), better)
