"""Register the sessions of a subject.

Session pairs show the same anatomy at another time: what differs after registration is change. Slice pairs
(anatomy) are registered in `register`, and the two kinds never mix.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from somray.config.parts import RegistrationConfig
from somray.domain.run import ScanPlace
from somray.domain.tables import RegistrationRow
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.registration import PlaneOptions, SpaceOptions, register_volumes
from somray.kernels.registration.plane.motions import on_finer_pixels
from somray.kernels.registration.space.few_slices import lifted, match_planes
from somray.kernels.registration.space.reduction import MOST_VOXELS
from somray.stages.reading.planes import needed_bytes, plane_pixels
from somray.stages.reading.sessions import (
    REDUCED_PIXELS,
    reduced_volume,
    slice_stack,
    tells_sides,
)
from somray.stages.registration.register import most_pixels, needs_slices, plane_bytes
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


def needs_sessions(
    shapes: Sequence[tuple[int, int, int, int, int]], config: RegistrationConfig
) -> Needs:
    """Declare what a session pair takes: two reduced volumes and some slices, or a pair of slices.

    Args:
        shapes: (t, c, z, y, x) of both.
        config: how they are aligned.
    """
    if min(shape[2] for shape in shapes) < LEAST_SLICES or config.sessions == "plane":
        return needs_slices(max(plane_bytes(shape, config.model) for shape in shapes), config.model)
    plane = max(4 * plane_pixels(shape, REDUCED_PIXELS) for shape in shapes)
    held = 64 * MOST_VOXELS + 8 * plane + needed_bytes(plane)
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + held)


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
    most = most_pixels(config.model)
    (fixed, finer), (moving, other) = (
        slice_stack(storage, place, most) for place in (item.fixed, item.moving)
    )
    options = PlaneOptions(config.detector, config.model, config.robust, oriented)
    match = match_planes(fixed, moving, options)
    pair = RegisteredPair("sessions", item.fixed, item.moving, 0, match.fixed_z, match.moving_z)
    matrix, found = match.matrix, match.found
    if matrix is not None:
        matrix = on_finer_pixels(matrix, finer, other)
    if found.rmse_px is not None:
        found = replace(found, rmse_px=found.rmse_px * finer)
    row = registration_row(pair, found, matrix)
    return _result(row, numbers_of(lifted(match, fixed.geometry, moving.geometry)))


def _result(row: RegistrationRow, in_space: list[float] | None) -> Result:
    value = {"matrix": in_space, "status": row.status}
    return Result(rows={"registration": [row]}, value=value)
