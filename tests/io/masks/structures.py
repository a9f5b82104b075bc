"""Small RT Structure Sets as planning systems write them."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

FRAME = "1.2.3.4"


def box(z, x0, x1, y0, y1):
    """A rectangle in a plane of constant z, (4, 3) mm."""
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], dtype=float)


def circle(z, middle, radius, points=64):
    """A polygon about x, y in a plane of constant z, (n, 3) mm."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    x, y = middle[0] + radius * np.cos(turn), middle[1] + radius * np.sin(turn)
    return np.column_stack([x, y, np.full(points, float(z))])


def write_structures(path, rois, frame=FRAME, series=(), bare=False, **tags):
    """Write regions.

    Args:
        path: of the file, whose folder may be made.
        rois: number, name, interpreted type and contours of each; a contour is points or (geometric type, points).
        frame: of reference.
        series: UIDs of the series that it names.
        bare: without preamble and file meta information, in implicit VR.
        tags: of the data set.
    """
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = (
        RTStructureSetStorage,
        "1.2.3",
        "RTSTRUCT",
    )
    for name, value in tags.items():
        setattr(data, name, value)
    referred, study = Dataset(), Dataset()
    referred.FrameOfReferenceUID, study.RTReferencedSeriesSequence = frame, []
    for uid in series:
        study.RTReferencedSeriesSequence.append(Dataset())
        study.RTReferencedSeriesSequence[-1].SeriesInstanceUID = uid
    referred.RTReferencedStudySequence = [study]
    data.ReferencedFrameOfReferenceSequence = [referred]
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    data.RTROIObservationsSequence = []
    for number, name, kind, contours in rois:
        roi, drawn, seen = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, frame
        seen.ObservationNumber = seen.ReferencedROINumber = drawn.ReferencedROINumber = number
        seen.RTROIInterpretedType, drawn.ContourSequence = kind, []
        for one in contours:
            what, points = one if isinstance(one, tuple) else ("CLOSED_PLANAR", one)
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = what, len(points)
            contour.ContourData = [f"{v:.6g}" for v in np.ravel(points)]
            drawn.ContourSequence.append(contour)
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
        data.RTROIObservationsSequence.append(seen)
    path.parent.mkdir(parents=True, exist_ok=True)
    if bare:
        data.save_as(path, implicit_vr=True, little_endian=True)
        return str(path)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.save_as(path, enforce_file_format=True)
    return str(path)
