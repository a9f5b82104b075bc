"""A mask as an RT structure set: one ROI a class or a lesion, one closed contour a part and slice.

Contours lie in the planes of the source's slices, along the edges of pixels (see `contours`), in LPS mm; holes
are joined by keyholes. UIDs derive from the source's and the mask's content and dates are the source's: the
same mask gives the same bytes.
Source: DICOM PS3.3 A.19, C.8.8.5, C.8.8.6, C.8.8.8.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid
from pydicom.valuerep import DSfloat

from somray.domain.geometry import Geometry
from somray.errors import ExportError
from somray.io.storage import Storage
from somray.io.writers.dicom.contours import outlines
from somray.io.writers.dicom.slices import (
    PATIENT_AND_STUDY,
    PATIENT_GROUPS,
    SliceMask,
    SourceSlices,
    carried_over,
    plain_name,
    tracking_uid,
    written,
)

__all__ = ["write_rtstruct"]

MOST_POINTS = 20_000_000
"""Contour points of one object; each takes about 150 bytes while it is written."""

_STUDY = (
    "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, retired; still what the sequence names
)


def write_rtstruct(storage: Storage, name: str, mask: SliceMask) -> None:
    """Write `name`, a .dcm.

    Raises:
        ExportError: the mask is empty or has too many contours.
        StoreError: it cannot be written.
    """
    with carried_over(mask.slices):
        data = _common(mask)
        data.ReferencedFrameOfReferenceSequence = [_referenced(mask.slices)]
        data.StructureSetROISequence = _regions(mask)
        data.ROIContourSequence = _contours(mask)
        data.RTROIObservationsSequence = _observations(mask)
        packed = written(data)
    storage.write_bytes(name, packed)


def _common(mask: SliceMask) -> Any:  # Any: pydicom's datasets are dynamic
    """Return patient, study, series, equipment and the set's own names."""
    source, slices = mask.slices.first, mask.slices
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = RTStructureSetStorage
    data.SOPInstanceUID = slices.uid("rtstruct", mask.digest)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.ImplementationClassUID = generate_uid(entropy_srcs=["somray"])
    if source.get("SpecificCharacterSet"):
        data.SpecificCharacterSet = source.SpecificCharacterSet
    for name in (*PATIENT_AND_STUDY, "StudyInstanceUID", "StudyDescription", "FrameOfReferenceUID"):
        if name in source:
            setattr(data, name, source.get(name))
    for tag in source.keys():  # noqa: SIM118  # decodes these alone
        if tag.group in PATIENT_GROUPS:
            data[tag] = source[tag]
    data.PositionReferenceIndicator = source.get("PositionReferenceIndicator") or ""
    data.Modality, data.OperatorsName = "RTSTRUCT", ""
    data.SeriesInstanceUID = slices.uid("rtstruct series", mask.digest)
    data.SeriesNumber, data.InstanceNumber = 9100, 1
    data.SeriesDescription = f"somray {mask.label}"
    data.Manufacturer = data.ManufacturerModelName = "somray"
    data.SoftwareVersions = mask.version
    data.StructureSetLabel = f"somray {mask.label}"[:16]
    data.StructureSetDate, data.StructureSetTime = slices.moment
    data.ApprovalStatus = "UNAPPROVED"
    return data


def _referenced(slices: SourceSlices) -> Dataset:
    """Name frame of reference, study, series and every slice."""
    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = slices.first.SeriesInstanceUID
    series.ContourImageSequence = [_image(slices, z) for z in range(len(slices.files))]
    study.ReferencedSOPClassUID = _STUDY
    study.ReferencedSOPInstanceUID = slices.first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = slices.first.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _image(slices: SourceSlices, z: int) -> Dataset:
    """Refer to a slice."""
    found = Dataset()
    found.ReferencedSOPClassUID = slices.headers[z].SOPClassUID
    found.ReferencedSOPInstanceUID = slices.headers[z].SOPInstanceUID
    if int(slices.headers[z].get("NumberOfFrames") or 1) > 1:
        found.ReferencedFrameNumber = slices.files[z].frame + 1
    return found


def _regions(mask: SliceMask) -> list[Dataset]:
    found = []
    for number, segment in enumerate(mask.present, start=1):
        region = Dataset()
        region.ROINumber, region.ROIName = number, plain_name(segment)
        region.ReferencedFrameOfReferenceUID = mask.slices.first.FrameOfReferenceUID
        region.ROIGenerationAlgorithm = "AUTOMATIC"
        if (tracked := tracking_uid(segment)) is not None:
            region.ROIDescription = f"tracking UID {tracked}"
        found.append(region)
    return found


def _contours(mask: SliceMask) -> list[Dataset]:
    found, points = [], 0
    for number, segment in enumerate(mask.present, start=1):
        region = Dataset()
        region.ROIDisplayColor = list(segment.color[:3])
        region.ReferencedROINumber = number
        region.ContourSequence = []
        for z, outline in _outlined(mask, segment.value):
            points += len(outline)
            if points > MOST_POINTS:
                raise ExportError(
                    f"its contours have more than {MOST_POINTS} points; export it as dicom-seg"
                )
            contour = Dataset()
            contour.ContourImageSequence = [_image(mask.slices, z)]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(outline)
            contour.ContourData = _in_patient(outline, mask.slices.files[z].plane)
            region.ContourSequence.append(contour)
        found.append(region)
    return found


def _outlined(mask: SliceMask, value: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    for z, plane in enumerate(mask.pixels):
        for outline in outlines(plane == value):
            yield z, outline


def _in_patient(outline: NDArray[np.float64], plane: Geometry) -> list[DSfloat]:
    """Take (n, 2) pixels x, y of a slice to a flat list x, y, z in LPS mm."""
    indices = np.column_stack([np.zeros(len(outline)), outline[:, 1], outline[:, 0]])
    return [
        DSfloat(float(f"{value + 0.0:.9g}"), auto_format=True)
        for value in plane.to_world(indices).ravel()
    ]


def _observations(mask: SliceMask) -> list[Dataset]:
    found = []
    for number in range(1, len(mask.present) + 1):
        observation = Dataset()
        observation.ObservationNumber = observation.ReferencedROINumber = number
        observation.RTROIInterpretedType, observation.ROIInterpreter = "", ""
        found.append(observation)
    return found
