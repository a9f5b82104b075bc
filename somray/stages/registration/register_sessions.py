"""Register the sessions of a subject.

Session pairs show the same anatomy at another time: what differs after registration is change. Slice pairs
(anatomy) are registered in `register`, and the two kinds never mix.
"""

from dataclasses import dataclass

from somray.config.parts import RegistrationConfig
from somray.domain.run import ScanPlace
from somray.domain.tables import RegistrationRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.registration import PlaneOptions, SpaceOptions, register_volumes
from somray.kernels.registration.space.few_slices import lifted, match_planes
from somray.kernels.registration.space.reduction import MOST_VOXELS
from somray.stages.reading.sessions import reduced_volume, slice_stack, tells_sides
from somray.stages.registration.rows import RegisteredPair, numbers_of, registration_row

__all__ = ["LEAST_SLICES", "SessionPairItem", "needs_sessions", "run_sessions"]

LEAST_SLICES = 4  # with fewer, sessions are aligned in the plane


@dataclass(frozen=True)
class SessionPairItem:
    """Two sessions of a subject; `moving` is the later one.

    Args:
        fixed: the earlier session.
        moving: the later session.
        config: how they are aligned.
        seed: of RANSAC's draws.
    """

    fixed: ScanPlace
    moving: ScanPlace
    config: RegistrationConfig
    seed: int


def needs_sessions(slab_bytes: int, slice_bytes: int) -> Needs:
    """Declare what a session pair takes: two reduced volumes and a slab, or scale spaces of two slices."""
    read = 2 * slab_bytes + 8 * slice_bytes
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + read + 60 * slice_bytes + 64 * MOST_VOXELS)


def run_sessions(item: SessionPairItem, shared: object = None) -> Result:
    """Register two sessions on the first channel.

    Returns:
        One row of `registration`; value: `status`, and `matrix`, 16 numbers moving → fixed in LPS mm, or
        None: refused, or a homography between single slices, which no motion in space stands for.
    """
    storage = Storage.at(item.fixed.root)
    metas = [read_meta(storage, p.name) for p in (item.fixed, item.moving)]
    oriented = all(tells_sides(meta) for meta in metas)
    if min(m.shape[2] for m in metas) < LEAST_SLICES or item.config.sessions == "plane":
        return _in_plane(storage, item, oriented)
    fixed, fixed_geometry = reduced_volume(storage, item.fixed)
    moving, moving_geometry = reduced_volume(storage, item.moving)
    options = SpaceOptions(
        item.config.sessions, item.config.engine, item.config.detector, item.seed, oriented
    )
    found = register_volumes(fixed, moving, fixed_geometry, moving_geometry, options)
    row = registration_row(RegisteredPair("sessions", item.fixed, item.moving), found)
    return _result(row, row.matrix)


def _in_plane(storage: Storage, item: SessionPairItem, oriented: bool) -> Result:
    """Find the matching slices and align them in the plane."""
    config = item.config
    stacks = slice_stack(storage, item.fixed), slice_stack(storage, item.moving)
    options = PlaneOptions(config.detector, config.model, config.robust, oriented)
    match = match_planes(*stacks, options)
    pair = RegisteredPair("sessions", item.fixed, item.moving, 0, match.fixed_z, match.moving_z)
    row = registration_row(pair, match.found, match.matrix)
    return _result(row, numbers_of(lifted(match, stacks[0].geometry, stacks[1].geometry)))


def _result(row: RegistrationRow, in_space: list[float] | None) -> Result:
    value = {"matrix": in_space, "status": row.status}
    return Result(rows={"registration": [row]}, value=value)
