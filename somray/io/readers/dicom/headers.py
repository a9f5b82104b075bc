"""DICOM headers to frames: one frame is one slice, whether a file holds one or many.

Only what places and scales a slice leaves this room; names, ids and dates do not (the patient's id is
compared through a hash that is never stored).
"""

import hashlib
from pathlib import Path

from pydicom.uid import UID

from somray.errors import DataError
from somray.io.readers.dicom.codecs import LOSSY
from somray.io.readers.dicom.dataset import Tags, is_dicom_file, open_tags, quiet
from somray.io.readers.dicom.enhanced import FrameTags, frames_of
from somray.io.readers.dicom.frame import DicomFile, DicomFrame
from somray.io.readers.dicom.intensity import intensity_of
from somray.io.readers.dicom.orders import ORIGIN, orders_of
from somray.io.readers.dicom.pixels import PixelPlace, place_of
from somray.io.readers.dicom.suv import pet_scaling

__all__ = ["list_files", "read_file", "series_of"]

IGNORED_SUFFIXES = {
    ".txt", ".json", ".xml", ".csv", ".tsv", ".html", ".htm", ".pdf", ".md", ".yaml", ".yml",
    ".jpg", ".jpeg", ".png", ".gif", ".zip", ".log", ".bat", ".exe", ".inf", ".ini", ".db", ".md5",
    ".sha256", ".doc", ".docx", ".xls", ".xlsx", ".dll", ".js", ".css", ".ico", ".lnk", ".url",
}  # fmt: skip
"""Files that lie beside series on disks and disks only."""

OBJECTS = (
    "SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "SR", "PR", "KO", "REG", "DOC", "RWV", "FID", "PLAN",
    "AU", "ECG", "HD",
)  # fmt: skip
"""Modalities that are no scans of their own."""

_CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7"
_INDEX_CLASS = "1.2.840.10008.1.3.10"
_STANDARD_ROOT = "1.2.840.10008."
_RAW_DATA = "Raw Data Storage"  # writers give it rows and columns, too
_MODALITIES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT", "1.2.840.10008.5.1.4.1.1.2.1": "CT", "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR", "1.2.840.10008.5.1.4.1.1.4.1": "MR", "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT", "1.2.840.10008.5.1.4.1.1.128.1": "PT", "1.2.840.10008.5.1.4.1.1.130": "PT",
}  # fmt: skip
"""What a class of objects is of, where an anonymiser took the modality away."""
MOST_FRAMES = 100_000


def list_files(path: Path) -> list[Path]:
    """List what may be DICOM: the file itself, or all files directly in the folder, by name."""
    if path.is_file():
        return [path]
    return sorted(
        p for p in path.iterdir()
        # a slice that is not here must not pass unseen
        if (p.is_file() or (p.is_symlink() and not p.exists()))
        and not p.name.startswith(".") and p.name.upper() != "DICOMDIR"
        and (p.suffix.lower() not in IGNORED_SUFFIXES or is_dicom_file(p))
    )  # fmt: skip


def read_file(file: Path) -> DicomFile:
    """Read one file's header; what is wrong with an image stands in the result.

    Raises:
        DataError: `unreadable`, `truncated`: so damaged that not even its series is known.
    """
    tags = open_tags(file)
    with quiet():
        series = _series(tags)
        what = _object(tags)
        if what:
            return DicomFile(file, series, what=what)
        is_capture = tags.text("SOPClassUID").startswith(_CAPTURE_CLASS)
        is_capture = is_capture and tags.value("ImagePositionPatient") is None
        part = (tags.whole("InConcatenationNumber", 1), tags.whole("InConcatenationTotalNumber", 1))
        try:
            frames = _frames(tags)
        except DataError as error:
            return DicomFile(file, series, is_capture=is_capture, part=part, problem=error)
        return DicomFile(file, series, frames, is_capture=is_capture, part=part)


def series_of(file: Path) -> str:
    """Name the series of an image, a hash that its slices share; what is no image gives its kind.

    Raises:
        DataError: its header is so damaged that nobody knows.
    """
    with quiet():
        tags = open_tags(file)
        return _object(tags) or _series(tags)


def _series(tags: Tags) -> str:
    """Return what slices of one series share; where an anonymiser took its UID, that is folder, number and person."""
    uid = tags.text("SeriesInstanceUID")
    told = [tags.text(k) for k in ("SeriesNumber", "StudyInstanceUID", "PatientID")]
    folder = str(tags.file.parent)
    return _hashed(uid) if uid else _hashed("", folder, *(t.casefold() for t in told))


def _object(tags: Tags) -> str:
    """Return what kind of object a file is, "" for an image."""
    of_file = tags.data.file_meta.get("MediaStorageSOPClassUID", "")
    uid = tags.text("SOPClassUID") or str(of_file).strip(" \0")
    if uid == _INDEX_CLASS:
        return "DICOMDIR"
    if tags.word("Modality") in OBJECTS:
        return tags.word("Modality")
    name = str(UID(uid).name)
    if name == _RAW_DATA:
        return name
    if tags.value("Rows") is not None and tags.value("Columns") is not None:
        return ""
    if uid and not uid.startswith(_STANDARD_ROOT):
        return "private"
    if not uid or name == uid or "Image" in name or "Parametric Map" in name:
        raise DataError("truncated", f"{tags.file}: ends within its header; copy it again")
    return name


def _hashed(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()


def _frames(tags: Tags) -> tuple[DicomFrame, ...]:
    """Collect the slices of one file."""
    kind = tags.word("PhotometricInterpretation")
    if tags.whole("SamplesPerPixel", 1) != 1 or kind not in ("MONOCHROME1", "MONOCHROME2", ""):
        what = f"is a colour image ({kind})" if kind.isascii() else "is a colour image"
        raise DataError(
            "unreadable",
            f"{tags.file}: {what} (PhotometricInterpretation 0028,0004); one number per voxel is read: export the "
            "scan in grey",
        )
    if _is_mosaic(tags):
        raise DataError(
            "unreadable",
            f"{tags.file}: is a mosaic, all slices of a volume in one picture (ImageType MOSAIC); convert the series "
            "to NIfTI (dcm2niix does), or export it as enhanced MR",
        )
    count = tags.whole("NumberOfFrames", 1) or 1
    if not 1 <= count <= MOST_FRAMES:
        raise tags.wrong("NumberOfFrames", f"is {count}")
    place = place_of(tags, count)
    return tuple(_frame(frame, place) for frame in frames_of(tags, count))


def _is_mosaic(tags: Tags) -> bool:
    """Tell Siemens' way to keep a volume of a time series in one file, by the name or by the number of slices."""
    slices = tags.private(0x0019, "SIEMENS MR HEADER", 0x0A)
    return "MOSAIC" in tags.words("ImageType") or (slices.isdecimal() and int(slices) > 1)


def _frame(frame: FrameTags, place: PixelPlace) -> DicomFrame:
    """Collect what places and scales one slice."""
    tags = frame.file
    modality = tags.word("Modality") or _MODALITIES.get(tags.text("SOPClassUID"), "")
    intensity = intensity_of(frame, modality)
    spacing = frame.numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    kinds = {*tags.words("ImageType"), *_frame_type(frame)}
    who = [tags.text(k) for k in ("SeriesInstanceUID", "PatientID", "FrameOfReferenceUID")]
    return DicomFrame(
        path=str(tags.file),
        index=frame.index,
        series=_hashed(*(w.casefold() for w in who)),
        modality=modality,
        is_localizer=bool({"LOCALIZER", "SCOUT"} & kinds),
        size=place.size[:2],
        position=frame.position(),
        orientation=frame.orientation(),
        pixel_mm=None if spacing is None else (spacing[0], spacing[1]),
        thickness_mm=_thickness(frame),
        intensity=intensity,
        pet=pet_scaling(tags, intensity.unit) if modality == "PT" else None,
        pixels=place,
        instance=_hashed(tags.text("SOPInstanceUID"), str(frame.index)),
        orders=orders_of(frame),
        traits=_traits(frame),
        is_lossy=tags.text("LossyImageCompression") == "01" or place.syntax in LOSSY,
    )


def _thickness(frame: FrameTags) -> float | None:
    """Return the distance of slices, else their thickness; signs only tell the order of acquisition."""
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        found = frame.numbers("PixelMeasuresSequence", name)
        if found and found[0]:
            return abs(found[0])
    return None


_TYPE_SEQUENCES = (
    "CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence",
)  # fmt: skip


def _frame_type(frame: FrameTags) -> tuple[str, ...]:
    items = (frame.item(name) for name in _TYPE_SEQUENCES)
    return next((item.words("FrameType") for item in items if item is not None), ())


def _plain(word: str) -> str:
    """Write a number in one way: 250.000000 and 250 are one, even within a series."""
    try:
        return f"{float(word):.6g}"
    except ValueError:
        return word


_TRAITS = {
    "EchoTime": "MREchoSequence", "EffectiveEchoTime": "MREchoSequence", "EchoNumbers": "",
    "ConvolutionKernel": "CTReconstructionSequence", "KVP": "CTXRayDetailsSequence", "StackID": "FrameContentSequence",
    "ReconstructionDiameter": "CTReconstructionSequence", "ComplexImageComponent": "MRImageFrameTypeSequence",
}  # fmt: skip


def _traits(frame: FrameTags) -> tuple[tuple[str, str], ...]:
    """Collect what may differ between two volumes that share their places."""
    found = []
    for name, sequence in _TRAITS.items():
        holder = frame.holder(sequence, name) if sequence else frame.file
        found.append((name, "\\".join(_plain(word) for word in holder.words(name))))
    kind = _frame_type(frame) or frame.file.words("ImageType")
    return (*found, ("ImageType", "\\".join(kind[2:])), (ORIGIN, "".join(kind[:1])))
