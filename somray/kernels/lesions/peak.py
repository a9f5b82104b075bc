"""SUVpeak: the highest mean over a sphere of 1 ml about a voxel of the lesion.

The sphere holds the voxels whose centres lie within 6.204 mm of its own centre's; it may reach beyond the
lesion, not beyond the image or into missing data. Planes are taken in order of z and each adds its disc to
every sphere that it cuts: the bits do not depend on how slabs of whole slices were cut.

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
    """Highest means over the spheres about the voxels of every lesion, brick by brick.

    Args:
        geometry: grid of the volume.
        largest: largest number of a lesion.
    """

    def __init__(self, geometry: Geometry, largest: int) -> None:
        self._rows = sphere_rows(geometry)
        self._size = int((self._rows[:, 3] - self._rows[:, 2] + 1).sum())
        self._highest = np.full(largest + 1, -np.inf)
        z, y, x = np.abs(self._rows[:, [0, 1, 3]]).max(axis=0).tolist()
        self.reach: tuple[int, int, int] = (z, y, x)
        """Voxels along (z, y, x) that a sphere reaches beyond its centre."""

    @property
    def peaks(self) -> NDArray[np.float64]:
        """(largest + 1,) highest mean by lesion, as far as bricks were taken; NaN where no sphere fits."""
        return np.where(np.isneginf(self._highest), np.nan, self._highest)

    def add_brick(
        self,
        labels: NDArray[np.int32],
        image: NDArray[np.floating],
        inset: tuple[int, int, int],
    ) -> None:
        """Take a brick.

        Args:
            labels: (z, y, x) lesions of the brick, 0 outside.
            image: its values and those about it, `reach` voxels to all sides where the volume has them.
            inset: where the brick begins in `image`, in z, y, x.
        """
        index = np.argwhere(labels).astype(np.int32)
        slices = np.ascontiguousarray(index[:, 0])  # ascending
        total, known = np.zeros(len(index)), np.zeros(len(index), dtype=np.int32)
        far = self.reach[0]
        for plane, values in enumerate(image):
            z = plane - inset[0]
            first, last = np.searchsorted(slices, (z - far, z + far + 1)).tolist()
            if first == last:  # no sphere reaches it
                continue
            values = values.astype(np.float64)
            finite = np.isfinite(values)
            pad = ((0, 0), (1, 0))
            sums = np.cumsum(np.pad(np.where(finite, values, 0.0), pad), axis=1)
            counts = np.cumsum(np.pad(finite, pad), axis=1, dtype=np.int32)
            for offset in range(-far, far + 1):
                part = slice(*np.searchsorted(slices, (z - offset, z - offset + 1)).tolist())
                rows = self._rows[self._rows[:, 0] == offset, 1:]
                centres = np.ascontiguousarray(index[part, 1:]) + np.array(inset[1:])
                _add_discs(sums, counts, centres, rows, total[part], known[part])
        whole = known == self._size
        owner = labels[tuple(index[whole].T)]
        np.maximum.at(self._highest, owner, total[whole] / self._size)


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
