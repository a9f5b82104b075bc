"""A solid with pores of known sizes, made and written slice by slice, however large.

One pore lies in every cell of a lattice, jittered, never touching another: its voxels are those whose centres
lie within its radius. So number and volumes of all pores are known exactly. Centres lie on voxels and radii end
on .45, so that the outermost slice of a pore shows nine pixels of it or more: what a map of slices makes of single
pixels is not the question here. The solid is a slow wave and noise of a few grey levels.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["PoreVolume"]

SOLID, PORE, NOISE = 170.0, 60.0, 3.0  # grey levels
CLEARANCE = 3.0  # voxels between a pore and the wall of its cell


@dataclass(frozen=True)
class PoreVolume:
    """The volume.

    Args:
        shape: (z, y, x).
        cell: edge of a lattice cell in voxels.
        radii: least and largest radius in whole voxels; .45 are added.
        seed: of places, radii and noise.
    """

    shape: tuple[int, int, int]
    cell: int = 43
    radii: tuple[int, int] = (3, 8)
    seed: int = 0

    @cached_property
    def pores(self) -> NDArray[np.float64]:
        """Return (n, 4): centre in z, y, x, and radius, in voxels."""
        counts = [n // self.cell for n in self.shape]
        corners = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), axis=-1)
        corners = corners.reshape(-1, 3) * self.cell
        random = np.random.default_rng(self.seed)
        radius = random.integers(self.radii[0], self.radii[1] + 1, len(corners)) + 0.45
        room = self.cell / 2 - radius - CLEARANCE
        jitter = random.uniform(-1, 1, (len(corners), 3)) * room[:, None]
        centres = np.rint(corners + (self.cell - 1) / 2 + jitter)
        return np.column_stack([centres, radius])

    @cached_property
    def voxels(self) -> NDArray[np.int64]:
        """Return the number of voxels of each pore, (n,)."""
        of_radius = {r: sum(len(disc) for disc in _discs(r).values()) for r in self._radii}
        return np.array([of_radius[r] for r in self.pores[:, 3].tolist()])

    @property
    def _radii(self) -> list[float]:
        return sorted(set(self.pores[:, 3].tolist()))

    def slices(self):
        """Yield every slice (y, x) uint8, from z 0 on."""
        random = np.random.default_rng((self.seed, 1))
        y, x = np.indices(self.shape[1:], dtype=np.float32)
        wave = np.sin(y / 61) + np.cos(x / 47)
        noise = random.normal(0, NOISE, (7, *self.shape[1:])).astype(np.float32)
        for z in range(self.shape[0]):
            solid = SOLID + wave * np.float32(2 * np.sin(z / 53))
            values = np.where(self.mask(z), np.float32(PORE), solid)
            shift = random.integers(0, self.shape[1:])
            values += np.roll(noise[z % 7], shift, axis=(0, 1))
            yield np.clip(np.rint(values), 0, 255).astype(np.uint8)

    def mask(self, z: int) -> NDArray[np.bool_]:
        """Return where slice z shows a pore, (y, x)."""
        mask = np.zeros(self.shape[1:], dtype=bool)
        discs = {r: _discs(r) for r in self._radii}
        near = np.abs(self.pores[:, 0] - z) <= self.pores[:, 3]
        for cz, cy, cx, radius in self.pores[near].tolist():
            offsets = discs[radius][z - int(cz)]
            mask[int(cy) + offsets[:, 0], int(cx) + offsets[:, 1]] = True
        return mask

    def write(self, path) -> None:
        """Write a MetaImage (.mha, uncompressed, isotropic voxels of 10 µm)."""
        depth, rows, columns = self.shape
        header = (
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
            "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
            f"ElementSpacing = 0.01 0.01 0.01\nDimSize = {columns} {rows} {depth}\n"
            "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
        )
        with open(path, "wb") as file:
            file.write(header.encode())
            for plane in self.slices():
                file.write(plane.tobytes())


@cache
def _discs(radius: float) -> dict[int, NDArray[np.int64]]:
    """Return the pixels (n, 2) of a ball in each of its slices, all from its centre."""
    reach = int(radius)
    offsets = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), axis=-1)
    inside = offsets[(offsets**2).sum(axis=-1) <= radius**2]
    return {z: inside[inside[:, 0] == z, 1:] for z in range(-reach, reach + 1)}
