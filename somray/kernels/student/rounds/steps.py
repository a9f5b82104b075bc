"""How many optimizer steps the rounds of a student take; known without torch, for plans."""

from collections.abc import Mapping

__all__ = ["STEPS", "all_steps"]

STEPS: Mapping[int, tuple[int, int, int]] = {2: (500, 150, 400), 3: (60, 20, 380)}
"""By dimension: steps of the first round, of each later one, and of the cohort's (benchmarks/LOG.md)."""


def all_steps(dimensions: int, rounds: int, steps: int | None, *, cohort: bool) -> int:
    """Return the steps of all rounds, controls included.

    Args:
        dimensions: 2 for slices, 3 for volumes.
        rounds: of slices.
        steps: of every round; None for `STEPS`.
        cohort: whether the cohort's round is among them.
    """
    first, later, last = (steps, steps, steps) if steps is not None else STEPS[dimensions]
    return first + 2 * later * (rounds - 1) + (last if cohort else 0)
