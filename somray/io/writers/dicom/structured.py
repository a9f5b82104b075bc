"""Volumes of lesions as a structured report (TID 1500, Comprehensive 3D SR) that refers to a segmentation.

The first group of measurements is of all lesions together and says what speaks against the answer; one more for
each lesion points to its segment. UIDs derive from what is told and dates are the source's, as in `seg`.
Source: DICOM PS3.3 A.35.13, PS3.16 TID 1500, 1411, 1501.
"""

import io
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from somray.io.storage import Storage
from somray.io.writers.dicom.seg import processed_by, require_highdicom
from somray.io.writers.dicom.slices import SourceSlices, carried_over, settle, written

__all__ = ["Findings", "MeasuredSegment", "write_structured"]

SERIES_NUMBER = 9010

_SCHEME = "99SOMRAY"
_LESION = Code("52988006", "SCT", "Lesion")
_VOLUME = Code("118565006", "SCT", "Volume")
_MILLILITRE = Code("ml", "UCUM", "ml")
_IMAGING = Code("363679005", "SCT", "Imaging procedure")
_JUDGED = Code("JUDGED", _SCHEME, "What speaks for or against the answer")


@dataclass(frozen=True)
class MeasuredSegment:
    """One lesion: its segment, from 1, the name of that, and the volume of its voxels."""

    number: int
    name: str
    volume_ml: float


@dataclass(frozen=True)
class Findings:
    """What is reported.

    Args:
        lesions: each with a segment of its own.
        total_ml: of all of them, and of the small parts that have none.
        verdicts: code (at most 16 letters) and words (at most 64) of what a reader must know first.
        model: name and value of what the model is told by.
        description: of the series, at most 64 characters.
        earlier: UIDs of series and instance of earlier reports of the study, which this one follows.
        further: headers of the other channels' slices, which the segmentation refers to.
    """

    lesions: tuple[MeasuredSegment, ...]
    total_ml: float
    verdicts: tuple[tuple[str, str], ...]
    model: tuple[tuple[str, str], ...]
    description: str
    earlier: tuple[tuple[str, str], ...] = ()
    further: tuple[Any, ...] = field(default=(), repr=False)  # Any: pydicom


def write_structured(
    storage: Storage, name: str, segmentation: str, slices: SourceSlices, findings: Findings
) -> None:
    """Write `name`, a .dcm, on a segmentation in the same folder and the slices, freshly read, that it was made of.

    Raises:
        ExportError: the source's header cannot be carried over.
        StoreError: it cannot be written.
    """
    highdicom = require_highdicom()
    with carried_over(slices):
        seg = highdicom.seg.segread(io.BytesIO(storage.read_bytes(segmentation)))
        data = _report(highdicom, seg, slices, findings)
        packed = written(data)
    storage.write_bytes(name, packed)


def _report(
    highdicom: Any, seg: Any, slices: SourceSlices, findings: Findings
) -> Any:  # Any: highdicom
    identity = (str(seg.SOPInstanceUID), repr(findings))
    version = str(seg.SoftwareVersions)
    date, time = slices.moment
    data = highdicom.sr.Comprehensive3DSR(
        evidence=[seg, *slices.headers, *findings.further],
        content=_content(highdicom, seg, slices, findings),
        series_instance_uid=slices.uid("report series", *identity),
        series_number=SERIES_NUMBER,
        sop_instance_uid=slices.uid("report", *identity),
        instance_number=1,
        manufacturer="somray",
        is_complete=True,
        previous_versions=[_named(slices, *uids) for uids in findings.earlier] or None,
        contributing_equipment=[processed_by(highdicom, version)],
        manufacturer_model_name="somray",
        software_versions=version,
        series_description=findings.description[:64],
        content_date=date,
        content_time=time,
        specific_character_set="ISO_IR 192",  # judged more narrowly than the standard does, as in `seg`
    )
    settle(data, slices)
    return data


def _content(
    highdicom: Any, seg: Any, slices: SourceSlices, findings: Findings
) -> Any:  # Any: highdicom
    """Make the tree of TID 1500."""
    sr, uid = highdicom.sr, slices.uid("observer", str(seg.SOPInstanceUID))
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=uid, name="somray", manufacturer_name="somray", model_name="somray"
    )
    observer = sr.ObserverContext(
        observer_type=sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=device,
    )
    groups = [_all_together(sr, seg, slices, findings)]
    groups += [_one_lesion(sr, seg, slices, lesion) for lesion in findings.lesions]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=_IMAGING,
        imaging_measurements=groups,
    )
    content = report[0]
    # Dates of observation are the day's; a second answer to the same scan is the same report.
    content.pop("ContentDate", None)
    return content


def _all_together(
    sr: Any, seg: Any, slices: SourceSlices, findings: Findings
) -> Any:  # Any: highdicom
    """Tell the volume of all lesions, and the verdicts."""
    first = slices.first
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=slices.uid("all lesions", str(seg.SOPInstanceUID)), identifier="all lesions"
        ),
        finding_type=_LESION,
        algorithm_id=sr.AlgorithmIdentification(
            name="somray",
            version=str(seg.SoftwareVersions),
            parameters=[f"{name}={value}" for name, value in findings.model] or None,
        ),
        measurements=[_volume(sr, findings.total_ml)],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(_JUDGED, Code(code, _SCHEME, words[:64]))
            for code, words in findings.verdicts
        ],
        source_images=[
            sr.SourceImageForMeasurementGroup(str(first.SOPClassUID), str(first.SOPInstanceUID))
        ],
    )


def _one_lesion(
    sr: Any, seg: Any, slices: SourceSlices, lesion: MeasuredSegment
) -> Any:  # Any: highdicom
    told = seg.SegmentSequence[lesion.number - 1].get("TrackingUID")
    uid = told or slices.uid("lesion", str(seg.SOPInstanceUID), lesion.number)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=str(uid), identifier=lesion.name),
        referenced_segment=sr.ReferencedSegment.from_segmentation(seg, lesion.number),
        finding_type=_LESION,
        measurements=[_volume(sr, lesion.volume_ml)],
    )


def _volume(sr: Any, millilitres: float) -> Any:  # Any: highdicom
    return sr.Measurement(name=_VOLUME, value=round(millilitres, 6), unit=_MILLILITRE)


def _named(slices: SourceSlices, series: str, instance: str) -> Dataset:
    """Name an earlier report as one that is followed."""
    found = Dataset()
    found.StudyInstanceUID, found.SeriesInstanceUID = slices.first.StudyInstanceUID, series
    found.SOPInstanceUID, found.SOPClassUID = instance, Comprehensive3DSRStorage
    return found
