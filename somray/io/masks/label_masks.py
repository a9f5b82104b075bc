"""A person's label mask, in any readable format, as whole numbers on its own grid."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.masks.label_tally import LabelTally
from somray.io.masks.mask_folder import WHOLE
from somray.io.masks.opening import open_mask

__all__ = ["MOST_LABEL", "LabelMask", "grid_note", "grid_of_mask"]

MOST_LABEL = 2**24 - 1
"""Highest label that is read exactly; readers give float32."""

_SAME_SIZE = 1e-3  # of voxels, which headers round


class LabelMask:
    """An open label mask; use it as a context.

    Args:
        path: file, folder of DICOM or TIFF slices, or folder with one mask per label.
        image: grid of the scan that it was drawn on, see `open_mask`.

    Attributes:
        geometry: its own grid.
        is_placed: whether the file says where the grid lies; where not, the place is the reader's assumption.
        times: volumes that it holds; the first is read.

    Raises:
        DataError: codes of `open_mask`.
    """

    def __init__(self, path: str, image: Geometry | None = None) -> None:
        self.path = path
        self._source = open_mask(path, image)
        header = self._source.header
        self.geometry = header.geometry
        self.is_placed, self.times = header.is_placed, header.shape[0]
        self._kinds = LabelTally()

    def grid_on(self, image: Geometry) -> Geometry:
        """Return the mask's grid in the world of the image it was drawn on, see `grid_of_mask`."""
        return grid_of_mask(self._source.header, image)

    def read(self, z0: int, z1: int) -> NDArray[np.int32]:
        """Read slices z0 to z1 (excluded) of the first time point; negative values and NaN are 0.

        Raises:
            DataError: `truncated`; `unreadable`: a value is no whole number, or too large for a label, or all are
                those of an image.
        """
        return self._whole(self._source.read(0, z0, z1))

    def _whole(self, values: NDArray[np.float32]) -> NDArray[np.int32]:
        """Turn what a reader gave into labels."""
        given = np.nan_to_num(values, nan=0.0, posinf=0.5, neginf=0.0)  # infinity is no label
        rounded = np.rint(given)
        if (np.abs(given - rounded) > WHOLE).any():
            raise DataError(
                "unreadable",
                f"{self.path}: holds values that are no whole numbers; a label mask is expected, not an "
                "image or a probability map",
            )
        if rounded.size and rounded.max() > MOST_LABEL:
            raise DataError(
                "unreadable",
                f"{self.path}: holds labels above {MOST_LABEL}; renumber them from 1 on",
            )
        labels = rounded.astype(np.int32)
        if len(labels):
            self._kinds.add(labels[len(labels) // 2])
        if fault := self._kinds.fault():
            raise DataError("unreadable", f"{self.path}: {fault}; name the mask, not the image")
        return np.maximum(labels, 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What its reader left out or decided, of what has been read so far."""
        return self._source.notes

    def close(self) -> None:
        """Let go of open files; harmless when repeated."""
        self._source.close()

    def __enter__(self) -> "LabelMask":
        """Use as a context that closes the files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()


def grid_of_mask(header: ScanHeader, image: Geometry) -> Geometry:
    """Return the grid that a mask lies on, in the world of the image it was drawn on.

    A mask saved without a place, of the image's shape, was drawn on the image: voxel for voxel. So was one on a grid
    that programs write for an array that nobody told them the place of: from the origin on, along the axes, with
    voxels of 1 mm or, where they were told that much, of the image's size.
    """
    own = header.geometry
    if own.shape != image.shape:
        return own
    return image if not header.is_placed or _is_bare(own, image) else own


def grid_note(own: Geometry, image: Geometry) -> str:
    """Say that a mask lies on another grid than its scan; "" where it does not."""
    if own.is_same_grid(image):
        return ""
    size = " × ".join(f"{mm:.3g}" for mm in own.spacing_mm[::-1])
    return f"lies on another grid, of {size} mm; each voxel of the scan takes the nearest label"


def _is_bare(own: Geometry, image: Geometry) -> bool:
    sizes = np.abs(np.diag(own.matrix)[:3])
    if not np.array_equal(np.abs(own.matrix), np.diag([*sizes, 1.0])):
        return False
    return bool((sizes == 1.0).all()) or np.allclose(sizes, image.spacing_mm[::-1], rtol=_SAME_SIZE)
