"""What a person asks `somray propose` for, and a row of what it answers."""

from dataclasses import dataclass

__all__ = ["LEVELS", "PARTS", "ProposalRow", "ProposeRequest"]

LEVELS = ("scans", "slices")
"""What may be proposed."""

PARTS = ("disagreement", "unsure", "drift", "rarity", "doubt")
"""What speaks for a candidate, each by its own column."""


@dataclass(frozen=True)
class ProposeRequest:
    """What a person asks `somray propose` for, as its options say; `every`: among scans that have a truth too."""

    what: str = "scans"
    count: int = 5
    protocol: str | None = None
    seed: int = 0
    every: bool = False
    out: str | None = None


@dataclass(frozen=True)
class ProposalRow:
    """One row of the table: a candidate that was chosen, with what is known of it.

    Args:
        choice: proposed, or random.
        rank: order of the choice, from 1.
        protocol: of the scan.
        subject: as in the manifest.
        session: as in the manifest.
        t: time index; None for a scan, all of whose time points count.
        z: slice; None for a scan.
        score: mean rank of its figures among the candidates, 0 to 1.
        disagreement: scans: share of what map or student call target on which they disagree; slices: mm² of it.
        unsure: share of its pixels of which the student is less than 75 % sure.
        drift: mean distance of its pixels to the map's nodes, to that on the reference.
        rarity: share of its pixels in nodes that are rare in the cohort.
        doubt: of objects that could not be called: scans mm³, slices mm².
        has_truth: whether the scan has a truth already.
        why: what speaks for it most, in words.
    """

    choice: str
    rank: int
    protocol: str
    subject: str
    session: str
    t: int | None
    z: int | None
    score: float
    disagreement: float | None
    unsure: float | None
    drift: float | None
    rarity: float | None
    doubt: float | None
    has_truth: bool
    why: str
