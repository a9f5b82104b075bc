"""Write one synthetic volume as a DICOM series, one file a slice, as a scanner would.

Nobody was scanned: subject names are the cohort's own, dates are one fixed dummy day, UIDs derive from
the cohort's seed. CT is stored as HU + 1024; PET as Bq/ml with a header from which SUVbw follows.

Source: DICOM PS3.3 A.3 (CT), A.21 (PET), C.7.6.2 (image plane); PS3.5 B.2 (UIDs from 128-bit numbers).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
)
from pydicom.valuerep import DSfloat

from somray.domain.geometry import Geometry

__all__ = ["SeriesName", "suv_to_activity", "write_series"]

DAY, STUDY_TIME, INJECTION_TIME, SERIES_TIME = "20000101", "090000", "090000", "100000"
WEIGHT_KG = 72.0
DOSE_BQ = 3.5e8
HALF_LIFE_SECONDS = 6586.2
UPTAKE_SECONDS = 3600.0
CT_OFFSET_HU = 1024


@dataclass(frozen=True)
class SeriesName:
    """What tells series apart: cohort seed, subject, session and channel (CT or PET)."""

    seed: int
    subject: str
    session: str
    channel: str


def suv_to_activity() -> float:
    """Return Bq/ml per SUVbw at the start of the series, for the header that is written."""
    return float(DOSE_BQ * 2.0 ** (-UPTAKE_SECONDS / HALF_LIFE_SECONDS) / (WEIGHT_KG * 1000.0))


def _uid(*parts: object) -> str:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def write_series(
    folder: Path, image: NDArray[np.float32], geometry: Geometry, name: SeriesName
) -> None:
    """Write a volume as `folder/0001.dcm` …, feet first.

    Args:
        folder: is created; holds nothing but the series.
        image: (z, y, x) float32, HU for CT, SUV for PET.
        geometry: of the image; becomes position, orientation and spacing.
        name: what the UIDs and the header's names derive from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    is_pet, slope = name.channel == "PET", 1.0
    if is_pet:
        highest = float(np.float64(image.max()) * suv_to_activity())
        slope = float(f"{max(highest, 1.0) / 32000:.7g}")
    for z, plane in enumerate(image):
        data = _common(name, z, len(image))
        _place(data, geometry, z)
        if is_pet:
            _pet(data, slope, z, len(image))
            activity = plane.astype(np.float64) * suv_to_activity()
            stored = np.clip(np.round(activity / slope), 0, 32767)
        else:
            _ct(data)
            stored = np.clip(np.round(plane + np.float32(CT_OFFSET_HU)), 0, 65535)
        _pixels(data, stored.astype("<u2"))
        data.save_as(folder / f"{z + 1:04d}.dcm", enforce_file_format=True)


def _common(name: SeriesName, z: int, slices: int) -> Any:  # Any: pydicom's datasets are dynamic
    """Return a slice's header up to what every series shares."""
    storage = PositronEmissionTomographyImageStorage if name.channel == "PET" else CTImageStorage
    key = (name.seed, name.subject)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = storage
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.ImplementationClassUID = _uid("somray")
    data.SOPClassUID = storage
    data.SOPInstanceUID = _uid(*key, name.session, name.channel, z)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.StudyInstanceUID = _uid(*key, name.session)
    data.SeriesInstanceUID = _uid(*key, name.session, name.channel)
    data.FrameOfReferenceUID = _uid(*key, name.session, "frame")
    data.PatientName, data.PatientID = "Phantom^Synthetic", name.subject
    data.PatientBirthDate = data.PatientSex = data.AccessionNumber = ""
    data.ReferringPhysicianName = data.PositionReferenceIndicator = ""
    data.StudyID = name.session
    data.Manufacturer = "somray phantom"
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = DAY
    data.StudyTime = STUDY_TIME
    data.SeriesTime = data.AcquisitionTime = data.ContentTime = SERIES_TIME
    data.SeriesDescription = f"synthetic {name.channel}"
    data.SeriesNumber = 2 if name.channel == "PET" else 1
    data.InstanceNumber = z + 1
    data.PatientPosition = "HFS"
    data.ImagesInAcquisition = slices
    return data


def _place(data: Any, geometry: Geometry, z: int) -> None:  # Any: pydicom
    """Set position, orientation and spacing of a slice."""
    matrix = geometry.matrix
    deep, tall, wide = geometry.spacing_mm
    place = matrix[:3, 3] + z * matrix[:3, 2]
    axes = np.concatenate([matrix[:3, 0] / wide, matrix[:3, 1] / tall])
    data.ImagePositionPatient = [_decimal(v) for v in place]
    data.ImageOrientationPatient = [_decimal(v) for v in axes]
    data.PixelSpacing = [_decimal(tall), _decimal(wide)]
    data.SliceThickness = _decimal(deep)
    data.SliceLocation = _decimal(place[2])


def _decimal(value: float) -> DSfloat:
    """Return a DICOM decimal string of at most 16 characters, free of rounding dust."""
    return DSfloat(round(float(value), 9) + 0.0, auto_format=True)


def _ct(data: Any) -> None:  # Any: pydicom
    data.Modality = "CT"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.AcquisitionNumber = 1
    data.KVP = "120"
    data.RescaleIntercept, data.RescaleSlope = str(-CT_OFFSET_HU), "1"
    data.RescaleType = "HU"


def _pet(data: Any, slope: float, z: int, slices: int) -> None:  # Any: pydicom
    """Set what makes a value an activity, and an activity an SUV."""
    data.Modality = "PT"
    data.ImageType = ["ORIGINAL", "PRIMARY"]
    data.Units, data.DecayCorrection = "BQML", "START"
    data.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"]
    data.SeriesType = ["STATIC", "IMAGE"]
    data.CountsSource = "EMISSION"
    data.NumberOfSlices, data.ImageIndex = slices, z + 1
    data.FrameReferenceTime, data.ActualFrameDuration = "0", "180000"
    data.DecayFactor = "1"
    data.RescaleIntercept, data.RescaleSlope = "0", DSfloat(slope, auto_format=True)
    data.PatientWeight = DSfloat(WEIGHT_KG)
    dose = Dataset()
    dose.Radiopharmaceutical = "Fluorodeoxyglucose"
    dose.RadiopharmaceuticalStartTime = INJECTION_TIME
    dose.RadionuclideTotalDose = DSfloat(DOSE_BQ, auto_format=True)
    dose.RadionuclideHalfLife = DSfloat(HALF_LIFE_SECONDS)
    data.RadiopharmaceuticalInformationSequence = [dose]


def _pixels(data: Any, plane: NDArray[np.uint16]) -> None:  # Any: pydicom
    data.Rows, data.Columns = plane.shape
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit = 15
    data.PixelRepresentation = 0
    data.PixelData = plane.tobytes()
