"""A mask as a DICOM segmentation (BINARY), one segment a class or a lesion, through highdicom.

Every frame refers to the slice (or frame) of the source that it lies on. UIDs derive from the source's and the
mask's content and dates are the source's, so the same mask gives the same bytes with the same highdicom.
Source: DICOM PS3.3 A.51, C.8.20.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSfloat

from somray.errors import ConfigError, ExportError
from somray.io.storage import Storage
from somray.io.writers.dicom.slices import (
    Remarks,
    SliceMask,
    SourceSlices,
    carried_over,
    plain_name,
    settle,
    tracking_uid,
    written,
)
from somray.io.writers.voxels import Segment

__all__ = ["processed_by", "require_highdicom", "write_seg"]

SERIES_NUMBERS = {"som": 9001, "student": 9002, "lesions": 9003}
EVEN = 0.02  # share by which gaps of one series differ at most

_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
_LESION = Code("52988006", "SCT", "Lesion")
_TISSUE = Code("85756007", "SCT", "Tissue")
_SCHEME = "99SOMRAY"


def require_highdicom() -> Any:  # Any: an optional package
    """Return highdicom.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import highdicom
    except ImportError as error:
        raise ConfigError(
            "--format dicom-seg needs highdicom: pip install 'somray[export]'"
        ) from error
    return highdicom


def write_seg(storage: Storage, name: str, mask: SliceMask) -> None:
    """Write `name`, a .dcm.

    Raises:
        ExportError: the mask is empty, or the source lacks what is referred to.
        ConfigError: highdicom is not installed.
        StoreError: it cannot be written.
    """
    highdicom = require_highdicom()
    classes = {str(header.SOPInstanceUID): header.SOPClassUID for header in mask.slices.headers}
    with carried_over(mask.slices):
        data = _made(highdicom, mask)
        _settle(data, mask)
        if mask.remarks is not None:
            _remark(data, mask.remarks)
        data.walk(_referring(classes))
        packed = written(data)
    storage.write_bytes(name, packed)


def _made(highdicom: Any, mask: SliceMask) -> Any:  # Any: highdicom
    highest = max(int(mask.pixels.max()), *(segment.value for segment in mask.present))
    numbers = np.zeros(highest + 1, dtype=np.uint16)
    for number, segment in enumerate(mask.present, start=1):
        numbers[segment.value] = number
    kind = np.uint8 if len(mask.present) < 256 else np.uint16
    slices = mask.slices
    images = _one_object(slices) if slices.is_multiframe else _single_images(slices)
    date, time = slices.moment
    return highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=numbers.astype(kind)[mask.pixels],
        segmentation_type="BINARY",
        segment_descriptions=_descriptions(highdicom, mask),
        series_instance_uid=slices.uid("seg series", mask.digest),
        series_number=SERIES_NUMBERS.get(mask.label, 9000),
        sop_instance_uid=slices.uid("seg", mask.digest),
        instance_number=1,
        manufacturer="somray",
        manufacturer_model_name="somray",
        software_versions=mask.version,
        device_serial_number="none",
        content_label=mask.label.upper(),
        content_description=f"{mask.label} by somray, made by a program",
        series_description=f"somray {mask.label}",
        content_date=date,
        content_time=time,
        # Which sets a source may name is judged more narrowly than the standard does; see `_settle`.
        specific_character_set="ISO_IR 192",
        **_answering(highdicom, mask),
    )


def _answering(highdicom: Any, mask: SliceMask) -> dict[str, Any]:  # Any: highdicom
    """Return what an answer to an archive has beside a mask that is exported."""
    remarks = mask.remarks
    if remarks is None:
        return {}
    return {
        "omit_empty_frames": bool(mask.pixels.any()),
        "contributing_equipment": [processed_by(highdicom, mask.version)],
        "further_source_images": list(remarks.further) or None,
    }


def processed_by(highdicom: Any, version: str) -> Any:  # Any: highdicom
    """Say that this program processed what an object is made from (IHE AIR, Contributing Equipment)."""
    return highdicom.ContributingEquipment(
        manufacturer="somray",
        purpose_of_reference=Code("109102", "DCM", "Processing Equipment"),
        manufacturer_model_name="somray",
        software_versions=version,
        contribution_description="found without a person's review",
    )


def _descriptions(highdicom: Any, mask: SliceMask) -> list[Any]:  # Any: highdicom
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="somray",
        version=mask.version,
        family=Code("123110", "DCM", "Artificial Intelligence"),
        parameters=dict(mask.remarks.parameters) if mask.remarks else None,
    )
    found = []
    for number, segment in enumerate(mask.present, start=1):
        category, kind = _codes(segment)
        tracked = tracking_uid(segment)
        found.append(
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=plain_name(segment),
                segmented_property_category=category,
                segmented_property_type=kind,
                algorithm_type="AUTOMATIC",
                algorithm_identification=algorithm,
                tracking_uid=tracked,
                tracking_id=None if tracked is None else plain_name(segment),
                display_color=highdicom.color.CIELabColor.from_rgb(*segment.color[:3]),
            )
        )
    return found


def _codes(segment: Segment) -> tuple[Code, Code]:
    if segment.is_finding:
        return _ABNORMAL, _LESION
    # A class is what the map found, not an anatomical structure that a code stands for.
    name = plain_name(segment)
    return _TISSUE, Code(name.upper()[:16].strip(), _SCHEME, name)


def _gap_mm(slices: SourceSlices) -> float | None:
    """Return the distance of the slices, None where it is not the same for all."""
    planes = [file.plane.matrix for file in slices.files]
    if len(planes) < 2:
        return None
    normal = planes[0][:3, 2] / np.linalg.norm(planes[0][:3, 2])
    gaps = np.diff([plane[:3, 3] @ normal for plane in planes])
    usual = float(np.median(gaps))
    return usual if np.abs(gaps - usual).max() <= EVEN * abs(usual) else None


def _decimals(values: Sequence[float]) -> list[DSfloat]:
    return [DSfloat(float(value), auto_format=True) for value in values]


def _axes(slices: SourceSlices) -> list[DSfloat]:
    """Return the directions of a row and of a column."""
    across = slices.files[0].plane.matrix[:3, :2]
    return _decimals((across / np.linalg.norm(across, axis=0)).T.ravel().tolist())


def _measures(slices: SourceSlices, told: Any) -> dict[str, Any]:  # Any: pydicom
    """Return pixel spacing, thickness and distance: the header's own words where it has them."""
    plane = slices.files[0].plane
    found = {
        "PixelSpacing": told.get("PixelSpacing") or _decimals(plane.spacing_mm[1:]),
        "SliceThickness": told.get("SliceThickness") or _decimals(plane.spacing_mm[:1])[0],
    }
    if (gap := _gap_mm(slices)) is not None:
        found["SpacingBetweenSlices"] = _decimals([gap])[0]
    return found


def _single_images(slices: SourceSlices) -> list[Any]:  # Any: pydicom
    """Return headers that agree in what rounding lets differ; highdicom takes nothing else for one series."""
    if len({id(header) for header in slices.headers}) != len(slices.headers):
        raise ExportError("several frames of one file that is no enhanced object")
    measures = _measures(slices, slices.first)
    axes = slices.first.get("ImageOrientationPatient") or _axes(slices)
    for header, file in zip(slices.headers, slices.files, strict=True):
        header.ImageOrientationPatient = axes
        if "ImagePositionPatient" not in header:  # an enhanced object of one frame
            header.ImagePositionPatient = _decimals(file.plane.matrix[:3, 3].tolist())
        header.pop("SpacingBetweenSlices", None)
        header.pop("NumberOfFrames", None)
        # highdicom takes several objects for one series only where their class cannot hold frames; the references
        # name the true class again at the end.
        header.SOPClassUID = CTImageStorage
        for name, value in measures.items():
            setattr(header, name, value)
    return list(slices.headers)


def _one_object(slices: SourceSlices) -> list[Any]:  # Any: pydicom
    """Return an enhanced object that holds the wanted frames alone, in their order along z."""
    if len({file.path for file in slices.files}) > 1:
        raise ExportError("the source's frames lie in several enhanced objects; export it as nifti")
    trimmed = deepcopy(slices.first)
    groups = trimmed.PerFrameFunctionalGroupsSequence
    trimmed.PerFrameFunctionalGroupsSequence = [groups[file.frame] for file in slices.files]
    trimmed.NumberOfFrames = len(slices.files)
    shared = trimmed.SharedFunctionalGroupsSequence
    common = shared[0] if shared else Dataset()
    told = common.get("PixelMeasuresSequence") or groups[0].get("PixelMeasuresSequence")
    common.PixelMeasuresSequence = [_dataset(**_measures(slices, told[0] if told else Dataset()))]
    if "PlaneOrientationSequence" not in common:
        common.PlaneOrientationSequence = [_dataset(ImageOrientationPatient=_axes(slices))]
    trimmed.SharedFunctionalGroupsSequence = [common]
    for group, file in zip(trimmed.PerFrameFunctionalGroupsSequence, slices.files, strict=True):
        if "PlanePositionSequence" not in group:
            place = _decimals(file.plane.matrix[:3, 3].tolist())
            group.PlanePositionSequence = [_dataset(ImagePositionPatient=place)]
    return [trimmed]


def _dataset(**elements: Any) -> Dataset:  # Any: pydicom
    data = Dataset()
    for name, value in elements.items():
        setattr(data, name, value)
    return data


def _referring(classes: dict[str, Any]) -> Any:  # Any: pydicom's callbacks
    """Return what lets every reference name the class of its instance."""

    def name(data: Any, element: Any) -> None:  # Any: pydicom
        if element.keyword == "ReferencedSOPInstanceUID" and str(element.value) in classes:
            data.ReferencedSOPClassUID = classes[str(element.value)]

    return name


def _remark(data: Any, remarks: Remarks) -> None:  # Any: highdicom
    """Put an answer's words where the standard has places for them."""
    data.SeriesDescription = remarks.series[:64]
    data.ContentDescription = remarks.content[:64]
    for segment in data.SegmentSequence:
        segment.SegmentDescription = remarks.segment[:1024]
    if remarks.earlier:
        study = data.StudyInstanceUID
        data.RelatedSeriesSequence = [
            _dataset(
                StudyInstanceUID=study, SeriesInstanceUID=uid, PurposeOfReferenceCodeSequence=[]
            )
            for uid in remarks.earlier
        ]


def _settle(data: Any, mask: SliceMask) -> None:  # Any: highdicom
    """Put what highdicom takes from chance and clock on what the content says; point to the true frames."""
    settle(data, mask.slices)
    own = mask.slices.uid("dimensions", mask.digest)
    for item in [*data.DimensionOrganizationSequence, *data.DimensionIndexSequence]:
        item.DimensionOrganizationUID = own
    if not mask.slices.is_multiframe:
        return
    for group in data.PerFrameFunctionalGroupsSequence:
        for derived in group.get("DerivationImageSequence", []):
            for source in derived.SourceImageSequence:
                shown = mask.slices.files[int(source.ReferencedFrameNumber) - 1]
                source.ReferencedFrameNumber = shown.frame + 1
