"""A subject's lesions as columns, however many there are: only what is shown of them becomes rows.

A hundred thousand pores over two sessions are millions of values; as plain rows they would take a gigabyte and most
of a minute, as columns a few dozen megabytes.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from somray.kernels.lesions.ellipsoid import equivalent_diameter
from somray.report.data.run import Rows, SubjectData, plain_rows

__all__ = ["Particles", "SubjectLesions", "change_counts"]


def change_counts(evolution: pd.DataFrame) -> dict[str, int]:
    """Count the kinds of change in rows of `evolution`; those left open are under ""."""
    counts = evolution["change"].fillna("").value_counts()
    return {str(kind): int(count) for kind, count in counts.items()}


@dataclass(frozen=True, eq=False)
class Particles:
    """The lesions of one session at time index 0, as columns; NaN where a figure does not exist.

    Args:
        diameter_mm: (n,) of balls of their volumes.
        volume_mm3: (n,).
        sphericity: (n,).
        nearest_mm: (n,) to the nearest other lesion.
        elongation: (n,).
        direction: (n, 3) unit vectors of the long axes, LPS x, y, z.
        touches_border: (n,) whether it lies against a face of the volume; False where nobody knows.
    """

    diameter_mm: NDArray[np.float64]
    volume_mm3: NDArray[np.float64]
    sphericity: NDArray[np.float64]
    nearest_mm: NDArray[np.float64]
    elongation: NDArray[np.float64]
    direction: NDArray[np.float64]
    touches_border: NDArray[np.bool_]

    def __len__(self) -> int:
        """Number of lesions."""
        return len(self.diameter_mm)

    @classmethod
    def of(cls, lesions: pd.DataFrame) -> "Particles":
        """Take rows of `lesions`; a run of an earlier version lacks some columns."""

        def column(name: str) -> NDArray[np.float64]:
            if name not in lesions:
                return np.full(len(lesions), np.nan)
            return lesions[name].to_numpy(dtype=np.float64, na_value=np.nan)

        volume = column("volume_mm3")
        return cls(
            diameter_mm=equivalent_diameter(volume),
            volume_mm3=volume,
            sphericity=column("sphericity"),
            nearest_mm=column("nearest_mm"),
            elongation=column("elongation"),
            direction=np.stack([column(f"orientation_{a}") for a in "xyz"], axis=1),
            touches_border=column("touches_border") == 1,
        )


class SubjectLesions:
    """The rows of `lesions`, `evolution` and `links` of one subject and protocol."""

    def __init__(self, subject: SubjectData) -> None:
        self.lesions = subject.frame("lesions")
        self.evolution = subject.frame("evolution")
        self.links = subject.frame("links")

    @cached_property
    def _largest(self) -> pd.Series:
        """Largest volume of each lesion_id, the largest first."""
        volumes = self.lesions.groupby("lesion_id")["volume_mm3"].max()
        order = np.lexsort((volumes.index.to_numpy(), -volumes.to_numpy()))
        return volumes.iloc[order]

    @property
    def identities(self) -> int:
        """Number of lesions over all sessions and time points."""
        return len(self._largest)

    def largest(self, count: int) -> list[int]:
        """Return the lesion_ids of the largest lesions, by their largest volume in any session."""
        return [int(i) for i in self._largest.index[:count]]

    def lesion_rows(self, ids: Collection[int]) -> Rows:
        """Return the rows of `lesions` of some."""
        return plain_rows("lesions", self.lesions[self.lesions["lesion_id"].isin(ids)])

    def evolution_rows(self, ids: Collection[int]) -> Rows:
        """Return the rows of `evolution` of some."""
        return plain_rows("evolution", self.evolution[self.evolution["lesion_id"].isin(ids)])

    def link_rows(self, ids: Collection[int]) -> Rows:
        """Return the rows of `links` between some."""
        inside = self.links["from_id"].isin(ids) & self.links["to_id"].isin(ids)
        return plain_rows("links", self.links[inside])

    def sample(self, session: str, largest: int, others: int) -> Rows:
        """Return rows of `lesions` of a session at time index 0: the largest, and some spread over all other sizes."""
        rows = self.lesions[(self.lesions["session"] == session) & (self.lesions["t"] == 0)]
        order = np.lexsort((rows["lesion_id"].to_numpy(), -rows["volume_mm3"].to_numpy()))
        rest = np.linspace(largest, len(rows) - 1, others + 2).round()[1:-1].astype(int)
        places = [*range(min(largest, len(rows))), *rest.tolist()]
        chosen = [p for p in dict.fromkeys(places) if p < len(rows)]
        return plain_rows("lesions", rows.iloc[order[chosen]])

    def others(self, ids: Collection[int]) -> dict[str, tuple[int, float]]:
        """Return how many lesions each session has at time index 0 beside some, and their volume in mm³."""
        rest = self.lesions[(self.lesions["t"] == 0) & ~self.lesions["lesion_id"].isin(ids)]
        groups = rest.groupby("session")["volume_mm3"]
        return {str(s): (int(v.size), float(v.sum())) for s, v in groups}

    def doubts(self) -> dict[str, int]:
        """Count the changes in doubt by reason."""
        return {str(k): int(n) for k, n in self.evolution["doubt"].dropna().value_counts().items()}

    def particles(self, session: str) -> Particles:
        """Return one session's lesions at time index 0 as columns."""
        rows = self.lesions
        return Particles.of(rows[(rows["session"] == session) & (rows["t"] == 0)])
