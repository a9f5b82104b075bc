"""The DICOM object of a place that outlines something: a Segmentation or an RT Structure Set, told by its class."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from somray.errors import DataError, SomrayError
from somray.io.readers import split_channel
from somray.io.readers.dicom.dataset import is_dicom_file, quiet
from somray.io.readers.dicom.headers import list_files

__all__ = ["MASKS", "mask_object", "unquoted"]

MASKS = {
    SegmentationStorage: "SEG",
    "1.2.840.10008.5.1.4.1.1.66.7": "SEG",  # of label maps
    RTStructureSetStorage: "RTSTRUCT",
}
"""Kind of object by its class."""


def mask_object(path: str | Path) -> tuple[Path, str] | None:
    """Find a file's own kind, or the only such object in a folder: they lie beside their series, or alone.

    Returns:
        The file, and SEG or RTSTRUCT; None where there is none.

    Raises:
        DataError: `unreadable`: there are several.
    """
    place = Path(split_channel(str(path))[0])
    files = list_files(place) if place.is_dir() else [place] if place.is_file() else []
    found = [(file, kind) for file in files if (kind := _kind(file))]
    if len(found) > 1:
        raise DataError(
            "unreadable",
            f"{path}: holds {len(found)} segmentations, such as {found[0][0]} and {found[1][0]}; name the file of one",
        )
    return next(iter(found), None)


def _kind(file: Path) -> str:
    if not is_dicom_file(file):
        return ""
    try:
        with quiet():  # planning systems leave the preamble out
            head = pydicom.dcmread(
                file, specific_tags=["SOPClassUID"], stop_before_pixels=True, force=True
            )
            return MASKS.get(head.get("SOPClassUID"), "")
    except Exception:  # whatever a damaged file raises; its reader says what it is
        return ""


@contextmanager
def unquoted(path: Path) -> Iterator[None]:
    """Keep the words of pydicom back: they may quote a value, and a value may name a person."""
    try:
        with quiet():
            yield
    except (SomrayError, OSError):
        raise
    except Exception as error:
        raise DataError(
            "unreadable",
            f"{path}: its header is damaged ({type(error).__name__}); copy it again, or export it anew",
        ) from None
