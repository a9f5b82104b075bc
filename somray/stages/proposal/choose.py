"""A choice among candidates by several figures that have no unit in common: ranks, their mean, and some distance kept.

Ranks, since no weight of a millilitre of doubt against a standard deviation of drift could be defended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RARE", "LabelCandidate", "pick", "rank_shares", "rare_shares", "scores"]

RARE = 0.05
"""Share of a cohort's pixels that its rare nodes hold together, at most."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelCandidate:
    """What may be chosen.

    Args:
        subject: whose it is.
        session: which of the subject's scans.
        place_mm: where along the scan it lies; None where it is a whole scan.
    """

    subject: str
    session: str
    place_mm: float | None = None


def rank_shares(values: Sequence[float | None]) -> Floats:
    """Return each value's rank from 0 (lowest) to 1; equal ones share their mean rank.

    NaN where a value is missing, and everywhere where they do not differ: such a figure says nothing of whom to choose.
    """
    given = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    ranks = np.full(len(given), np.nan)
    known = np.flatnonzero(np.isfinite(given))
    found, inverse, counts = np.unique(given[known], return_inverse=True, return_counts=True)
    if len(found) > 1:
        last = np.cumsum(counts)
        mean = last - (counts + 1) / 2  # of the places 0 … n - 1 that equal values take
        ranks[known] = mean[inverse] / (len(known) - 1)
    return ranks


def scores(parts: Mapping[str, Sequence[float | None]]) -> Floats:
    """Return each candidate's mean rank over the figures that are known of it; 0.5 where none says anything."""
    table = np.stack([rank_shares(values) for values in parts.values()])
    known = np.isfinite(table)
    count = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), 0.5)


def rare_shares(hits: NDArray[np.int64], norm: NDArray[np.int64] | None = None) -> Floats:
    """Return the share of each candidate's pixels that lie in nodes which are rare in the cohort.

    Args:
        hits: (n, k) pixels of each node, of each candidate.
        norm: (m, k) the same of what counts as the cohort, each row alike whatever its size; `hits` where left out.

    Returns:
        (n,) share; NaN without a pixel. Rare are the least frequent nodes, as many as together hold at most `RARE`.
    """
    cohort = hits if norm is None else norm
    rows = cohort[cohort.sum(axis=1) > 0]
    if not len(rows):
        return np.full(len(hits), np.nan)
    usual = (rows / rows.sum(axis=1, keepdims=True)).mean(axis=0)
    order = np.argsort(usual, kind="stable")
    rare = order[np.cumsum(usual[order]) <= RARE]
    total = hits.sum(axis=1)
    return np.where(total > 0, hits[:, rare].sum(axis=1) / np.maximum(total, 1), np.nan)


def pick(
    candidates: Sequence[LabelCandidate],
    score: Floats,
    count: int,
    gap_mm: float = 0.0,
    had: Mapping[str, int] | None = None,
) -> list[int]:
    """Choose greedily by score, no subject again before every other one had its turn.

    Args:
        candidates: among which.
        score: of each; of equal ones the earlier is taken.
        count: how many.
        gap_mm: slices of one scan are chosen no nearer than this, while others are left.
        had: subject to the turns it had before, such as scans that are labelled already.

    Returns:
        Their numbers, the first choice first; fewer where there are fewer.
    """
    chosen: list[int] = []
    order = [int(n) for n in np.argsort(-score, kind="stable")]
    while order and len(chosen) < count:
        turns = {c.subject: (had or {}).get(c.subject, 0) for c in candidates}
        for n in chosen:
            turns[candidates[n].subject] += 1

        def waits(n: int, turns: Mapping[str, int] = turns) -> tuple[bool, int]:
            return _is_near(candidates, n, chosen, gap_mm), turns[candidates[n].subject]

        best = min(order, key=waits)  # the first in order of score among those that wait least
        chosen.append(best)
        order.remove(best)
    return chosen


def _is_near(
    candidates: Sequence[LabelCandidate], number: int, chosen: Sequence[int], gap_mm: float
) -> bool:
    own = candidates[number]
    if own.place_mm is None:
        return False
    return any(
        (other.subject, other.session) == (own.subject, own.session)
        and other.place_mm is not None
        and abs(other.place_mm - own.place_mm) < gap_mm
        for other in (candidates[n] for n in chosen)
    )
