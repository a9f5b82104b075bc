"""Source files to `Source`: a header at once, slabs in physical values on request.

`READERS` is asked in order; the first that recognises a path opens it. Units become mm and axes t, z, y, x
here and nowhere else. A reader never lets a patient's name, id or date out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from somray.domain.geometry import Geometry
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.dicom.reader import is_dicom, open_dicom
from somray.io.readers.foreign import of_named
from somray.io.readers.metaimage import is_metaimage, open_metaimage
from somray.io.readers.nifti import is_nifti, open_nifti
from somray.io.readers.nrrd import is_nrrd, open_nrrd
from somray.io.readers.omezarr.reader import is_omezarr, open_omezarr
from somray.io.readers.remote import local_path, open_remote
from somray.io.readers.slices.reader import is_slices, open_slices
from somray.io.readers.source import Source, coded
from somray.io.readers.standins import stand_in
from somray.io.readers.tiff.reader import is_tiff, open_tiff
from somray.io.storage import is_url

__all__ = ["READERS", "Reader", "Source", "open_source", "split_channel"]

_CHANNEL = re.compile(r"(.+)#channel=([^#]+)")
_PICTURES = (".jpg", ".jpeg", ".bmp", ".gif")
_ONE_FILE = ("nifti", "nrrd", "metaimage")  # formats that hold a volume in one file

_ASSUMED = {
    "spacing_assumed": ("z", "y", "x"),
    "z_spacing_assumed": ("z",),
    "thickness_assumed": ("z",),
}


@dataclass(frozen=True)
class Reader:
    """One format: how it is told (cheap, without a `DataError`) and opened, and, where it has channels, one of them."""

    sniff: Callable[[Path], bool]
    open: Callable[[Path, str], Source]
    open_channel: Callable[[Path, str, str], Source] | None = None


READERS: dict[str, Reader] = {
    "ome-zarr": Reader(is_omezarr, open_omezarr, open_omezarr),
    "nifti": Reader(is_nifti, open_nifti),
    "nrrd": Reader(is_nrrd, open_nrrd),
    "metaimage": Reader(is_metaimage, open_metaimage),
    "dicom": Reader(is_dicom, open_dicom),
    "tiff": Reader(is_tiff, open_tiff, open_tiff),
    "slices": Reader(is_slices, open_slices, open_slices),
}
"""The formats, by name, in the order they are tried."""


def split_channel(path: str) -> tuple[str, str | None]:
    """Part `#channel=NAME` from the end of a path or URL.

    Returns:
        The path, and the channel's name or number from 0; None where none is named, or a file is called so.
    """
    found = _CHANNEL.fullmatch(path)
    if found is None or (not is_url(path) and Path(path).exists()):
        return path, None
    return found.group(1), found.group(2)


def open_source(
    path: str | Path,
    irregular: str = "refuse",
    spacing_mm: tuple[float, float, float] | None = None,
) -> Source:
    """Open one channel of a scan: a file, a folder of DICOM, TIFF or PNG slices, an OME-Zarr group.

    Args:
        path: file or folder of this machine, or an fsspec URL; `#channel=NAME` at its end chooses one of
            several channels of a TIFF or OME-Zarr.
        irregular: refuse or resample uneven slice gaps and gantry tilt.
        spacing_mm: (z, y, x), taken where the file names no voxel size.

    Raises:
        DataError: `missing`, `unreadable`, `truncated`, `irregular`, `localizer`, `mixed_series`,
            `no_space`, `no_units`, `too_large`, `storage`.
    """
    place, channel = split_channel(str(path))
    if is_url(place) and local_path(place) is None:
        source = open_remote(place, channel, lambda local: _open_local(local, irregular, channel))
    else:
        source = _open_local(local_path(place) or place, irregular, channel)
    source.header = _with_spacing(source.header, spacing_mm)
    return source


def _with_spacing(header: ScanHeader, spacing_mm: tuple[float, float, float] | None) -> ScanHeader:
    """Put a given voxel size (z, y, x) where the file names none, and `spacing_given` for what it assumes."""
    axes = [axis for code in header.repairs for axis in _ASSUMED.get(code, ())]
    if spacing_mm is None or not axes:
        return header
    matrix = header.geometry.matrix
    for axis, size in zip("zyx", spacing_mm, strict=True):
        if axis in axes:
            column = "xyz".index(axis)
            matrix[:3, column] *= size / np.linalg.norm(matrix[:3, column])
    kept = [code for code in header.repairs if code not in _ASSUMED]
    geometry = Geometry.from_matrix(header.geometry.shape, matrix)
    return replace(header, geometry=geometry, repairs=("spacing_given", *kept))


def _open_local(path: str, irregular: str, channel: str | None) -> Source:
    """Ask every reader in turn."""
    place = Path(path)
    with coded(place):
        what = stand_in(place)
        if not place.exists():
            what = what or "does not exist; correct the path in the manifest"
            raise DataError("missing", f"{place}: {what}")
        if not place.is_file() and not place.is_dir():
            what = "is a pipe or a device; name a file or folder"
        for name, reader in () if what else READERS.items():
            if reader.sniff(place):
                return _open_with(name, place, irregular, channel)
        raise DataError("unreadable", f"{place}: {what or _of_unknown(place)}")


def _of_unknown(place: Path) -> str:
    """Say what a file or folder is that no reader knows, and what to do."""
    files = sorted(place.iterdir()) if place.is_dir() else []
    picture = next((f.name for f in files or [place] if f.suffix.lower() in _PICTURES), "")
    if picture:
        return f"{picture} is a picture made for looking at, with values lost; export the slices as TIFF or PNG"
    volume = next((f.name for f in files if any(READERS[n].sniff(f) for n in _ONE_FILE)), "")
    if volume:
        return f"is a folder with a volume in each file, such as {volume}; name one file"
    what = "holds no files" if place.is_dir() else "is not a file"
    kinds = ", ".join(READERS)
    otherwise = f"{what} that somray reads ({kinds}); name the folder of one series or a file"
    return of_named(place) or otherwise


def _open_with(name: str, place: Path, irregular: str, channel: str | None) -> Source:
    reader = READERS[name]
    if channel is None:
        return reader.open(place, irregular)
    if reader.open_channel is None:
        raise DataError(
            "unreadable",
            f"{place}: is {name}, which holds no channels to choose from; leave `#channel=` out",
        )
    return reader.open_channel(place, irregular, channel)
