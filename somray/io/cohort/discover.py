"""Look at folders of scans and propose a manifest and protocols, for `somray init`.

Recognition is the readers'; modality comes from headers, else from names; CT and PET of one folder make
one scan of two channels. Everything is a proposal: notes say what was left out and what to look at.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tifffile

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.cohort.names import fits, is_mask, is_plain, is_session, modality_of, safe_id
from somray.io.readers import READERS, open_source
from somray.io.readers.dicom.headers import list_files

__all__ = ["Proposal", "propose"]

STACK_FILES = 5  # single-page TIFF files in one folder that are taken for one stack
SPACING_RATIO = 2.0  # scans whose pixels differ more were not acquired alike
_PATIENT = {"CT": "CT", "PT": "PET", "MR": "MR"}


@dataclass(frozen=True)
class Proposal:
    """What `propose` found.

    Args:
        rows: of the manifest: subject, session, protocol, channel, path (absolute), truth.
        protocols: for `protocols:` of the configuration.
        notes: what was left out and why, and what a person should look at.
    """

    rows: tuple[dict[str, str], ...]
    protocols: dict[str, dict[str, Any]]  # Any: YAML
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Image:
    """One readable source; `root` is the folder it was found from."""

    path: Path
    header: ScanHeader
    modality: str
    root: Path

    @property
    def home(self) -> Path:
        """The folder that tells whose it is: not "CT", not "DICOM"."""
        folder = self.path if self.path.is_dir() else self.path.parent
        while folder != self.root and is_plain(folder.name):
            folder = folder.parent
        return folder


@dataclass
class _Group:
    """The sources of one future scan."""

    images: list[_Image]
    truth: Path | None = None
    subject: str = ""
    session: str = ""

    @property
    def kind(self) -> str:
        names = [i.modality for i in self.images]
        return "PETCT" if len(names) > 1 else names[0]


@dataclass
class _Search:
    """What has been found so far."""

    images: list[_Image] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def propose(paths: Sequence[Path]) -> Proposal:
    """Look at files and folders.

    Args:
        paths: existing files or folders of scans; folders are walked.

    Returns:
        Rows, protocols and notes; no rows where nothing could be read.
    """
    search = _Search()
    for path in sorted({p.absolute() for p in paths}):
        root = path if path.is_dir() else path.parent
        for place in _places(path, search):
            _look_at(place, root, search)
    groups = _grouped(search.images)
    for mask in search.masks:
        _add_truth(mask, groups, search)
    _name(groups)
    protocols, rows = _protocols(groups, search)
    return Proposal(tuple(rows), protocols, tuple(search.notes))


def _places(path: Path, search: _Search) -> Iterator[Path]:
    """Yield what may be a scan: files, or folders that are one series."""
    if path.is_file():
        yield path
        return
    for place, below, names in os.walk(path):
        folder = Path(place)
        below[:] = sorted(b for b in below if not b.startswith("."))
        if READERS["ome-zarr"].sniff(folder):
            below[:] = []
            yield folder
            continue
        if "run.json" in names and "cohort.yaml" in names:  # a run of ours
            below[:] = []
            continue
        files = list_files(folder)
        dicom = [f for f in files if READERS["dicom"].sniff(f)]
        if (dicom and len(dicom) == len(files)) or _is_stack(files):
            yield folder
            continue
        if len(dicom) > 1:
            search.notes.append(f"{folder}: holds DICOM and other files; part them")
        scans = [f for f in files if any(reader.sniff(f) for reader in READERS.values())]
        pictures = sum(name.lower().endswith(".png") for name in names)
        yield from [folder] if pictures >= STACK_FILES and not scans else scans


def _is_stack(files: list[Path]) -> bool:
    """Whether a folder's TIFF files are the slices of one stack: enough of them, one page each."""
    pages = [f for f in files if f.suffix.lower() in (".tif", ".tiff")]
    if len(pages) < STACK_FILES:
        return False
    try:
        with tifffile.TiffFile(pages[0]) as first:
            return len(first.pages) == 1
    except (OSError, ValueError, tifffile.TiffFileError):
        return False


def _look_at(place: Path, root: Path, search: _Search) -> None:
    """Read one header, or put a mask aside."""
    if place.is_file() and is_mask(place.name):
        search.masks.append(place)
        return
    header = _header(place, search)
    if header is not None:
        search.images.append(_Image(place, header, _modality(place, root, header), root))


def _header(place: Path, search: _Search) -> ScanHeader | None:
    """Read a header; note what cannot be used, and irregular series that could be resampled."""
    try:
        with open_source(place, "resample") as source:
            header = source.header
    except DataError as error:
        search.notes.append(f"left out ({error.code}): {error.message}")
        return None
    if {"resampled_z", "untilted"} & set(header.repairs):
        search.notes.append(
            f"{place}: slices are uneven or tilted; the scan is refused unless its protocol says "
            "`irregular: resample`"
        )
    if "spacing_assumed" in header.repairs:
        search.notes.append(f"{place}: names no voxel size; 1 mm is assumed")
    return header


def _modality(place: Path, root: Path, header: ScanHeader) -> str:
    """Take the header's word, else the nearest name's, else `other`."""
    if header.modality in _PATIENT:
        return _PATIENT[header.modality]
    names = [place.name, *(parent.name for parent in place.parents if parent.is_relative_to(root))]
    return modality_of(names) or "other"


def _grouped(images: list[_Image]) -> list[_Group]:
    """Make one scan of one CT and one PET of a home; any other image is a scan by itself."""
    homes: dict[Path, list[_Image]] = {}
    for image in images:
        homes.setdefault(image.home, []).append(image)
    groups = []
    for inside in homes.values():
        ct = [i for i in inside if i.modality == "CT"]
        pet = [i for i in inside if i.modality == "PET"]
        if len(ct) == 1 and len(pet) == 1:
            groups.append(_Group([ct[0], pet[0]]))
            inside = [i for i in inside if i not in (ct[0], pet[0])]
        groups += [_Group([image]) for image in inside]
    return groups


def _add_truth(mask: Path, groups: list[_Group], search: _Search) -> None:
    """Give a mask to the scan whose first channel its name fits best."""
    near = [g for g in groups if g.images[0].path.parent == mask.parent]
    scored = [(fits(mask.name, group.images[0].path.name), group) for group in near]
    best = max((score for score, _ in scored), default=0)
    chosen = [group for score, group in scored if score == best]
    if best == 0 or len(chosen) > 1:
        search.notes.append(f"{mask}: looks like a mask, but of no scan's first channel; left out")
    elif chosen[0].truth is not None:
        search.notes.append(f"{mask}: a second mask for {chosen[0].images[0].path}; left out")
    else:
        chosen[0].truth = mask


def _name(groups: list[_Group]) -> None:
    """Give every scan a subject and a session from folder and file names, no two alike."""
    homes = [group.images[0].home for group in groups]
    taken: set[tuple[str, str]] = set()
    for group, home in zip(groups, homes, strict=True):
        subject, session = _guess(group, home, alone=homes.count(home) == 1)
        name, number = session, 2
        while (subject.lower(), name.lower()) in taken:
            name, number = f"{session}-{number}", number + 1
        taken.add((subject.lower(), name.lower()))
        group.subject, group.session = subject, name


def _guess(group: _Group, home: Path, *, alone: bool) -> tuple[str, str]:
    """Guess subject and session of one scan.

    `sub-X/ses-Y` (BIDS) is taken as it stands; a file or folder named like a time point is a session of
    the folder above it; of several unlike scans in one folder each is named after its file.
    """
    path, root = group.images[0].path, group.images[0].root
    words = [w for part in path.parts[len(root.parts) - 1 :] for w in part.split("_")]
    subject = next((w[4:] for w in words if w.startswith("sub-")), "")
    session = next((w[4:] for w in words if w.startswith("ses-")), "")
    if subject:
        return safe_id(subject), safe_id(session or "t0")
    if path != home and is_session(path.name):
        return safe_id(home.name), safe_id(path.name)
    if home != root and is_session(home.name):
        return safe_id(home.parent.name), safe_id(home.name)
    if alone or len(group.images) > 1:
        return safe_id(home.name), "t0"
    return safe_id(f"{home.name}-{path.name}"), "t0"


def _protocols(
    groups: list[_Group], search: _Search
) -> tuple[dict[str, dict[str, Any]], list[dict[str, str]]]:  # Any: YAML
    """Make protocols of scans of one kind and like pixel size, and the rows."""
    protocols: dict[str, dict[str, Any]] = {}
    first: dict[str, _Group] = {}
    rows = []
    for group in groups:
        name = next((n for n, g in first.items() if _alike(g, group)), "")
        if not name:
            same = sum(g.kind == group.kind for g in first.values())
            name = group.kind.lower() + (f"-{same + 1}" if same else "")
            first[name] = group
            channels = [image.modality for image in group.images]
            protocols[name] = {"modality": group.kind, "channels": channels}
        for image in group.images:
            is_first = image is group.images[0]
            rows.append({
                "subject": group.subject, "session": group.session, "protocol": name,
                "channel": image.modality, "path": str(image.path), "days": "",
                "truth": str(group.truth) if group.truth and is_first else "",
            })  # fmt: skip
    if any(sum(r["protocol"] == name for r in rows) > 1 for name in protocols):
        search.notes.append("scans of one modality share a protocol: part those not acquired alike")
    return protocols, rows


def _alike(one: _Group, other: _Group) -> bool:
    if one.kind != other.kind:
        return False
    ratio = (
        one.images[0].header.geometry.spacing_mm[1] / other.images[0].header.geometry.spacing_mm[1]
    )
    return 1 / SPACING_RATIO <= ratio <= SPACING_RATIO
