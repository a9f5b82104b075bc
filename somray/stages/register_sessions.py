"""Register the sessions of a subject.

Session pairs show the same anatomy at another time: what differs after registration is change. Slice pairs
(anatomy) are registered in `register`, and the two kinds never mix.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome_zarr import read_meta, read_slab, slabs
from somray.io.storage import Storage
from somray.kernels.registration import SliceRegistration, SpaceOptions, register, register_volumes
from somray.stages.registration_rows import registration_row

__all__ = ["SessionPairItem", "needs_sessions", "run_sessions"]

MOST_VOXELS = 4_000_000  # of a session's volume while it is aligned; larger ones are reduced
LEAST_SLICES = 4  # with fewer, sessions are aligned in the plane


@dataclass(frozen=True)
class SessionPairItem:
    """Two consecutive sessions of a subject; `moving` is the later one."""

    fixed: ScanPlace
    moving: ScanPlace
    detector: str
    model: str
    seed: int


def needs_sessions(slab_bytes: int) -> Needs:
    """Declare what a session pair takes: two reduced volumes and a slab while they are read."""
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 2 * slab_bytes + 64 * MOST_VOXELS)


def run_sessions(item: SessionPairItem, shared: object = None) -> Result:
    """Register two sessions on the first channel.

    Returns:
        One row of `registration`; value: `matrix`, 16 numbers moving → fixed in LPS mm, or None.
    """
    storage = Storage.at(item.fixed.root)
    fixed, fixed_geometry = _reduced(storage, item.fixed)
    moving, moving_geometry = _reduced(storage, item.moving)
    if min(len(fixed), len(moving)) >= LEAST_SLICES:
        volume = register_volumes(
            fixed,
            moving,
            fixed_geometry,
            moving_geometry,
            SpaceOptions(detector=item.detector, seed=item.seed),
        )
        row = registration_row("sessions", item.fixed, item.moving, volume, (None, None, None))
        return Result(rows={"registration": [row]}, value={"matrix": row.matrix})
    z, w = len(fixed) // 2, len(moving) // 2
    plane = register(fixed[z], moving[w], detector=item.detector, model=item.model)
    full = read_meta(storage, item.fixed.name), read_meta(storage, item.moving.name)
    in_pixels = _to_full(
        plane, fixed_geometry, moving_geometry, (full[0].geometry, full[1].geometry)
    )
    row = registration_row("sessions", item.fixed, item.moving, plane, (0, z, w), in_pixels)
    world = _to_world(row.matrix, (full[0].geometry, full[1].geometry), (z, w))
    return Result(rows={"registration": [row]}, value={"matrix": world})


def _reduced(storage: Storage, place: ScanPlace) -> tuple[NDArray[np.float32], Geometry]:
    """Read the first channel at t 0, averaged in the plane until it fits `MOST_VOXELS`."""
    meta = read_meta(storage, place.name)
    _, _, depth, rows, columns = meta.shape
    step = 1
    while (
        depth * (rows // step) * (columns // step) > MOST_VOXELS and min(rows, columns) // step > 64
    ):
        step += 1
    z_step = max(1, -(-depth * (rows // step) * (columns // step) // MOST_VOXELS))
    planes = []
    for z0, z1 in slabs(depth, meta.slab_depth):
        block = read_slab(storage, place.name, 0, z0, z1)[0]
        planes += [_averaged(block[z - z0], step) for z in range(z0, z1) if z % z_step == 0]
    volume = np.stack(planes)
    shrink = np.diag([step, step, z_step, 1.0])
    shrink[:2, 3] = (step - 1) / 2.0  # the centre of an averaged block
    geometry = Geometry.from_matrix(
        (volume.shape[0], volume.shape[1], volume.shape[2]), meta.geometry.matrix @ shrink
    )
    return volume, geometry


def _averaged(plane: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Average step × step pixels, cropping what is left over; NaN where any of them is."""
    if step == 1:
        return plane
    rows, columns = plane.shape[0] // step, plane.shape[1] // step
    blocks = plane[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float64), dtype=np.float32)


def _to_full(
    found: SliceRegistration,
    fixed: Geometry,
    moving: Geometry,
    full: tuple[Geometry, Geometry],
) -> NDArray[np.float64] | None:
    """Express an in-plane matrix between reduced grids in pixels of the full ones."""
    if found.matrix is None:
        return None
    fixed_up = _plane_map(fixed, full[0])
    moving_up = _plane_map(moving, full[1])
    return np.asarray(fixed_up @ found.matrix @ np.linalg.inv(moving_up))


def _plane_map(reduced: Geometry, full: Geometry) -> NDArray[np.float64]:
    """3×3 from pixels of the reduced grid to pixels of the full grid."""
    index = np.linalg.inv(full.matrix) @ reduced.matrix
    return np.asarray(index[np.ix_([0, 1, 3], [0, 1, 3])])


def _to_world(
    matrix: list[float] | None, grids: tuple[Geometry, Geometry], z: tuple[int, int]
) -> list[float] | None:
    """Lift an in-plane affine matrix in pixels to 4×4 in LPS mm; None for a projective one."""
    if matrix is None:
        return None
    plane = np.asarray(matrix).reshape(3, 3)
    if not np.allclose(plane[2], [0.0, 0.0, 1.0], atol=1e-9):
        return None
    lifted = np.eye(4)
    lifted[np.ix_([0, 1, 3], [0, 1, 3])] = plane
    lifted[2, 3] = z[0] - z[1]
    world = grids[0].matrix @ lifted @ np.linalg.inv(grids[1].matrix)
    return [float(v) for v in world.ravel()]
