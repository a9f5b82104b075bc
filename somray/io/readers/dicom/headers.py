"""DICOM headers to frames: one frame is one slice, whether a file holds one or many.

Only what places and scales a slice leaves this module; names, ids and dates do not (the patient's id is
compared through a hash that is never stored).
"""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

from somray.errors import DataError
from somray.io.readers.dicom.suv import PetScaling, pet_scaling

__all__ = ["DicomFrame", "list_files", "read_frames"]

IGNORED_SUFFIXES = {
    ".txt", ".json", ".xml", ".csv", ".tsv", ".html", ".htm", ".pdf", ".md", ".yaml", ".yml",
    ".jpg", ".jpeg", ".png", ".gif", ".zip", ".log", ".bat", ".exe", ".inf", ".ini",
}  # fmt: skip
"""Files that lie beside series on disks and disks only; anything else in a folder must be DICOM."""

OBJECTS = ("SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "KO", "REG", "DOC")
"""Modalities that are no scans of their own."""


@dataclass(frozen=True)
class DicomFrame:
    """One slice.

    Args:
        path: file.
        index: frame within the file, from 0.
        series: hash of series, patient and frame of reference: slices of one volume share it.
        modality: as DICOM spells it.
        is_localizer: a scout.
        size: rows, columns.
        position: LPS mm of the first voxel's centre, None where the header lacks it.
        orientation: direction cosines of a row, then of a column.
        pixel_mm: distance of rows, of columns; None where the header lacks it.
        thickness_mm: slice thickness or spacing, for a volume of one slice.
        time: time point, 0 where the header names none.
        slope: physical value = slope × stored + intercept.
        intercept: see slope.
        unit: HU or raw; PET units stand in `pet`.
        padding: stored values (low, high) that were never measured.
        pet: how a rescaled PET value becomes Bq/ml or SUV.
    """

    path: str
    index: int
    series: str
    modality: str
    is_localizer: bool
    size: tuple[int, int]
    position: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    pixel_mm: tuple[float, float] | None
    thickness_mm: float | None
    time: int
    slope: float
    intercept: float
    unit: str
    padding: tuple[float, float] | None
    pet: PetScaling | None


def list_files(path: Path) -> list[Path]:
    """List what may be DICOM: the file itself, or all files directly in the folder, by name."""
    if path.is_file():
        return [path]
    return sorted(
        p
        for p in path.iterdir()
        if p.is_file()
        and not p.name.startswith(".")
        and p.name.upper() != "DICOMDIR"
        and p.suffix.lower() not in IGNORED_SUFFIXES
    )


def read_frames(file: Path) -> list[DicomFrame]:
    """Read one file's header.

    Raises:
        DataError: `unreadable`, `truncated`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(file, stop_before_pixels=True)
            return _frames(file, data)
    except InvalidDicomError as error:
        if file.stat().st_size < 132:
            raise DataError(
                "truncated", f"{file}: ends within its header; copy it again"
            ) from error
        raise DataError("unreadable", f"{file}: is not DICOM; move it out of the folder") from error
    except EOFError as error:
        raise DataError("truncated", f"{file}: ends within its header; copy it again") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError, NotImplementedError) as error:
        raise DataError("unreadable", f"{file}: header is damaged ({error})") from error


def _frames(file: Path, data: Any) -> list[DicomFrame]:  # Any: pydicom's datasets are dynamic
    modality = str(data.get("Modality", ""))
    if modality in OBJECTS:
        raise DataError(
            "unreadable", f"{file}: is a {modality} object, not a scan; move it out of the folder"
        )
    if "Rows" not in data or "Columns" not in data:
        raise DataError("truncated", f"{file}: ends within its header; copy it again")
    count = int(data.get("NumberOfFrames") or 1)
    if int(data.get("SamplesPerPixel") or 1) != 1:
        raise DataError("unreadable", f"{file}: is a colour image; one number per voxel is read")
    plain_bytes = (
        int(data.Rows) * int(data.Columns) * count * int(data.get("BitsAllocated") or 8) // 8
    )
    compressed = data.file_meta.get("TransferSyntaxUID")
    if not (compressed and compressed.is_compressed) and file.stat().st_size < plain_bytes:
        raise DataError("truncated", f"{file}: ends before its pixels do; copy it again")
    per_frame = data.get("PerFrameFunctionalGroupsSequence")
    if count > 1 and per_frame is None:
        raise DataError(
            "unreadable", f"{file}: {count} frames without positions; export single slices"
        )
    pet = pet_scaling(data) if data.get("Modality") == "PT" else None
    shared = data.get("SharedFunctionalGroupsSequence")
    common = shared[0] if shared else None
    groups = list(per_frame) if per_frame is not None else [None]
    return [_frame(file, i, data, [g for g in (group, common) if g is not None], pet)
            for i, group in enumerate(groups)]  # fmt: skip


def _value(data: Any, groups: list[Any], sequence: str, name: str) -> Any:  # Any: pydicom
    """Look a value up in the frame's groups, then the shared ones, then the file itself."""
    for group in groups:
        inner = group.get(sequence)
        if inner and inner[0].get(name) is not None:
            return inner[0].get(name)
    return data.get(name)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:  # Any: pydicom multi-value
    if value is None or value == "" or len(value) != count:
        return None
    return tuple(float(v) for v in value)


def _frame(
    file: Path, index: int, data: Any, groups: list[Any], pet: PetScaling | None
) -> DicomFrame:  # Any: pydicom
    """Collect what places and scales one slice."""

    def look(sequence: str, name: str) -> Any:  # Any: pydicom
        return _value(data, groups, sequence, name)

    position = _numbers(look("PlanePositionSequence", "ImagePositionPatient"), 3)
    spacing = _numbers(look("PixelMeasuresSequence", "PixelSpacing"), 2)
    thickness = data.get("SpacingBetweenSlices") or look("PixelMeasuresSequence", "SliceThickness")
    slope = look("PixelValueTransformationSequence", "RescaleSlope")
    intercept = look("PixelValueTransformationSequence", "RescaleIntercept")
    modality = str(data.get("Modality", ""))
    kind = [str(v).upper() for v in data.get("ImageType") or []]
    padding = data.get("PixelPaddingValue")
    limit = data.get("PixelPaddingRangeLimit", padding)
    who = [str(data.get(k, "")) for k in ("SeriesInstanceUID", "PatientID", "FrameOfReferenceUID")]
    return DicomFrame(
        path=str(file),
        index=index,
        series=hashlib.sha256("\0".join(who).encode()).hexdigest(),
        modality=modality,
        is_localizer=bool({"LOCALIZER", "SCOUT"} & set(kind)),
        size=(int(data.Rows), int(data.Columns)),
        position=None if position is None else (position[0], position[1], position[2]),
        orientation=_numbers(look("PlaneOrientationSequence", "ImageOrientationPatient"), 6),
        pixel_mm=None if spacing is None else (spacing[0], spacing[1]),
        thickness_mm=float(thickness) if thickness else None,
        time=int(data.get("TemporalPositionIdentifier") or _temporal(groups)),
        slope=1.0 if slope in (None, "") else float(slope),
        intercept=0.0 if intercept in (None, "") else float(intercept),
        unit=_unit(modality, intercept, look("PixelValueTransformationSequence", "RescaleType")),
        padding=None if padding is None else (min(padding, limit), max(padding, limit)),
        pet=pet,
    )


def _temporal(groups: list[Any]) -> int:  # Any: pydicom
    """Return the time index of an enhanced frame, 0 where it has none."""
    for group in groups:
        content = group.get("FrameContentSequence")
        if content and content[0].get("TemporalPositionIndex"):
            return int(content[0].TemporalPositionIndex)
    return 0


def _unit(modality: str, intercept: Any, rescale: Any) -> str:  # Any: pydicom
    """Name the unit of the rescaled values; raw where the header does not vouch for one."""
    has_hu = intercept not in (None, "") and str(rescale or "HU").upper() == "HU"
    return "HU" if modality == "CT" and has_hu else "raw"
