"""Whether a series is whole, by what its headers tell and where its slices lie; see `orders`, where runs note it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from somray.commands.dicom_node.settings import RefusalError
from somray.io.readers import Source
from somray.io.readers.dicom.orders import MISSING_SHARE, thinned

__all__ = ["check_files", "check_gaps"]

_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_TOLD = (
    "SOPClassUID", "Manufacturer", "NumberOfSlices", "NumberOfTimeSlices", "ImagesInAcquisition", "AcquisitionNumber",
    "NumberOfFrames", "NumberOfSeriesRelatedInstances", "Modality", "InstanceNumber", "ImagePositionPatient",
    "ImageOrientationPatient", "SpacingBetweenSlices", "SliceThickness",
)  # fmt: skip


def check_files(folder: Path) -> None:
    """Refuse captures, our own objects, and series of which the headers tell of more than there is.

    Raises:
        RefusalError: `derived` or `incomplete`.
    """
    headers = [_head(file) for file in sorted(folder.iterdir())]
    if all(str(h.get("SOPClassUID", "")).startswith(_CAPTURE) for h in headers):
        raise RefusalError("derived", "its images are screen captures")
    if any(str(h.get("Manufacturer", "")) == "somray" for h in headers):
        raise RefusalError("derived", "it was made by somray")
    frames = sum(_whole(h.get("NumberOfFrames"), 1) for h in headers)
    wanted = max(_announced(headers, frames))
    if frames < wanted:
        raise RefusalError(
            "incomplete",
            f"{frames} slices are there, its header tells of {wanted}; send the others",
        )
    step = _thinned(headers)
    if step > 1:
        raise RefusalError(
            "incomplete",
            f"its slices are numbered in steps of {step} and lie {step} times as far apart as their header tells; send "
            "the others",
        )


def _announced(headers: Sequence[Any], frames: int) -> list[int]:  # Any: pydicom's datasets
    """List how many slices headers tell of, each in its own words (PS3.3 C.8.9.1, C.7.6.1; PS3.4 C.3.4)."""
    found = [0]
    there = Counter(str(h.get("AcquisitionNumber")) for h in headers)
    for header in headers:
        times = max(1, _whole(header.get("NumberOfTimeSlices"), 1))  # of PET: slices are of each
        found.append(_whole(header.get("NumberOfSlices"), 0) * times)
        told = _whole(header.get("ImagesInAcquisition"), 0)
        if there[str(header.get("AcquisitionNumber"))] < told and frames < told:
            found.append(told)
        instances = _whole(header.get("NumberOfSeriesRelatedInstances"), 0)
        if len(headers) < instances:  # an instance of many frames counts once
            found.append(max(instances, frames + 1))
    return found


def _thinned(headers: Sequence[Any]) -> int:  # Any: pydicom's datasets
    """Return by how much slices are numbered and spread evenly beyond what they tell; 1 where they are not."""
    try:
        normal = np.cross(*np.reshape(headers[0].ImageOrientationPatient, (2, 3)).astype(float))
        placed = sorted(
            (float(normal @ np.asarray(h.ImagePositionPatient, float)), int(h.InstanceNumber))
            for h in headers
        )
        spacing, thickness = (
            float(headers[0].get(name) or np.nan)
            for name in ("SpacingBetweenSlices", "SliceThickness")
        )
    except (AttributeError, TypeError, ValueError):  # a header tells no place: nothing is known
        return 1
    heights, numbers = np.array([h for h, _ in placed]), [number for _, number in placed]
    return thinned(heights, numbers, spacing, thickness)


def _head(file: Path) -> Any:  # Any: pydicom's datasets are dynamic
    try:
        return pydicom.dcmread(file, specific_tags=list(_TOLD), stop_before_pixels=True, force=True)
    except Exception:  # the reader says what a damaged file is
        return pydicom.Dataset()


def _whole(value: Any, default: int) -> int:  # Any: pydicom
    try:
        return int(value)
    except (TypeError, ValueError):
        return default


def check_gaps(source: Source) -> None:
    """Refuse a series that lacks a slice, which a reader that may resample would bridge.

    Raises:
        RefusalError: `incomplete`.
    """
    planes = [file.plane.matrix for file in source.slice_files(0)]
    if len(planes) < 3:
        return
    normal = planes[0][:3, 2] / np.linalg.norm(planes[0][:3, 2])
    gaps = np.abs(np.diff([plane[:3, 3] @ normal for plane in planes]))
    if gaps.max() > MISSING_SHARE * np.median(gaps):
        raise RefusalError("incomplete", "there is a gap between its slices; send the missing ones")
