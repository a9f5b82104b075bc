"""What an organ mask's values are called.

The first source that has names gives all of them: the protocol's table; the mask's own header (NIfTI's extension
as TotalSegmentator writes it, 3D Slicer's segments in NRRD, those of a DICOM Segmentation, the regions of an
RTSTRUCT); the file names of a folder with one mask per organ; a file beside the mask with its name; `names.json` or
nnU-Net's `dataset.json` beside it. No table is built in, since the same tool numbers organs differently from version
to version: a value without a name stays unnamed.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from somray.errors import DataError
from somray.io.masks.dicom_objects import mask_object
from somray.io.masks.dicom_seg import dicom_segments
from somray.io.masks.mask_folder import masks_within
from somray.io.masks.name_tables import names_of_json, names_of_text, table_of
from somray.io.masks.rtstruct import regions_of
from somray.io.masks.segment_layers import segments_of
from somray.io.readers import split_channel
from somray.io.readers.nifti import is_nifti, nifti_extensions
from somray.io.readers.nrrd import is_nrrd
from somray.io.readers.remote import fetched
from somray.io.readers.source import coded

__all__ = ["organ_names"]

_ENDINGS = re.compile(
    r"(\.seg)?\.(nii|nii\.gz|hdr|img|hdr\.gz|img\.gz|nrrd|nhdr|mha|mhd|tiff?|btf|png)$",
    re.IGNORECASE,
)
_TEXTS = (".csv", ".tsv", ".txt", ".label", ".lut", ".ctbl")
_MOST_XML_BYTES = 1 << 20


def organ_names(path: str, table: Mapping[int, str] | None = None) -> dict[int, str]:
    """Find the names of an organ mask's values.

    Args:
        path: the mask, as the manifest names it; of one behind a URL itself is asked, not what lies beside it.
        table: the protocol's `anatomy`; where it holds names, nothing else is read.

    Returns:
        Value to name, values ascending, names cleaned; empty where nothing names them.

    Raises:
        DataError: `unreadable`: a table of names is damaged or gives one value two names.
    """
    if table:
        return table_of(table.items(), "the protocol's anatomy")
    with fetched(split_channel(path)[0]) as place:
        if place is None:
            return {}
        return _in_folder(place) or _in_header(place) or _beside(place)


def _in_folder(path: Path) -> dict[int, str]:
    """Name the masks of a folder by their files."""
    files = [Path(file) for file in masks_within(str(path))]
    return table_of(enumerate((stem(file) for file in files), start=1), str(path))


def stem(path: Path) -> str:
    """Return a mask's file name without the endings of its format."""
    return _ENDINGS.sub("", path.name)


def _in_header(path: Path) -> dict[int, str]:
    """Read the names in a mask's own header."""
    with coded(path):
        if is_nifti(path):
            return _in_nifti(path)
        if is_nrrd(path):
            return table_of(((one.label, one.name) for one in segments_of(path)), str(path))
        if (found := mask_object(path)) is None:
            return {}
        file, kind = found
        regions = dicom_segments(file) if kind == "SEG" else regions_of(file)
        return table_of(((one.label, one.name) for one in regions), str(path))


def _in_nifti(path: Path) -> dict[int, str]:
    """Read `<LabelTable><Label Key="1">spleen</Label>` of the header's extensions."""
    for extension in nifti_extensions(path):
        content = extension.strip(b"\0 \t\r\n")
        if b"<LabelTable" in content:
            return _labels_of_xml(content, path)
    return {}


def _labels_of_xml(content: bytes, path: Path) -> dict[int, str]:
    """Read the labels of a Caret or CIFTI header; entities, which could swell, are refused."""
    advice = "write the mask anew, or name its values in the protocol's `anatomy`"
    if len(content) > _MOST_XML_BYTES or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise DataError("unreadable", f"{path}: its table of names is no plain XML; {advice}")
    try:
        labels = list(ET.fromstring(content).iter("Label"))
    except (ET.ParseError, LookupError, ValueError) as error:
        raise DataError(
            "unreadable", f"{path}: its table of names is damaged ({error}); {advice}"
        ) from error
    return table_of(((label.get("Key", ""), label.text or "") for label in labels), str(path))


def _beside(path: Path) -> dict[int, str]:
    """Read the file beside a mask that names its values."""
    own = path.parent / stem(path)
    side = own.with_name(own.name + ".json")
    names = names_of_json(side) if side.is_file() else {}
    for ending in _TEXTS:
        side = own.with_name(own.name + ending)
        if not names and side.is_file():
            names = names_of_text(side)
    for shared in ("names.json", "dataset.json"):
        side = path.parent / shared
        if not names and side.is_file():
            names = names_of_json(side, is_dataset=shared == "dataset.json")
    return names
