"""SUVpeak: the highest mean over a sphere of 1 ml about a voxel of the lesion.

The sphere holds the voxels whose centres lie within 6.204 mm of its own centre's; it may reach beyond the
lesion, not beyond the image or into missing data. Planes are taken in order of z and each adds its disc to
every sphere that it cuts, so no plane is read twice and none is held: the bits do not depend on slabs.

Source: Wahl, Jacene, Kasamon, Lodge, "From RECIST to PERCIST: evolving considerations for PET response
criteria in solid tumors", J Nucl Med 50 Suppl 1, 2009.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.compiled import compiled

__all__ = ["SPHERE_MM", "PeakMeter", "sphere_rows"]

SPHERE_MM = (3000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
"""Radius of a ball of 1 ml."""


def sphere_rows(geometry: Geometry, radius_mm: float = SPHERE_MM) -> NDArray[np.int64]:
    """List the rows of voxels that make up a sphere about a voxel.

    Returns:
        (r, 4): offset in z and in y, first and last offset in x, by z, then y.
    """
    steps = geometry.matrix[:3, :3][:, ::-1]  # columns: mm per step along z, y, x
    reach = np.floor(radius_mm * np.linalg.norm(np.linalg.inv(steps), axis=1) + 1e-9).astype(int)
    ranges = [np.arange(-n, n + 1) for n in reach.tolist()]
    offsets = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1)  # (z, y, x, 3)
    inside = ((offsets @ steps.T) ** 2).sum(axis=-1) <= (radius_mm * (1.0 + 1e-9)) ** 2
    rows = []
    for z, y in np.argwhere(inside.any(axis=2)).tolist():
        x = ranges[2][inside[z, y]]  # a straight line cuts a ball in one piece
        rows.append((ranges[0][z], ranges[1][y], x[0], x[-1]))
    return np.array(rows, dtype=np.int64)


class PeakMeter:
    """Means over the spheres about all voxels of some lesions, one plane after the other.

    Args:
        geometry: grid of the volume.
        index: (n, 3) voxels of the lesions in z, y, x, in scan order.
    """

    def __init__(self, geometry: Geometry, index: NDArray[np.integer]) -> None:
        self._index = index
        self._rows = sphere_rows(geometry)
        self._size = int((self._rows[:, 3] - self._rows[:, 2] + 1).sum())
        self._sum = np.zeros(len(index), dtype=np.float64)
        self._count = np.zeros(len(index), dtype=np.int32)

    def wants(self, z0: int, z1: int) -> bool:
        """Tell whether a sphere reaches into the planes z0 to z1 (excluded)."""
        reach = int(self._rows[-1, 0])
        part = self._between(z0 - reach, z1 + reach)
        return bool(part.stop > part.start)

    def add(self, image: NDArray[np.floating], z_start: int) -> None:
        """Take the next planes (z, y, x), in order of z; those that no sphere reaches may be left out."""
        for plane in range(len(image)):
            z = z_start + plane
            if self.wants(z, z + 1):
                values = image[plane].astype(np.float64)
                known = np.isfinite(values)
                pad = ((0, 0), (1, 0))
                sums = np.cumsum(np.pad(np.where(known, values, 0.0), pad), axis=1)
                counts = np.cumsum(np.pad(known, pad), axis=1, dtype=np.int32)
                self._add_plane(z, sums, counts)

    def _add_plane(self, z: int, sums: NDArray[np.float64], counts: NDArray[np.int32]) -> None:
        reach = int(self._rows[-1, 0])
        for offset in range(-reach, reach + 1):
            part = self._between(z - offset, z - offset + 1)
            rows = self._rows[self._rows[:, 0] == offset, 1:]
            centres = self._index[part, 1:].astype(np.int64)
            _add_discs(sums, counts, centres, rows, self._sum[part], self._count[part])

    def peaks(self, owner: NDArray[np.integer], lesions: int) -> NDArray[np.float64]:
        """Return the highest mean of each lesion, (lesions,); NaN where no sphere fits.

        Args:
            owner: (n,) number of each voxel's lesion, from 0.
            lesions: how many there are.
        """
        whole = self._count == self._size
        highest = np.full(lesions, -np.inf)
        np.maximum.at(highest, owner[whole], self._sum[whole] / self._size)
        return np.where(np.isneginf(highest), np.nan, highest)

    def _between(self, z0: int, z1: int) -> slice:
        """Return which voxels lie in the planes z0 to z1 (excluded)."""
        return slice(*np.searchsorted(self._index[:, 0], (z0, z1)).tolist())


@compiled
def _add_discs(
    sums: NDArray[np.float64],
    counts: NDArray[np.int32],
    centres: NDArray[np.int64],
    rows: NDArray[np.int64],
    total: NDArray[np.float64],
    known: NDArray[np.int32],
) -> None:
    """Add one plane's disc to the spheres that it cuts at one height; rows outside are left out.

    Args:
        sums: (y, x + 1) running sums along x.
        counts: (y, x + 1) the same of voxels with data.
        centres: (n, 2) of the spheres, in y, x.
        rows: (r, 3) of the disc: offset in y, first and last offset in x.
        total: (n,) sums so far; added to.
        known: (n,) voxels with data so far; added to.
    """
    height, width = sums.shape[0], sums.shape[1] - 1
    for n in range(len(centres)):
        for row in range(len(rows)):
            y = centres[n, 0] + rows[row, 0]
            first, last = centres[n, 1] + rows[row, 1], centres[n, 1] + rows[row, 2]
            if 0 <= y < height and first >= 0 and last < width:
                total[n] += sums[y, last + 1] - sums[y, first]
                known[n] += counts[y, last + 1] - counts[y, first]
