"""The slices that a mask refers to: their headers, read again, and what every object that refers to them says."""

import hashlib
import io
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from somray.errors import ExportError, SomrayError
from somray.io.readers.source import SliceFile, coded
from somray.io.writers.voxels import Segment

__all__ = [
    "MOST_BYTES",
    "PATIENT_AND_STUDY",
    "PATIENT_GROUPS",
    "Remarks",
    "SliceMask",
    "SourceSlices",
    "carried_over",
    "plain_name",
    "read_slices",
    "settle",
    "tracking_uid",
    "written",
]

MOST_BYTES = 1024 * 1024 * 1024
"""Pixels of the largest mask that becomes one object, in bytes: highdicom needs them all at once, about three times."""

NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""What every object of a study must hold, if only empty (type 2)."""
PATIENT_GROUPS = (0x0010, 0x0012)  # the patient, and a trial that the patient takes part in
SEXES = ("M", "F", "O", "")
NO_DATE, NO_TIME = "19000101", "000000"  # where a source is not dated, which the standard asks for
_DATE, _TIME = re.compile(r"\d{8}"), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")


@dataclass(frozen=True)
class SourceSlices:
    """The slices of one time point of one series.

    Args:
        files: in their order along z.
        headers: of the slices, without pixels; frames of one file share theirs.
    """

    files: tuple[SliceFile, ...]
    headers: tuple[Any, ...]  # Any: pydicom's datasets are dynamic

    @property
    def first(self) -> Any:  # Any: pydicom
        """The header of the first slice."""
        return self.headers[0]

    @cached_property
    def is_multiframe(self) -> bool:
        """Whether slices are frames of an enhanced object, not one object each."""
        is_enhanced = "PerFrameFunctionalGroupsSequence" in self.first
        return is_enhanced and (
            len(self.files) == 1 or len({f.path for f in self.files}) < len(self.files)
        )

    @property
    def moment(self) -> tuple[str, str]:
        """Date and time of the source, for objects made from it: they do not depend on the day of the export."""
        for prefix in ("Content", "Acquisition", "Series", "Study"):
            date = str(self.first.get(f"{prefix}Date") or "")
            if _DATE.fullmatch(date):
                time = str(self.first.get(f"{prefix}Time") or "")
                return date, time if _TIME.fullmatch(time) else NO_TIME
        return NO_DATE, NO_TIME

    def uid(self, *parts: object) -> str:
        """Derive a UID from the slices and what is made of them: the same parts give the same UID."""
        own = [str(header.SOPInstanceUID) for header in self.headers]
        return str(generate_uid(entropy_srcs=[*own, *map(str, parts)]))


@dataclass(frozen=True)
class Remarks:
    """What an answer to an archive says beside its mask; it may be empty, for that nothing was found is an answer.

    Args:
        series: description of the series, at most 64 characters.
        content: description of the content, at most 64 characters.
        segment: what is to be known of every segment, at most 1024 characters.
        parameters: of the algorithm, name and value: what the model is told by.
        earlier: UIDs of the series of earlier answers to fewer of the slices, which this one takes the place of.
        further: headers of the other channels' slices.
    """

    series: str
    content: str
    segment: str
    parameters: tuple[tuple[str, str], ...]
    earlier: tuple[str, ...] = ()
    further: tuple[Any, ...] = ()  # Any: pydicom's datasets are dynamic

    @property
    def digest(self) -> str:
        """What tells two of them apart."""
        words = (self.series, self.content, self.segment, self.parameters, self.earlier)
        uids = [str(header.SOPInstanceUID) for header in self.further]
        return hashlib.sha256(repr((words, uids)).encode()).hexdigest()


@dataclass(frozen=True)
class SliceMask:
    """A mask on the source's own slices.

    Args:
        slices: what it refers to.
        pixels: (slices, y, x) unsigned, a segment's value or 0.
        segments: all that may stand in the pixels.
        label: what kind of mask: som, student, lesions.
        version: of somray.
        remarks: of an answer to an archive; None for a mask that is exported.
    """

    slices: SourceSlices
    pixels: NDArray[np.unsignedinteger[Any]]
    segments: tuple[Segment, ...]
    label: str
    version: str
    remarks: Remarks | None = None

    @cached_property
    def present(self) -> tuple[Segment, ...]:
        """The segments that have a pixel; the first one of an answer that found nothing.

        Raises:
            ExportError: none has.
        """
        found = {value for plane in self.pixels for value in np.unique(plane).tolist()}
        kept = tuple(segment for segment in self.segments if segment.value in found)
        if not kept and self.remarks is not None:
            return self.segments[:1]
        if not kept:
            raise ExportError(
                "the mask is empty, and such an object without a segment is not valid"
            )
        return kept

    @cached_property
    def digest(self) -> str:
        """What tells two masks of the same slices apart."""
        found = hashlib.sha256(f"{self.label} {self.version} {self.pixels.shape}".encode())
        found.update(repr(self.segments).encode())
        if self.remarks is not None:
            found.update(self.remarks.digest.encode())
        for plane in self.pixels:
            found.update(np.ascontiguousarray(plane, dtype="<u2").data)
        return found.hexdigest()


@contextmanager
def carried_over(slices: SourceSlices) -> Iterator[None]:
    """Make and write an object from a source's header, whatever the header holds.

    Raises:
        ExportError: it cannot be; the message never tells whom the source is about.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of names and ids that the source spells in its own way
            yield
    except SomrayError:
        raise
    except Exception as error:
        text, header = str(error), slices.first
        told = [str(header.get(name) or "") for name in PATIENT_AND_STUDY]
        is_plain = not any(word and word in text for word in told)
        why = text[:200] if is_plain else type(error).__name__
        raise ExportError(f"its source's header cannot be carried over ({why})") from error


def settle(data: Any, slices: SourceSlices) -> None:  # Any: highdicom
    """Put the source's character set in, of which highdicom takes fewer than the standard, and leave its clock out."""
    if character_set := slices.first.get("SpecificCharacterSet"):
        data.SpecificCharacterSet = character_set
    else:
        data.pop("SpecificCharacterSet", None)
    for name in ("InstanceCreationDate", "InstanceCreationTime"):
        data.pop(name, None)
    for equipment in data.get("ContributingEquipmentSequence", []):
        equipment.pop("ContributionDateTime", None)


def written(data: Any) -> bytes:  # Any: pydicom
    """Write an object as a file of DICOM."""
    packed = io.BytesIO()
    data.save_as(packed, enforce_file_format=True)
    return packed.getvalue()


def plain_name(segment: Segment) -> str:
    """Return a segment's name as every character set of DICOM can hold it, at most 64 characters."""
    decomposed = unicodedata.normalize("NFKD", segment.name).encode("ascii", "ignore").decode()
    return decomposed.replace("\\", "/").strip()[:64] or f"class {segment.value}"


def tracking_uid(segment: Segment) -> str | None:
    """Return the UID of a lesion in all its sessions, None where it is not followed."""
    return None if segment.tracking is None else str(generate_uid(entropy_srcs=[segment.tracking]))


def read_slices(files: tuple[SliceFile, ...]) -> SourceSlices:
    """Read the headers of slices, and put right what objects that refer to them may not say.

    Raises:
        ExportError: they lack what a reference needs.
        DataError: `unreadable`: a header is damaged.
    """
    read: dict[str, Any] = {}  # Any: pydicom
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in files:
            if file.path in read:
                continue
            with coded(file.path):
                # The reader knew it for DICOM; some archives leave the preamble out.
                read[file.path] = pydicom.dcmread(file.path, stop_before_pixels=True, force=True)
                _mend(read[file.path], file.path)
    return SourceSlices(files, tuple(read[file.path] for file in files))


def _mend(header: Any, path: str) -> None:  # Any: pydicom
    missing = [name for name in NEEDED if not header.get(name)]
    if missing:
        raise ExportError(
            f"{Path(path).name}: lacks {', '.join(missing)}, by which it is referred to"
        )
    if not header.get("FrameOfReferenceUID"):
        raise ExportError(
            f"{Path(path).name}: lacks a FrameOfReferenceUID, so nothing can be placed beside it"
        )
    for name in PATIENT_AND_STUDY:
        if header.get(name) is None:
            setattr(header, name, "")
    _mend_patient(header)
    for name in ("PatientBirthDate", "StudyDate"):
        if not _is_date(str(header.get(name) or "")):
            setattr(header, name, "")
    if not _TIME.fullmatch(str(header.StudyTime or "")):
        header.StudyTime = ""


def _mend_patient(header: Any) -> None:  # Any: pydicom
    for tag in [tag for tag in header.keys() if tag.group in PATIENT_GROUPS]:  # noqa: SIM118  # decodes these alone
        if header[tag].is_empty and header[tag].keyword not in PATIENT_AND_STUDY:
            del header[tag]  # may be left out, but not be empty
    method = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if header.get("PatientIdentityRemoved") == "YES" and not any(name in header for name in method):
        header.DeidentificationMethod = "not told by the source"
    if str(header.PatientSex) not in SEXES:
        header.PatientSex = ""


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text)) and datetime.strptime(text, "%Y%m%d").year > 0
    except ValueError:
        return False
