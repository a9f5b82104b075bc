"""Truth masks for drawing.

Truth is drawn beside the masks and scored in the `truth` table; it never decided anything. The mask is
brought to a slice's grid by world coordinates, nearest voxel, reading only the truth slices that are met.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.io.masks.label_masks import grid_of_mask
from somray.io.masks.opening import open_mask

__all__ = ["TruthMask"]

SLICES_READ = 16  # at once


class TruthMask:
    """A truth mask as a file gives it.

    Args:
        path: any format somray reads.

    Raises:
        SomrayError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        open_mask(path).close()

    def on_slice(self, geometry: Geometry, t: int, z: int) -> NDArray[np.bool_]:
        """Return where any label of the truth covers a slice's pixels, (y, x).

        Raises:
            SomrayError: the file cannot be read any more.
        """
        rows, columns = geometry.shape[1:]
        grid = np.indices((rows, columns), dtype=np.float64).reshape(2, -1)
        index = np.vstack([np.full(grid.shape[1], float(z)), grid]).T
        return self.at(geometry, index, t).reshape(rows, columns)

    def at(self, geometry: Geometry, index: NDArray[np.float64], t: int) -> NDArray[np.bool_]:
        """Return whether any label of the truth covers voxels of a grid, index (n, 3) in z, y, x.

        The file is opened once and read a few slices at a time.

        Raises:
            SomrayError: the file cannot be read any more.
        """
        mask = np.zeros(len(index), dtype=bool)
        with open_mask(self._path, geometry) as source:
            header = source.header
            found = grid_of_mask(header, geometry).to_index(geometry.to_world(index))
            nearest = np.floor(found + 0.5).astype(np.int64)
            inside = ((nearest >= 0) & (nearest < np.asarray(header.geometry.shape))).all(axis=1)
            if not inside.any():
                return mask
            moment = t if t < header.shape[0] else 0  # a 3D truth stands for every time point
            met = nearest[:, 0]
            first, last = int(met[inside].min()), int(met[inside].max())
            for z0 in range(first, last + 1, SLICES_READ):
                z1 = min(z0 + SLICES_READ, last + 1)
                here = np.flatnonzero(inside & (met >= z0) & (met < z1))
                if here.size:
                    near = nearest[here]
                    slab = source.read(moment, z0, z1)
                    values = slab[near[:, 0] - z0, near[:, 1], near[:, 2]]
                    mask[here] = (
                        np.rint(values) > 0
                    )  # masks go through float, as `TruthOnGrid` knows
        return mask
