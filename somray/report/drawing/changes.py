"""Marks and words for what became of lesions and of disease, and where sessions stand in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from somray.report.data import Rows
from somray.report.drawing.style import INK, PAPER

__all__ = [
    "CHANGES",
    "DOUBTS",
    "OPEN",
    "RESPONSES",
    "LesionTables",
    "Mark",
    "TimeAxis",
    "counted",
    "mark_key",
]


@dataclass(frozen=True)
class Mark:
    """A kind of change: matplotlib's marker for it, and what it means."""

    sign: str
    meaning: str


CHANGES: Mapping[str, Mark] = {
    "new": Mark("P", "not there before"),
    "resolved": Mark("X", "not there any more"),
    "enlarging": Mark("^", "grown by more than the threshold"),
    "shrinking": Mark("v", "shrunk by more than the threshold"),
    "stable": Mark("o", "changed by less than the threshold"),
    "merged": Mark("D", "grown together with another"),
    "split": Mark("*", "fallen into parts"),
}
"""Kind of change of a lesion."""

RESPONSES: Mapping[str, Mark] = {
    "CR": Mark("X", "complete response: no lesion is left"),
    "PR": Mark("v", "partial response: the targets shrank"),
    "SD": Mark("o", "stable disease"),
    "PD": Mark("^", "progressive disease: growth or a new lesion"),
    "CMR": Mark("X", "complete metabolic response: no lesion is left"),
    "PMR": Mark("v", "partial metabolic response: the hottest lesion cooled"),
    "SMD": Mark("o", "stable metabolic disease"),
    "PMD": Mark("^", "progressive metabolic disease: hotter, or a new lesion"),
}
"""Response of a subject."""

DOUBTS: Mapping[str, str] = {
    "not_registered": "the two sessions could not be registered",
    "not_covered": "the other scan does not show the place",
    "misaligned": "the tissue around it does not match between the sessions",
}
"""Why a change is left open, and what that means."""

OPEN = r"$?$"
"""Mark of a change or response that could not be named."""


def counted(changes: Mapping[str, int]) -> str:
    """Write how often each kind of change was found, as `change_counts` counts them; "" where none was."""
    return ", ".join(f"{changes[kind]} {kind}" for kind in CHANGES if changes.get(kind))


def mark_key(axes: Axes, label: str, sign: str, hollow: bool = False) -> None:
    """Put a mark into the legend without drawing it."""
    axes.plot([], [], marker=sign, linestyle="", color=PAPER if hollow else INK, markersize=6,
              markeredgecolor=INK, label=label)  # fmt: skip


@dataclass(frozen=True)
class LesionTables:
    """Rows of `lesions`, `evolution` and `links` of one subject and protocol, or of its largest lesions.

    Args:
        lesions: rows of `lesions`.
        evolution: rows of `evolution`.
        links: rows of `links`.
        others: further lesions, all smaller, whose rows are not here.
    """

    lesions: Rows
    evolution: Rows
    links: Rows
    others: int = 0

    @property
    def ranks(self) -> dict[int, int]:
        """Lesion to its place by largest volume, from 0: what gives it its colour in every drawing."""
        largest: dict[int, float] = {}
        for row in self.lesions:
            largest[row["lesion_id"]] = max(largest.get(row["lesion_id"], 0.0), row["volume_mm3"])
        ordered = sorted(largest, key=lambda lesion: (-largest[lesion], lesion))
        return {lesion: rank for rank, lesion in enumerate(ordered)}

    @property
    def told(self) -> str:
        """The lesions in words, and of how many they are the largest."""
        count = len({r["lesion_id"] for r in self.lesions})
        if not self.others:
            return f"{count} lesions"
        return f"the {count} largest of {count + self.others} lesions"

    @property
    def listed(self) -> str:
        """The lesions as a phrase: every one, or so many of all."""
        return self.told if self.others else "every lesion"


@dataclass(frozen=True)
class TimeAxis:
    """Where the sessions of a subject stand on the x axis: days, or 0, 1, 2 … where days are unknown."""

    sessions: tuple[str, ...]
    places: tuple[float, ...]
    in_days: bool

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> "TimeAxis":  # Any: rows of `scans`
        """Build from a subject's scans in order of time."""
        sessions = tuple(str(r["session"]) for r in rows)
        days = [r["days"] for r in rows]
        if len(set(days)) == len(days) and all(d is not None for d in days):
            return cls(sessions, tuple(float(d) for d in days), True)
        return cls(sessions, tuple(float(i) for i in range(len(rows))), False)

    def place(self, session: str) -> float:
        """Return a session's place."""
        return self.places[self.sessions.index(session)]
