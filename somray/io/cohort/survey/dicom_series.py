"""The series in a folder of DICOM, and what tells people, visits and acquisitions apart.

A person is compared through a keyed hash whose key lives as long as the process; neither it nor a date ever
leaves this room. Of free text only words of the list of contrasts and phases are kept.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom

from somray.io.cohort.survey.naming.moments import date_span, moment_of
from somray.io.cohort.survey.naming.names import tokens
from somray.io.cohort.survey.naming.words import CONTRASTS, PHASES
from somray.io.readers.dicom.dataset import quiet

__all__ = ["SeriesFacts", "SeriesFiles", "series_within"]

_KEY = secrets.token_bytes(32)
_TAGS = (
    "PatientID", "PatientName", "PatientBirthDate", "IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "SOPInstanceUID", "Modality", "ImageType", "AcquisitionDate", "SeriesDate", "StudyDate",
    "ContentDate", "ManufacturerModelName", "ConvolutionKernel", "ContrastBolusAgent", "SequenceName",
    "ScanningSequence", "SeriesDescription", "ProtocolName", "NumberOfFrames", "Rows", "CorrectedImage", "SOPClassUID",
    "SeriesNumber", "ReferencedFrameOfReferenceSequence",
)  # fmt: skip
_NOBODY = re.compile(
    r"(|anon\w*|\w*anonym\w*|unknown|none|null|nil|na|n a|no name|noname|name|patient|subject|test|phantom|demo|"
    r"removed|redacted|deleted|hidden|private|de ?identified|deid|xx+|0+|9+|1|id|empty|blank|default|dummy|"
    r"not specified)"
)
_OBJECTS = frozenset(
    ("SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "KO", "REG", "DOC", "PLAN")
)
_NO_DAYS = {19000101, 19700101, 11111111, 99991231}


@dataclass(frozen=True)
class SeriesFacts:
    """What the header of a series tells for sorting; nothing of it is printed.

    Args:
        series: hash of series and person.
        patient: hash of the person; None where the header names nobody.
        study: hash of the study.
        frame: hash of the frame of reference.
        day: of the acquisition, a count of days; None where the header has none.
        device: model, kernel, contrast agent (yes or no), sequence: what makes acquisitions alike.
        words: contrasts and phases in the descriptions.
        uid: hash of its UID alone.
        drawn_on: the same of the series that contours were drawn on.
    """

    series: str = field(repr=False)
    patient: str | None = field(repr=False)
    study: str | None = field(repr=False)
    frame: str | None = field(repr=False)
    day: int | None = field(repr=False)
    device: tuple[str, str, bool, str] = ("", "", False, "")
    words: tuple[str, ...] = ()
    uid: str = field(default="", repr=False)
    drawn_on: tuple[str, ...] = field(default=(), repr=False)


@dataclass
class SeriesFiles:
    """The files of one series in one folder.

    Args:
        facts: of its first file.
        modality: as DICOM spells it.
        files: by name.
        slices: frames in all of them.
        scouts: of them localizers.
        is_image: it has pixels; SEG, RTSTRUCT and reports do not make a scan.
    """

    facts: SeriesFacts
    modality: str
    is_image: bool
    files: list[Path] = field(default_factory=list)
    slices: int = 0
    scouts: int = 0


@quiet()  # values are decoded when they are asked for, and what pydicom says of them quotes them
def series_within(files: Iterable[Path]) -> tuple[list[SeriesFiles], list[Path]]:
    """Part files of a folder by series and person, in the order of their first file, from those that are no DICOM."""
    found: dict[tuple[str, bool], SeriesFiles] = {}
    litter = []
    for file in files:
        data = _read(file)
        if data is None:
            litter.append(file)
            continue
        facts, modality = _facts(data, file), _text(data, "Modality")
        kinds = {str(v).upper() for v in _list(data.get("ImageType"))}
        is_scout = bool({"LOCALIZER", "SCOUT"} & kinds)
        one = found.setdefault(
            (facts.series, is_scout),
            SeriesFiles(facts, modality, "Rows" in data and modality not in _OBJECTS),
        )
        one.files.append(file)
        one.slices += _whole(data.get("NumberOfFrames"))
        one.scouts += is_scout
    return list(found.values()), litter


def _read(file: Path) -> Any:  # Any: pydicom's datasets are dynamic
    """Read the few elements that matter; None where the file is no DICOM or damaged."""
    try:
        data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
        return data if data.get("SOPClassUID") or data.get("Modality") else None
    except Exception:  # whatever a damaged file raises; the reader says what it is
        return None


def _text(data: Any, name: str) -> str:  # Any: pydicom
    try:
        return " ".join(str(data.get(name, "") or "").split())
    except Exception:  # an element that cannot be decoded says nothing
        return ""


def _items(data: Any, name: str) -> list[Any]:  # Any: pydicom
    try:
        return list(data.get(name) or ())
    except Exception:  # as above
        return []


def _list(value: Any) -> list[Any]:  # Any: pydicom multi-value
    return [value] if isinstance(value, str) else list(value or ())


def _whole(value: Any) -> int:  # Any: pydicom
    try:
        return max(1, int(value or 1))
    except (TypeError, ValueError):
        return 1


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), key=_KEY, digest_size=16).hexdigest()


def _facts(data: Any, file: Path) -> SeriesFacts:  # Any: pydicom
    patient = _patient(data)
    series = _text(data, "SeriesInstanceUID")
    if not series:  # as the reader tells series apart whose UID was taken
        told = [_text(data, name) for name in ("SeriesNumber", "StudyInstanceUID")]
        series = " ".join((str(file.parent), *told))
    referred = _items(data, "ReferencedFrameOfReferenceSequence")
    study = _text(data, "StudyInstanceUID")
    frame = _text(data, "FrameOfReferenceUID") or next(
        (_text(one, "FrameOfReferenceUID") for one in referred), ""
    )
    words = tokens(_text(data, "SeriesDescription") + " " + _text(data, "ProtocolName"))
    return SeriesFacts(
        series=_hash(series, patient or "", _text(data, "Modality")),
        patient=patient,
        study=_hash(study) if study else None,
        frame=_hash(frame) if frame else None,
        day=_day(data),
        device=(
            _text(data, "ManufacturerModelName"),
            "-".join(str(v) for v in _list(data.get("ConvolutionKernel"))),
            _text(data, "ContrastBolusAgent").lower() not in ("", "no", "none", "nil"),
            _text(data, "SequenceName") or _text(data, "ScanningSequence"),
        ),
        words=tuple(dict.fromkeys(w for w in words if w in CONTRASTS | PHASES)),
        uid=_hash(_text(data, "SeriesInstanceUID")),
        drawn_on=tuple(_hash(uid) for uid in _drawn_on(referred)),
    )


def _drawn_on(frames: list[Any]) -> Iterator[str]:  # Any: pydicom
    """List the series that a structure set refers to."""
    for frame in frames:
        for study in _items(frame, "RTReferencedStudySequence"):
            for one in _items(study, "RTReferencedSeriesSequence"):
                yield _text(one, "SeriesInstanceUID")


def _patient(data: Any) -> str | None:  # Any: pydicom
    """Hash the person; None where neither id nor name tells one from another."""
    names = ("PatientID", "PatientName")
    plain = [re.sub(r"[\W_]+", " ", _text(data, name).casefold()).strip() for name in names]
    if all(_NOBODY.fullmatch(text) for text in plain):
        return None
    issuer, born = _text(data, "IssuerOfPatientID"), _text(data, "PatientBirthDate")
    return _hash(*plain, issuer.casefold(), born)


def _day(data: Any) -> int | None:  # Any: pydicom
    for name in ("AcquisitionDate", "SeriesDate", "StudyDate", "ContentDate"):
        text = _text(data, name).replace(".", "").replace("-", "")[:8]
        if text.isdigit() and int(text) not in _NO_DAYS and date_span(text):
            moment = moment_of(text)
            return None if moment is None else int(moment.count)
    return None
