"""Truth masks for drawing.

Truth is drawn beside the masks and scored in the `truth` table; it never decided anything. The mask is
brought to a slice's grid by world coordinates, nearest voxel, reading only the truth slices that are met.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.io.masks.dicom_seg import open_mask
from somray.io.masks.label_masks import grid_of_mask

__all__ = ["TruthMask"]


class TruthMask:
    """A truth mask as a file gives it.

    Args:
        path: any format somray reads.

    Raises:
        SomrayError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with open_mask(path) as source:
            self._header = source.header

    def on_slice(self, geometry: Geometry, t: int, z: int) -> NDArray[np.bool_]:
        """Return where any label of the truth covers a slice's pixels, (y, x).

        Raises:
            SomrayError: the file cannot be read any more.
        """
        rows, columns = geometry.shape[1:]
        header = self._header
        grid = np.indices((rows, columns), dtype=np.float64).reshape(2, -1)
        index = np.vstack([np.full(grid.shape[1], float(z)), grid]).T  # (n, 3) z y x
        found = grid_of_mask(header, geometry).to_index(geometry.to_world(index))
        nearest = np.floor(found + 0.5).astype(np.int64)
        inside = ((nearest >= 0) & (nearest < np.asarray(header.geometry.shape))).all(axis=1)
        mask = np.zeros(rows * columns, dtype=bool)
        if inside.any():
            near = nearest[inside]
            z0, z1 = int(near[:, 0].min()), int(near[:, 0].max()) + 1
            moment = t if t < header.shape[0] else 0  # a 3D truth stands for every time point
            with open_mask(self._path) as source:
                slab = source.read(moment, z0, z1)
            mask[inside] = slab[near[:, 0] - z0, near[:, 1], near[:, 2]] > 0
        return mask.reshape(rows, columns)
