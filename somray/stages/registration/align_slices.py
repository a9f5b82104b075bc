"""Bring all slices of one scan and time to one of them: its slabs' pairs composed along z."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from somray.domain.run import ScanPlace
from somray.domain.tables import AlignmentRow, values_for
from somray.domain.work import Needs, Result
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.registration.chain.compose import compose
from somray.stages.registration.rows import matrix_of, numbers_of, step_of

__all__ = ["NEEDS", "AlignSlicesItem", "run"]

NEEDS = Needs(cpus=1)


@dataclass(frozen=True)
class AlignSlicesItem:
    """The pairs of one scan and time.

    Args:
        place: the scan.
        t: time index.
        rows: of `registration`, of the pairs (z, z + 1), z from 0; None where a slab could not be registered.
        bridges: z and the direct motion z + 2 → z (9 numbers, None where refused), where asked.
        rigid: whether only turns and shifts count; see `kernels.registration.chain.compose.compose`.
    """

    place: ScanPlace
    t: int
    rows: tuple[Mapping[str, Any] | None, ...]  # Any: JSON
    bridges: tuple[tuple[int, tuple[float, ...] | None], ...]
    rigid: bool


def run(item: AlignSlicesItem, shared: object = None) -> Result:
    """Compose the chain; rows of `alignment`, none for a scan of one slice."""
    if not item.rows:
        return Result(rows={"alignment": []})
    meta = read_meta(Storage.at(item.place.root), item.place.name)
    chain = compose(
        [step_of(row) for row in item.rows],
        {z: matrix_of(matrix) for z, matrix in item.bridges},
        (meta.shape[3], meta.shape[4]),
        meta.geometry.spacing_mm[1:],
        item.rigid,
    )
    rows = [
        AlignmentRow(
            subject=item.place.subject,
            kind="slices",
            session=item.place.session,
            t=item.t,
            z=z,
            reference_session=item.place.session,
            reference_z=chain.reference,
            **values_for(AlignmentRow, placed) | {"matrix": numbers_of(placed.matrix)},
        )
        for z, placed in enumerate(chain.slices)
    ]
    return Result(rows={"alignment": rows})
