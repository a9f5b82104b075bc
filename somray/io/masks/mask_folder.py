"""A folder with one mask per label, as TotalSegmentator and people who draw lesion by lesion write it.

Its files in the order of their names are labels 1, 2 …; where two overlap the first holds the voxel.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError
from somray.io.masks.label_tally import LabelTally
from somray.io.readers import Source
from somray.io.readers.nifti import is_nifti
from somray.io.readers.nrrd import is_nrrd

__all__ = ["WHOLE", "MaskFolder", "masks_within"]

WHOLE = 1e-3
"""A label this near to a whole number is one; scaling in headers rounds."""

_MOST_FILES = 512  # all are open at once


class MaskFolder(Source):
    """Open masks of one grid as a single one, whose header is the first's; they are closed with it.

    Raises:
        DataError: `unreadable`: they are not on one grid.
    """

    def __init__(self, path: str, parts: Sequence[Source]) -> None:
        super().__init__(path, parts[0].header)
        self._parts = [(part, LabelTally()) for part in parts]
        for part in parts:
            if not part.header.geometry.is_same_grid(self.header.geometry):
                self.close()
                raise DataError(
                    "unreadable",
                    f"{part.path}: lies on another grid than {parts[0].path}; masks of one folder must share theirs",
                )

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        labels = np.zeros((z1 - z0, *self.header.shape[2:]), dtype=np.float32)
        for number, (part, kinds) in enumerate(self._parts, start=1):
            values = np.nan_to_num(part.read(t, z0, z1), nan=0.0, posinf=0.5, neginf=0.0)
            rounded = np.rint(values)
            kinds.add(rounded[len(rounded) // 2].astype(np.int32))
            is_whole = bool((np.abs(values - rounded) <= WHOLE).all())
            if fault := kinds.fault() if is_whole else "holds values that are no whole numbers":
                raise DataError(
                    "unreadable", f"{part.path}: {fault}; keep masks alone in a folder of masks"
                )
            labels[(rounded > 0) & (labels == 0)] = number
        return labels

    @property
    def data_files(self) -> tuple[str, ...]:
        """The files that hold the voxels of its masks, where their headers name any."""
        return tuple(file for part, _ in self._parts for file in part.data_files)

    def close(self) -> None:
        """Let go of open files; harmless when repeated."""
        for part, _ in self._parts:
            part.close()


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
