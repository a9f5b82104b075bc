"""Bring all sessions of a subject to the first, from what their pairs said.

No pixel is read: the pairs were registered by `register_sessions`, each a unit of its own.
"""

from dataclasses import dataclass

import numpy as np

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.tables import AlignmentRow, values_for
from somray.domain.work import Needs, Result
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.registration.space.group import (
    GroupMember,
    GroupPair,
    align_group,
    bridging_pairs,
)
from somray.kernels.registration.space.motions import corners_of
from somray.stages.registration.rows import matrix_of, numbers_of

__all__ = ["NEEDS", "GroupItem", "PairFinding", "run_align", "run_bridges"]

NEEDS = Needs(cpus=0.1)

TOLERANCE_VOXELS = 2.0  # of the coarsest axis: what pairs may disagree by …
TOLERANCE_SHARE = 0.01  # … or of the volume's diagonal, since bodies bend


@dataclass(frozen=True)
class PairFinding:
    """What one pair of sessions said.

    Args:
        fixed: number of the earlier session.
        moving: number of the later session.
        matrix: 16 numbers, row-major moving to fixed in LPS mm; None when refused.
        status: ok, weak or refused.
    """

    fixed: int
    moving: int
    matrix: tuple[float, ...] | None
    status: str


@dataclass(frozen=True)
class GroupItem:
    """The sessions of one subject, in time order, and their pairs."""

    places: tuple[ScanPlace, ...]
    pairs: tuple[PairFinding, ...]


def run_bridges(item: GroupItem, shared: object = None) -> Result:
    """Tell which further pairs could decide what the first ones left in doubt.

    Returns:
        value: `pairs`, a list of [fixed, moving] session numbers.
    """
    grids = _grids(item)
    points = [corners_of(grid) for grid in grids]
    wanted = bridging_pairs(len(grids), _pairs(item), points, _tolerance_mm(grids[0]))
    return Result(value={"pairs": [list(key) for key in wanted]})


def run_align(item: GroupItem, shared: object = None) -> Result:
    """Align the group; rows of `alignment`.

    Returns:
        value: `to_first`, per session 16 numbers of a 4×4 in LPS mm, None where refused.
    """
    grids = _grids(item)
    points = [corners_of(grid) for grid in grids]
    members = align_group(len(grids), _pairs(item), points, _tolerance_mm(grids[0]))
    rows = [
        _row(place, item.places[0], member)
        for place, member in zip(item.places, members, strict=True)
    ]
    return Result(rows={"alignment": rows}, value={"to_first": [row.matrix for row in rows]})


def _grids(item: GroupItem) -> list[Geometry]:
    storage = Storage.at(item.places[0].root)
    return [read_meta(storage, place.name).geometry for place in item.places]


def _tolerance_mm(grid: Geometry) -> float:
    """Return what pairs may disagree by."""
    ends = corners_of(grid)
    diagonal = float(np.linalg.norm(ends[-1] - ends[0]))
    return max(TOLERANCE_VOXELS * max(grid.spacing_mm), TOLERANCE_SHARE * diagonal)


def _pairs(item: GroupItem) -> dict[tuple[int, int], GroupPair]:
    return {
        (pair.fixed, pair.moving): GroupPair(matrix_of(pair.matrix), pair.status)
        for pair in item.pairs
    }


def _row(place: ScanPlace, first: ScanPlace, member: GroupMember) -> AlignmentRow:
    return AlignmentRow(
        subject=place.subject,
        kind="sessions",
        session=place.session,
        t=None,
        z=None,
        reference_session=first.session,
        reference_z=None,
        matrix=numbers_of(member.to_first),
        **values_for(AlignmentRow, member),
    )
