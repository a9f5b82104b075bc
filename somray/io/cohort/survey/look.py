"""Places to sources: what in a folder is a scan or a mask, by the readers' own word. Headers only, read once.

A folder of DICOM is parted by series and person before any reader sees it. A damaged file ends nothing: it is
left out with the reader's code.
"""

from collections.abc import Sequence
from pathlib import Path

import tifffile

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.cohort.survey.dicom_series import SeriesFiles, series_within
from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.hounsfield import holds_hounsfield_units
from somray.io.cohort.survey.naming.names import modality_of, tokens
from somray.io.cohort.survey.naming.words import LESION
from somray.io.cohort.survey.structures import structures_of
from somray.io.cohort.survey.walk import folders_within
from somray.io.readers import READERS, open_source
from somray.io.readers.dicom.gather import may_be_dicom
from somray.io.readers.dicom.headers import list_files
from somray.io.readers.foreign import foreign

__all__ = ["look_at"]

STACK_FILES = 5  # single-page image files in one folder that are taken for one stack
TORN_SERIES = 5  # of one slice each in a folder; more are no chance
_STACKED = (".tif", ".tiff", ".png")
_PATIENT = {"CT": "CT", "PT": "PET", "MR": "MR"}
_RESAMPLED = {"resampled_z", "untilted"}


def look_at(places: Sequence[Path], search: Search, root: Path | None = None) -> list[Found]:
    """Find every source in files and below folders, masks too; a shell's `series/*` are looked at together."""
    found: list[Found] = []
    given: dict[Path, list[Path]] = {}
    for place in places:
        if place.is_dir():
            found += _below(place, root, search)
        elif place.name.upper() == "DICOMDIR":
            search.leave_out(place, "object", "is the index of a disk, not a scan; give its folder")
        elif not place.is_file():
            search.leave_out(place, "unreadable", "is a pipe or a device, not a file")
        else:
            given.setdefault(place.parent, []).append(place)
    for folder, files in given.items():
        found += _files(files, root or folder, search, alone=len(files) == 1, given=True)
    return found


def _below(place: Path, root: Path | None, search: Search) -> list[Found]:
    """Look at a folder and all below it."""
    if _is_one(place):
        return _source(place, root or place.parent, search)
    found: list[Found] = []
    for folder, files in folders_within(place, search, _is_one):
        if not files and folder.name.lower().endswith(".zarr"):
            found += _source(folder, root or place, search)
        else:
            found += _files(files, root or place, search)
    return found


def _is_one(folder: Path) -> bool:
    return folder.name.lower().endswith(".zarr") and _sniffed(folder)


def _sniffed(path: Path, *, dicom: bool = True) -> bool:
    """Whether any reader recognises a path; what cannot be opened is for its reader to refuse."""
    try:
        return any(r.sniff(path) for name, r in READERS.items() if dicom or name != "dicom")
    except OSError:
        return False


def _files(
    files: Sequence[Path], root: Path, search: Search, *, alone: bool = False, given: bool = False
) -> list[Found]:
    """Look at files of one folder: all of them, one alone, or those that a person gave."""
    if not files:
        return []
    others = [f for f in files if _sniffed(f, dicom=False)]
    known = set(others)
    if not alone:
        others = _without_previews(_without_halves(others), search)
    maybe = [f for f in files if f not in known]
    listed = {*list_files(maybe[0].parent)} if maybe and not alone else set()
    dicom, litter = series_within(f for f in maybe if alone or f in listed or may_be_dicom(f))
    rest = [f for f in maybe if not (f in listed or may_be_dicom(f))] + litter
    for file in rest:
        if what := foreign(file):
            search.leave_out(file, "unreadable", what)
        else:
            search.others[file.suffix.lower() or "no ending"] += 1
    found = _series(dicom, root, search, given=given)
    if not alone and _is_stack(others):
        return found + _source(others[0].parent, root, search)
    for file in _worth_looking(others):
        found += _source(file, root, search)
    return found


def _without_halves(files: list[Path]) -> list[Path]:
    """Leave out the pixels of a pair whose header lies beside them: the header stands for both."""
    halves = {f: f.name.removesuffix(".gz").rpartition(".")[::2] for f in files}
    stems = {stem for stem, ending in halves.values() if ending.lower() == "hdr"}
    return [f for f, (stem, end) in halves.items() if end.lower() != "img" or stem not in stems]


def _without_previews(files: list[Path], search: Search) -> list[Path]:
    """Leave PNG files out but where they are many and nothing beside them is a scan: else they picture one."""
    scans = [f for f in files if f.suffix.lower() != ".png"]
    if not scans and len(files) >= STACK_FILES:
        return files
    search.others.update([".png"] * (len(files) - len(scans)))
    return scans


def _worth_looking(files: Sequence[Path]) -> Sequence[Path]:
    """Of a folder with one mask per organ take the first for all; a hundred alike tell no more."""
    if len(files) < 2 or files[0].parent.name.lower() != "segmentations":
        return files
    lesions = [f for f in files if LESION & set(tokens(f.name))]
    return [*[f for f in files if f not in lesions][:1], *lesions]


def _is_stack(files: Sequence[Path]) -> bool:
    """Whether a folder's TIFF or PNG files are the slices of one stack: enough of them, one page each."""
    pages = [f for f in files if f.suffix.lower() in _STACKED]
    if len(pages) < STACK_FILES or len(pages) < len(files) / 2:
        return False
    if pages[0].suffix.lower() == ".png":
        return True
    try:
        with tifffile.TiffFile(pages[0]) as first:
            return len(first.pages) == 1
    except Exception:  # whatever a damaged file raises; the reader says what it is
        return False


def _series(series: list[SeriesFiles], root: Path, search: Search, *, given: bool) -> list[Found]:
    """Make a source of each series: its folder where it is alone there, else one of its files."""
    found: list[Found] = []
    images = []
    for one in series:
        if one.modality == "RTSTRUCT":
            for file in one.files:
                search.structures += structures_of(file, root, one.facts, search)
        elif not one.is_image:
            why = f"is a {one.modality or 'DICOM'} object without an image"
            if one.modality == "SEG":
                why = "is a SEG object, no scan; where it outlines lesions, name it in `truth`"
            search.leave_out(one.files[0], "object", why)
        elif one.scouts:
            why = f"{one.scouts} localizer image(s), which are no part of a volume"
            search.leave_out(one.files[0], "localizer", why)
        else:
            images.append(one)
    if len(images) >= TORN_SERIES and all(one.slices == 1 for one in images):
        why = (
            f"each of its {len(images)} slices names another series (SeriesInstanceUID); give those of one volume "
            "the same one, as they had before they were anonymised or exported"
        )
        search.leave_out(images[0].files[0].parent, "mixed_series", why)
        return found
    for one in images:
        folder = one.files[0].parent
        if given or len(series) == 1:  # a file of DICOM stands for its series
            found += _source(one.files[0] if given else folder, root, search, one)
            continue
        found += _among_others(one, [folder] if len(images) == 1 else [], root, search)
    return found


def _among_others(
    one: SeriesFiles, folders: Sequence[Path], root: Path, search: Search
) -> list[Found]:
    """Make a source of a series beside other files: of the folder or a file of it, whichever reads as the whole."""
    apart = Search()
    for place in (*folders, one.files[0]):
        apart = Search()
        tried = _source(place, root, apart, one)
        if tried and tried[0].header.shape[0] * tried[0].header.shape[1] == one.slices:
            search.notes += apart.notes
            return tried
    if apart.left_out:
        search.left_out += apart.left_out
        search.notes += apart.notes
    else:
        why = "lies among other series; put its files in a folder of their own"
        search.leave_out(one.files[0], "mixed_series", f"a series of {one.slices} slices {why}")
    return []


def _source(
    place: Path, root: Path, search: Search, series: SeriesFiles | None = None
) -> list[Found]:
    """Read one header; note what cannot be used, and what was assumed."""
    try:
        with open_source(place, "resample") as source:
            header, modality = source.header, _modality(place, root, source.header)
            is_ct = modality == "other" and holds_hounsfield_units(source)
    except DataError as error:
        search.refuse(place, error)
        return []
    if _RESAMPLED & set(header.repairs):
        search.note(
            f"{place}: slices are uneven or tilted; the scan is refused unless its protocol says "
            "`irregular: resample`"
        )
    facts = None if series is None else series.facts
    return [Found(place, root, header, "CT" if is_ct else modality, facts, is_by_values=is_ct)]


def _modality(place: Path, root: Path, header: ScanHeader) -> str:
    """Take the header's word, else the nearest name's, else `other`."""
    if header.modality in _PATIENT:
        return _PATIENT[header.modality]
    names = [place.name, *(parent.name for parent in place.parents if parent.is_relative_to(root))]
    return modality_of(names) or "other"
