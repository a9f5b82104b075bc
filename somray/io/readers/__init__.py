"""Source files to `Source`: a header at once, slabs in physical values on request.

`READERS` is asked in order; the first that recognises a path opens it. Units become mm and axes t, z, y, x
here and nowhere else. A reader never lets a patient's name, id or date out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from somray.errors import DataError
from somray.io.readers.dicom.reader import is_dicom, open_dicom
from somray.io.readers.metaimage import is_metaimage, open_metaimage
from somray.io.readers.nifti import is_nifti, open_nifti
from somray.io.readers.nrrd import is_nrrd, open_nrrd
from somray.io.readers.slices.reader import is_slices, open_slices
from somray.io.readers.source import Source, coded
from somray.io.readers.tiff.reader import is_tiff, open_tiff

__all__ = ["READERS", "Reader", "Source", "open_source"]


@dataclass(frozen=True)
class Reader:
    """One format.

    Args:
        sniff: whether a path looks like it; cheap, never raises a `DataError`.
        open: opens it; the second argument is refuse or resample for irregular series.
    """

    sniff: Callable[[Path], bool]
    open: Callable[[Path, str], Source]


READERS: dict[str, Reader] = {
    "nifti": Reader(is_nifti, open_nifti),
    "nrrd": Reader(is_nrrd, open_nrrd),
    "metaimage": Reader(is_metaimage, open_metaimage),
    "dicom": Reader(is_dicom, open_dicom),
    "tiff": Reader(is_tiff, open_tiff),
    "slices": Reader(is_slices, open_slices),
}
"""The formats, by name, in the order they are tried."""


def open_source(path: str | Path, irregular: str = "refuse") -> Source:
    """Open a scan file, or a folder of DICOM or TIFF slices, of one channel.

    Args:
        path: file or folder of this machine.
        irregular: refuse or resample uneven slice gaps and gantry tilt.

    Raises:
        DataError: `missing`, `unreadable`, `truncated`, `irregular`, `localizer`, `mixed_series`,
            `no_space`, `no_units`.
    """
    place = Path(path)
    with coded(place):
        if not place.exists():
            raise DataError("missing", f"{place}: does not exist; correct the path in the manifest")
        for reader in READERS.values():
            if reader.sniff(place):
                return reader.open(place, irregular)
    kinds = ", ".join(READERS)
    what = (
        "holds no files that somray reads" if place.is_dir() else "is not a file that somray reads"
    )
    raise DataError(
        "unreadable", f"{place}: {what} ({kinds}); name the folder of one series or a file"
    )
