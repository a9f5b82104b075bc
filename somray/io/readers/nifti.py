"""NIfTI-1 and -2 (.nii, .nii.gz, .hdr/.img): header through nibabel, voxels through `RawSource`.

NIfTI's world is RAS; ours is LPS, so x and y change sign. `scl_slope` is honoured. The sform is taken
where its code is set, else the qform, as nibabel does; with neither, the spacing alone is known.
"""

import gzip
import warnings
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.raw import RawLayout, RawSource, volume_shape
from somray.io.readers.source import Source, grid_of

__all__ = ["is_nifti", "open_nifti"]

SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz")
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM_PER_UNIT = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}


def is_nifti(path: Path) -> bool:
    """Tell NIfTI by its name; its magic number is checked when it is opened."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def open_nifti(path: Path, irregular: str = "refuse") -> Source:
    """Open a NIfTI file.

    Raises:
        DataError: `unreadable`, `truncated`, `no_space`.
    """
    image = _load(path)
    header = image.header
    shape = volume_shape(str(path), header.get_data_shape())
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.names is not None:
        raise DataError("unreadable", f"{path}: holds {dtype}; one real number per voxel is read")
    stored = image.dataobj  # nibabel keeps offset and scaling here and blanks them in the header
    matrix, repairs = _affine(header)
    geometry = grid_of(str(path), shape[1:], matrix)
    pixels = Path(image.file_map["image"].filename)
    layout = RawLayout(
        files=(str(pixels),),
        dtype=dtype.str,
        inner_offset=int(stored.offset),
        encoding="gzip" if pixels.name.lower().endswith(".gz") else "raw",
        slope=float(stored.slope),
        intercept=float(stored.inter),
    )
    return RawSource(str(path), ScanHeader(shape, geometry, "nifti", repairs=repairs), layout)


def _load(path: Path) -> Any:  # Any: nibabel has no types
    """Read the header alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = nib.load(path)
    except (EOFError, FileNotFoundError) as error:
        raise DataError("truncated", f"{path}: ends within its header ({error})") from error
    except (ImageFileError, OSError, ValueError, zlib.error) as error:
        with_gzip = isinstance(error, gzip.BadGzipFile)
        what = "is not gzip" if with_gzip else f"is not NIfTI ({error})"
        raise DataError("unreadable", f"{path}: {what}") from error
    if not isinstance(image, (nib.Nifti1Pair, nib.Nifti2Pair)):
        raise DataError("unreadable", f"{path}: is {type(image).__name__}, not NIfTI; convert it")
    return image


def _affine(header: Any) -> tuple[NDArray[np.float64], tuple[str, ...]]:  # Any: nibabel
    """Return voxel to LPS mm, and what had to be assumed."""
    coded = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    matrix = np.asarray(header.get_best_affine(), dtype=np.float64)
    try:
        unit = header.get_xyzt_units()[0]
    except KeyError:
        unit = "unknown"
    scale = _MM_PER_UNIT.get(unit, 1.0)
    return _TO_LPS @ np.diag([scale, scale, scale, 1.0]) @ matrix, () if coded else (
        "position_assumed",
    )
