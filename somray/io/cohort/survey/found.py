"""What a search has come upon: sources with their headers, and what was left out and why."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.cohort.survey.dicom_series import SeriesFacts

__all__ = ["Found", "Search"]


@dataclass
class Found:
    """One readable source.

    Args:
        path: file or folder, as the manifest will name it.
        root: the folder it was found from.
        header: what it says of itself.
        modality: CT, PET, MR, XCT or other.
        facts: of DICOM, for telling people and acquisitions apart.
        who: key of its subject; equal keys are one person.
        names: what the subject is called, outermost first; empty where no name tells.
        when: its visit, as names tell; "" where they do not.
        alias: what names call the visit of a person whom headers know; "" where names know the person.
        what: contrast or phase; "" where there is but one.
        channel: its number, in a layout that numbers channels.
        is_told: a layout that is known says whose it is.
        is_lesion: a mask of lesions.
        is_organ: a mask of organs.
        is_by_values: neither header nor name tells the modality; the values do.
    """

    path: Path
    root: Path
    header: ScanHeader
    modality: str
    facts: SeriesFacts | None = None
    who: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    when: str = ""
    alias: str = ""
    what: str = ""
    channel: str = ""
    is_told: bool = False
    is_lesion: bool = False
    is_organ: bool = False
    is_by_values: bool = False

    @property
    def is_file(self) -> bool:
        """Whether its name is a file's, with an ending; an OME-Zarr image is a folder that is named so."""
        return not self.path.is_dir() or self.path.suffix.lower() == ".zarr"

    @property
    def folder(self) -> Path:
        """The folder that holds it, or that it is."""
        return self.path if self.path.is_dir() else self.path.parent


@dataclass
class Search:
    """What has been found so far.

    Args:
        images: scans to be.
        masks: put aside until all scans are known.
        structures: likewise, RT Structure Sets, which name their scans.
        notes: for a person.
        left_out: path, code and reason of everything that looked like a scan and is none.
        others: endings of files that are no scans, counted.
    """

    images: list[Found] = field(default_factory=list)
    masks: list[Found] = field(default_factory=list)
    structures: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def note(self, text: str) -> None:
        """Tell a person something, once."""
        if text not in self.notes:
            self.notes.append(text)

    def leave_out(self, path: Path, code: str, why: str) -> None:
        """Leave a source out and say why.

        Args:
            path: the source.
            code: of the quality gate, or a word: link, litter, mask, object, repeat, channels.
            why: the reason, without the path.
        """
        self.left_out.append({"path": str(path), "code": code, "why": why})
        self.note(f"left out ({code}): {path}: {why}")

    def refuse(self, path: Path, error: DataError) -> None:
        """Leave a source out that its reader refused."""
        self.leave_out(path, error.code, error.message.removeprefix(f"{path}: "))
