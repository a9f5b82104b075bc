"""Small DICOM series for tests: pixels are a linear function of the place, so any geometry can be checked."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_CLASS, PT_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128"
ROWS, COLUMNS = 6, 8
SPACING = (1.5, 0.75)  # rows, columns
SERIES = generate_uid(entropy_srcs=["series"])


def field(world):
    """Value (stored, whole numbers not needed) at places (…, 3) in LPS mm; slope 0.02 makes it fine."""
    return 300 + world @ np.array([4.0, -3.0, 2.0])


def plane(position, orientation):
    """Return LPS mm of every pixel of one slice, (rows, columns, 3)."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    y, x = np.mgrid[:ROWS, :COLUMNS][..., None]
    return np.array(position) + x * SPACING[1] * row + y * SPACING[0] * column


def make_slice(position, orientation=(1, 0, 0, 0, 1, 0), **changes):
    """Make one CT slice whose pixels are `field`; keyword arguments set or (None) remove elements."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = CT_CLASS, generate_uid()
    data.Modality, data.SeriesInstanceUID = "CT", SERIES
    data.PatientName, data.PatientID = "Secret^Name", "SECRET-ID"
    data.PatientBirthDate, data.StudyDate = "19550505", "20010203"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.ImagePositionPatient = [float(v) for v in position]
    data.ImageOrientationPatient = [float(v) for v in orientation]
    data.PixelSpacing = list(SPACING)
    data.SliceThickness = 2.0
    data.Rows, data.Columns = ROWS, COLUMNS
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept = "0.02", "-100"
    stored = np.round((field(plane(position, orientation)) + 100) / 0.02)
    data.PixelData = stored.astype("<i2").tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = CT_CLASS
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    for name, value in changes.items():
        if value is None:
            data.pop(name, None)
        else:
            setattr(data, name, value)
    return data


def save(folder, slices, names=None):
    """Write slices to a folder, named in the order given."""
    folder.mkdir(exist_ok=True)
    for n, data in enumerate(slices):
        name = names[n] if names else f"{n:03}.dcm"
        data.save_as(folder / name, enforce_file_format=True)
    return folder


def make_pet(z, slope="2.5", **changes):
    """Make one PET slice in Bq/ml: 70 kg, 350 MBq, half-life 6600 s, one half-life before the series."""
    injected = Dataset()
    injected.RadionuclideTotalDose, injected.RadionuclideHalfLife = "3.5e8", "6600"
    injected.RadiopharmaceuticalStartTime = "110000"
    wanted = {
        "SOPClassUID": PT_CLASS, "Modality": "PT", "Units": "BQML", "DecayCorrection": "START",
        "CorrectedImage": ["ATTN", "DECY", "SCAT"], "PatientWeight": "70", "RescaleSlope": slope,
        "RescaleIntercept": "0", "SeriesDate": "20010203", "SeriesTime": "125000.000",
        "AcquisitionDate": "20010203", "AcquisitionTime": "125500",
        "RadiopharmaceuticalInformationSequence": [injected],
        "PixelData": np.full((ROWS, COLUMNS), 1000 + round(z), "<i2").tobytes(),
    } | changes  # fmt: skip
    return make_slice((0, 0, z), **wanted)
