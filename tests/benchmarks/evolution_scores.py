"""What an evolution found of a synthetic subject's truth: events, identities, volumes.

A subject is given by label volumes per session (z, y, x), true identities and found ones on one grid, and
by the true events. A found lesion stands for the true one that it shares most voxels with.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

JUMPS = ("new", "resolved", "merged", "split")
SIZES = ("enlarging", "shrinking", "stable")
LEAST_SHARE = 0.1  # of a true lesion that a found one must cover to stand for it


@dataclass
class Score:
    """Counts over one or more subjects; `+` adds them."""

    true_events: Counter = field(default_factory=Counter)
    found_events: Counter = field(default_factory=Counter)
    false_events: Counter = field(default_factory=Counter)
    doubts: Counter = field(default_factory=Counter)
    lesion_sessions: int = 0
    same_identity: int = 0
    missed: int = 0
    spurious: int = 0
    volume_errors: list = field(default_factory=list)
    told: list = field(default_factory=list)

    def __add__(self, other):
        return Score(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )

    @property
    def identity(self):
        return self.same_identity / max(self.lesion_sessions, 1)

    def lines(self):
        """Say it in a few lines."""
        kinds = [k for k in (*JUMPS, *SIZES) if self.true_events[k] or self.false_events[k]]
        rows = ", ".join(
            f"{k} {self.found_events[k]}/{self.true_events[k]} (+{self.false_events[k]} false)"
            for k in kinds
        )
        errors = np.abs(self.volume_errors) if self.volume_errors else np.zeros(1)
        return (
            f"identity {self.identity:.4f} ({self.same_identity}/{self.lesion_sessions}), lesions "
            f"missed {self.missed}, spurious {self.spurious}; volume error median "
            f"{np.median(errors):.3f}, largest {errors.max():.3f}; doubts {dict(self.doubts)}\n    {rows}"
        )


def stands_for(found, true):
    """Return found id of each true lesion of one session, and true lesion of each found id."""
    both = (found > 0) & (true > 0)
    pairs, counts = np.unique(np.stack([true[both], found[both]]), axis=1, return_counts=True)
    size = np.bincount(true.ravel())
    found_of, true_of = {}, {}
    for n in np.argsort(-counts, kind="stable").tolist():
        lesion, number = (int(v) for v in pairs[:, n])
        true_of.setdefault(number, lesion)
        if counts[n] >= LEAST_SHARE * size[lesion]:
            found_of.setdefault(lesion, number)
    return found_of, true_of


def score(true, found, events, evolution, name=""):
    """Compare one subject.

    Args:
        true: per session, identities drawn.
        found: per session, identities found, on the same grids.
        events: rows with lesion_id, change, linked_ids and the number of the later session, `to`.
        evolution: rows with lesion_id, change, doubt and `to`.
        name: of the subject, for what is told.
    """
    result = Score()
    maps = [stands_for(f, t) for f, t in zip(found, true, strict=True)]
    _identities(result, true, found, maps)
    truth = {(e["to"], e["lesion_id"]): e for e in events}
    for event in events:
        if event["change"] == "split":  # the truth tells a split once, by its parent
            for part in event["linked_ids"]:
                truth[event["to"], part] = {**event, "lesion_id": part}
    rows = {(r["to"], r["lesion_id"]): r for r in evolution}
    for event in events:
        to, change = event["to"], event["change"]
        result.true_events[change] += 1
        at = to if change == "new" else to - 1
        number = maps[at][0].get(event["lesion_id"])
        row = rows.get((to, number))
        if row is not None and row["change"] == change:
            result.found_events[change] += 1
        else:
            said = "no row" if row is None else row["change"] or row["doubt"]
            result.told.append(f"{name} t{to} true #{event['lesion_id']} {change}: {said}")
    for row in evolution:
        to, change = row["to"], row["change"]
        if row["doubt"]:
            result.doubts[row["doubt"]] += 1
        if change is None:
            continue
        lesion = maps[to - 1][1].get(row["lesion_id"]) or maps[to][1].get(row["lesion_id"])
        if truth.get((to, lesion), {}).get("change") != change:
            result.false_events[change] += 1
            result.told.append(f"{name} t{to} found #{row['lesion_id']} {change}, true #{lesion}")
    return result


def _identities(result, true, found, maps):
    """Count lesion-sessions whose found id is the one best assigned to the true lesion, one to one."""
    lesions = sorted({int(i) for t in true for i in np.unique(t) if i})
    numbers = sorted({int(i) for f in found for i in np.unique(f) if i})
    counts = np.zeros((len(lesions), len(numbers)))
    for t, f, (found_of, true_of) in zip(true, found, maps, strict=True):
        sizes, own = np.bincount(t.ravel()), np.bincount(f.ravel())
        for lesion in np.flatnonzero(sizes)[1:].tolist():
            result.lesion_sessions += 1
            if lesion in found_of:
                counts[lesions.index(lesion), numbers.index(found_of[lesion])] += 1
                result.volume_errors.append(own[found_of[lesion]] / sizes[lesion] - 1)
            else:
                result.missed += 1
        result.spurious += sum(n not in true_of for n in np.unique(f).tolist() if n)
    rows, columns = linear_sum_assignment(-counts)
    result.same_identity += int(counts[rows, columns].sum())
