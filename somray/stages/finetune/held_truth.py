"""A truth on its scan's own voxels, a bit each, laid aside in bands of rows: any box is read, no volume is held.

While it is read a whole slice of the mask is in memory, since readers give no less.
"""

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.io.spool import ArraySpool, Spooled
from somray.stages.reading.truth_mask import TruthOnGrid

__all__ = ["HeldTruth"]

BAND_ROWS = 1024

Mask = NDArray[np.bool_]


class HeldTruth:
    """The union of a truth's labels; to be closed.

    Args:
        shape: (z, y, x) of its scan.

    Attributes:
        shape: of its scan.
        shown: (z,) whether a slice shows any of it.
        voxels: how many it covers.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.shown: Mask = np.zeros(shape[0], dtype=bool)
        self.voxels = 0
        self._spool = ArraySpool()
        self._bands: dict[
            tuple[int, int], Spooled
        ] = {}  # by slice and first row; none where nothing is drawn

    @classmethod
    def of(cls, path: str, geometry: Geometry, times: int) -> "HeldTruth":
        """Read a truth mask.

        Args:
            path: label mask, in any readable format, on any grid.
            geometry: of its scan.
            times: that its scan has.

        Raises:
            DataError: it cannot be read, or lies elsewhere.
        """
        held = cls(geometry.shape)
        try:
            with closing(TruthOnGrid(path, geometry)) as truth:
                truth.refuse_stack(times)
                for z0, labels in truth.labels():
                    for z, plane in enumerate(labels, start=z0):
                        held.put(z, plane > 0)
        except BaseException:
            held.close()
            raise
        return held

    def put(self, z: int, plane: Mask) -> None:
        """Lay a slice (y, x) aside."""
        count = int(np.count_nonzero(plane))
        self.shown[z] = count > 0
        self.voxels += count
        for y in range(0, self.shape[1], BAND_ROWS):
            band = plane[y : y + BAND_ROWS]
            if band.any():
                self._bands[z, y] = self._spool.put(np.packbits(band, axis=1))

    def read(self, box: Brick) -> Mask:
        """Return a box of it, (z, y, x)."""
        found = np.zeros(box.shape, dtype=bool)
        first = box.y0 // BAND_ROWS * BAND_ROWS
        for n, z in enumerate(range(box.z0, box.z1)):
            for y in range(first, box.y1, BAND_ROWS):
                if (z, y) in self._bands:
                    rows = slice(max(box.y0, y), min(box.y1, y + BAND_ROWS))
                    packed = self._spool.get(self._bands[z, y])[rows.start - y : rows.stop - y]
                    band = np.unpackbits(packed, axis=1, count=self.shape[2])
                    found[n, rows.start - box.y0 : rows.stop - box.y0] = band[:, box.x0 : box.x1]
        return found

    def close(self) -> None:
        """Let go of what was laid aside."""
        self._spool.close()
