"""Bring all slices of one scan and time to one of them: its slabs' pairs composed along z."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.tables import AlignmentRow
from somray.domain.work import Needs, Result
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.registration.chain.compose import compose
from somray.kernels.registration.chain.repair import Step

__all__ = ["NEEDS", "AlignSlicesItem", "PlainStep", "run"]

NEEDS = Needs(cpus=1)

PlainStep = tuple[tuple[float, ...] | None, str, str | None, float | None, float | None]
"""Matrix (9 numbers, moving to fixed), status, reason, ncc before, ncc after of a pair (z, z + 1)."""


@dataclass(frozen=True)
class AlignSlicesItem:
    """The pairs of one scan and time.

    Args:
        place: the scan.
        t: time index.
        steps: of the pairs (z, z + 1), z from 0.
        bridges: z and the direct motion z + 2 → z (9 numbers, None where refused), where asked.
        rigid: whether only turns and shifts count; see `kernels.registration.chain.compose.compose`.
        progress: folder of what the slabs kept while they were under way; removed here, since they are
            in the ledger now. None where one of them failed and shall go on from there.
    """

    place: ScanPlace
    t: int
    steps: tuple[PlainStep, ...]
    bridges: tuple[tuple[int, tuple[float, ...] | None], ...]
    rigid: bool
    progress: str | None


def run(item: AlignSlicesItem, shared: object = None) -> Result:
    """Compose the chain; rows of `alignment`, none for a scan of one slice."""
    storage = Storage.at(item.place.root)
    meta = read_meta(storage, item.place.name)
    rows: list[AlignmentRow] = []
    if item.steps:
        chain = compose(
            [Step(_square(step[0]), *step[1:]) for step in item.steps],
            {z: _square(matrix) for z, matrix in item.bridges},
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
                matrix=None if link.matrix is None else [float(v) for v in link.matrix.ravel()],
                status=link.status,
                reason=link.reason,
                cycle_error_mm=link.cycle_error_mm,
                drift_mm=link.drift_mm,
                walk_mm=link.walk_mm,
            )
            for z, link in enumerate(chain.links)
        ]
    if item.progress is not None:
        storage.remove(item.progress)
    return Result(rows={"alignment": rows})


def _square(matrix: tuple[float, ...] | None) -> NDArray[np.float64] | None:
    return None if matrix is None else np.asarray(matrix, dtype=np.float64).reshape(3, 3)
