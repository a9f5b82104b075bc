"""Register the neighbouring slices of a scan, a slab at a time.

Slice pairs are (z, z + 1): what differs between them is anatomy, never change; sessions are registered
in `register_sessions`, and the two kinds never mix.

One pass over the slab: slices are read in short runs; each is described once and serves both its neighbours, then it
is let go; at most three are held. Slices that no task can hold are registered on the first level of their pyramid
that fits, and what is found is told in pixels of the scan itself. Where a pair's motion would count in the scan's
chain, or is not sure, the slice past it is registered directly as a second opinion; elsewhere that is done for every
eighth pair, and for the last, whose next pair belongs to the next slab. The halo is therefore two slices. Finished
pairs are kept in the file that the item names, so that a killed slab goes on where it was; the pipeline removes it,
once the unit is in the ledger.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.tables import RegistrationRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_meta
from somray.io.pair_progress import PairProgress
from somray.io.storage import Storage
from somray.kernels.registration import (
    DescribedSlice,
    PlaneOptions,
    SliceRegistration,
    describe,
    refuse_blank,
    register_described,
)
from somray.kernels.registration.chain.compose import counts
from somray.kernels.registration.chain.direct import register_direct
from somray.kernels.registration.chain.repair import Step, cycle_errors, tolerance_px
from somray.kernels.registration.plane.motions import apart_mm, on_finer_pixels
from somray.stages.reading.planes import (
    MOST_PIXELS,
    PlaneReader,
    needed_bytes,
    plane_level,
    plane_pixels,
)
from somray.stages.reading.sessions import tells_sides
from somray.stages.registration.rows import (
    RegisteredPair,
    matrix_of,
    numbers_of,
    registration_row,
    step_of,
)

__all__ = ["SlicePairsItem", "most_pixels", "needs_slices", "plane_bytes", "run_slices"]

EVERY = 8  # pairs: how often the slice past a sure pair is asked too
SLICE_BYTES = {True: 170, False: 40}
"""Times a plane's, by whether a model is named: three slices described, a pair under refinement; with a named
model keypoints of whole slices, of which KAZE alone takes 150."""
KEYPOINT_PIXELS = 2048 * 2048  # of a cut slice that keypoints of a named model are sought on


@dataclass(frozen=True)
class SlicePairsItem:
    """The pairs that begin in one slab: (z, z + 1) for z0 ≤ z < z1.

    Args:
        place: the scan.
        t: time index.
        z0: first slice of the slab.
        z1: slice after its last.
        detector: keypoint detector.
        model: auto, similarity, affine or homography.
        robust: ransac or magsac.
        progress: file inside the run that finished pairs are kept in.
        digest: of the unit; what another one kept is not used.
    """

    place: ScanPlace
    t: int
    z0: int
    z1: int
    detector: str
    model: str
    robust: str
    progress: str
    digest: str


def needs_slices(plane_bytes: int, model: str) -> Needs:
    """Declare what slice pairs take, whatever the slab's depth: a few planes (one channel) at work."""
    held = SLICE_BYTES[model != "auto"] * plane_bytes + needed_bytes(plane_bytes)
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + held)


def most_pixels(model: str) -> int:
    """Return how large a slice may be that is registered whole, where a scan's slices are cut."""
    return MOST_PIXELS if model == "auto" else KEYPOINT_PIXELS


def plane_bytes(shape: tuple[int, int, int, int, int], model: str) -> int:
    """Return the bytes of a slice as it is registered (one channel) for a scan of (t, c, z, y, x)."""
    return 4 * plane_pixels(shape, most_pixels(model))


def run_slices(item: SlicePairsItem, shared: object = None) -> Result:
    """Register the slab's pairs on the first channel.

    Returns:
        Rows of `registration`; value: `bridges`, [z, 9 numbers z + 2 → z or None] where asked.
    """
    walk = _Walk(item, Storage.at(item.place.root))
    records = [walk.pair(z) for z in range(item.z0, walk.last)]
    return Result(
        rows={"registration": [RegistrationRow(**record["row"]) for record in records]},
        value={"bridges": [bridge for record in records for bridge in record["bridges"]]},
    )


class _Walk:
    """One pass over a slab's pairs."""

    def __init__(self, item: SlicePairsItem, storage: Storage) -> None:
        meta = read_meta(storage, item.place.name)
        self._item = item
        names = item.detector, item.model, item.robust
        self._options = PlaneOptions(*names, oriented=tells_sides(meta))
        self._depth, self._shape = meta.shape[2], (meta.shape[3], meta.shape[4])
        level = plane_level(meta.shape, most_pixels(item.model))
        self._factor = 2.0**level  # pixels of the scan along one that is registered
        stop = item.z1 + 2
        self._planes = PlaneReader(storage, item.place.name, item.t, level, stop=stop)
        self._kept = PairProgress(storage, item.progress, item.digest)
        self._described: dict[int, DescribedSlice | None] = {}
        self._steps: dict[int, Step] = {}
        self._counting: dict[int, bool] = {}  # by pair: whether it is unsure or moves its slice
        self._gaping = False  # whether the last triangle that was asked does not close
        self.last = min(item.z1, self._depth - 1)

    def pair(self, z: int) -> Mapping[str, Any]:
        """Return the record of a pair: kept from before, or registered now and kept."""
        record = self._kept.find(z)
        if record is None:
            row = asdict(self._registered(z))
            self._know(z, step_of(row))
            record = self._kept.keep(z, {"row": row, "bridges": self._bridges(z)})
        else:
            self._know(z, step_of(record["row"]))
        for where, matrix in record["bridges"]:
            self._gaping = self._gapes(where, matrix)
        self._let_go(z)
        return record

    def _know(self, z: int, step: Step) -> None:
        rigid = self._item.model == "auto"
        self._steps[z] = step
        self._counting[z] = step.status != "ok" or counts(step, self._shape, rigid)

    def _let_go(self, z: int) -> None:
        """Forget the slices before z."""
        self._described = {n: kept for n, kept in self._described.items() if n >= z}

    def _registered(self, z: int) -> RegistrationRow:
        item, fixed, moving = self._item, self._slice(z), self._slice(z + 1)
        if fixed is None or moving is None:
            found = refuse_blank(fixed, moving, item.model, self._shape)
        else:
            found = register_described(fixed, moving, self._options)
        pair = RegisteredPair("slices", item.place, item.place, item.t, z, z + 1)
        return registration_row(pair, self._on_scan(found))

    def _on_scan(self, found: SliceRegistration) -> SliceRegistration:
        """Tell a finding in pixels of the scan."""
        if self._factor == 1.0:
            return found
        moved = None if found.matrix is None else on_finer_pixels(found.matrix, self._factor)
        rest = None if found.rmse_px is None else found.rmse_px * self._factor
        return replace(found, matrix=moved, rmse_px=rest)

    def _bridges(self, z: int) -> list[tuple[int, list[float] | None]]:
        """Register past slice z where that tells something, and past the slab's last pair."""
        asked = [z - 1] if z > self._item.z0 and self._asks(z - 1) else []
        if z == self._item.z1 - 1 and z + 2 < self._depth:
            asked.append(z)
        return [(where, self._direct(where)) for where in asked]

    def _asks(self, z: int) -> bool:
        unsure = self._counting[z] or self._counting[z + 1]
        return unsure or self._gaping or z % EVERY == 0

    def _direct(self, z: int) -> list[float] | None:
        """Register slice z + 2 onto z, from what the pairs between say and from no motion at all."""
        self._let_go(z)
        fixed, moving = self._slice(z), self._slice(z + 2)
        if fixed is None or moving is None:
            return None
        between: NDArray[np.float64] = np.eye(3)
        for n in (z, z + 1):
            step = self._steps.get(n)
            between = between if step is None or step.matrix is None else between @ step.matrix
        far = apart_mm(between, np.eye(3), self._shape, (1.0, 1.0)) > tolerance_px(self._shape)
        begin = [between, np.eye(3)] if far else [between]  # a wrong pair must not vouch for itself
        begun = [on_finer_pixels(motion, 1.0 / self._factor) for motion in begin]
        found = register_direct(fixed, moving, begun, self._item.model)
        return None if found is None else numbers_of(on_finer_pixels(found, self._factor))

    def _gapes(self, z: int, matrix: list[float] | None) -> bool:
        if matrix is None or z + 1 not in self._steps:
            return False
        pair = [self._steps[z], self._steps[z + 1]]
        errors = cycle_errors(pair, {0: matrix_of(matrix)}, self._shape)
        return errors.get(0, 0.0) > tolerance_px(self._shape)

    def _slice(self, z: int) -> DescribedSlice | None:
        if z not in self._described:
            self._described[z] = describe(self._planes.plane(z), f"slice {z}")
        return self._described[z]
