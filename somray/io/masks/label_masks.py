"""A person's label mask, in any readable format, as whole numbers on its own grid.

Also a folder with one mask per label, as TotalSegmentator writes it where it is not asked for one file: its
files in the order of their names are labels 1, 2 …, and where two overlap the first holds the voxel.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.masks.label_tally import LabelTally
from somray.io.masks.opening import open_mask
from somray.io.readers import Source
from somray.io.readers.nifti import is_nifti
from somray.io.readers.nrrd import is_nrrd

__all__ = ["MOST_LABEL", "LabelMask", "grid_of_mask", "masks_within"]

MOST_LABEL = 2**24 - 1
"""Highest label that is read exactly; readers give float32."""

_MOST_FILES = 512  # all are open at once
_SAME_SIZE = 1e-3  # of voxels, which headers round
_WHOLE = 1e-3  # a label this near to a whole number is one; scaling in headers rounds


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
        DataError: codes of `open_mask`; `unreadable`: the masks of a folder are not on one grid.
    """

    def __init__(self, path: str, image: Geometry | None = None) -> None:
        self.path = path
        self._parts = [open_mask(file, image) for file in masks_within(path)]
        self._is_folder = bool(self._parts)
        if not self._is_folder:
            self._parts = [open_mask(path, image)]
        header = self._parts[0].header
        self.geometry = header.geometry
        self.is_placed, self.times = header.is_placed, header.shape[0]
        self._kinds = LabelTally()
        for part in self._parts[1:]:
            self._check_grid(part)

    def grid_on(self, image: Geometry) -> Geometry:
        """Return the mask's grid in the world of the image it was drawn on, see `grid_of_mask`."""
        return grid_of_mask(self._parts[0].header, image)

    def _check_grid(self, part: Source) -> None:
        """Refuse a mask of a folder that lies on another grid than the first."""
        own, first = part.header.geometry, self.geometry
        if not own.is_same_grid(first):
            self.close()
            raise DataError(
                "unreadable",
                f"{part.path}: lies on another grid than {self._parts[0].path}; the masks of one folder "
                "must share theirs",
            )

    def read(self, z0: int, z1: int) -> NDArray[np.int32]:
        """Read slices z0 to z1 (excluded) of the first time point; negative values and NaN are 0.

        Raises:
            DataError: `truncated`; `unreadable`: a value is no whole number, or too large for a label, or all are
                those of an image.
        """
        if not self._is_folder:
            return self._whole(self._parts[0].read(0, z0, z1))
        labels = np.zeros((z1 - z0, *self.geometry.shape[1:]), dtype=np.int32)
        for number, part in enumerate(self._parts, start=1):
            found = self._whole(part.read(0, z0, z1)) > 0
            labels[found & (labels == 0)] = number
        return labels

    def _whole(self, values: NDArray[np.float32]) -> NDArray[np.int32]:
        """Turn what a reader gave into labels."""
        given = np.nan_to_num(values, nan=0.0, posinf=0.5, neginf=0.0)  # infinity is no label
        rounded = np.rint(given)
        if (np.abs(given - rounded) > _WHOLE).any():
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

    def close(self) -> None:
        """Let go of open files; harmless when repeated."""
        for part in self._parts:
            part.close()

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


def _is_bare(own: Geometry, image: Geometry) -> bool:
    sizes = np.abs(np.diag(own.matrix)[:3])
    if not np.array_equal(np.abs(own.matrix), np.diag([*sizes, 1.0])):
        return False
    return bool((sizes == 1.0).all()) or np.allclose(sizes, image.spacing_mm[::-1], rtol=_SAME_SIZE)


def masks_within(path: str) -> list[str]:
    """Return the files of a folder with one NIfTI or NRRD mask per label, by name; empty for all else.

    Raises:
        DataError: `unreadable`: the folder holds too many of them.
    """
    folder = Path(path)
    if not folder.is_dir():
        return []
    files = sorted((f for f in folder.iterdir() if _is_one_mask(f)), key=lambda f: f.name)
    if len(files) > _MOST_FILES:
        raise DataError(
            "unreadable",
            f"{folder}: holds {len(files)} masks, more than {_MOST_FILES}; join them in one file",
        )
    return [str(f) for f in files]


def _is_one_mask(file: Path) -> bool:
    """Whether a file of a folder is a mask by its name; of .hdr and .img the first stands for both."""
    name = file.name.lower()
    if name.startswith(".") or name.endswith((".img", ".img.gz")):
        return False
    return is_nifti(file) or is_nrrd(file)
