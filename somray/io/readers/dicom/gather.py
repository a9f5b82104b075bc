"""The files of one series, out of whatever folder they lie in.

Files are told by what they hold: a series is what shares its SeriesInstanceUID. What is no image (reports,
segmentations, presentation states, system files) is left out with a code; a damaged file that looks like one
of the slices is not, for a volume that lacks a slice must not pass as whole.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from somray.errors import DataError
from somray.io.readers.dicom.dataset import is_dicom_file
from somray.io.readers.dicom.frame import DicomFile, DicomFrame
from somray.io.readers.dicom.headers import list_files, read_file

__all__ = ["gather", "is_called_dicom", "is_dicom_folder", "may_be_dicom"]

MOST_FILES = 50_000  # below a folder; more is an archive, not a scan
MOST_BELOW = 2_000  # below a series; more is an archive whose other series they are
MOST_NAMED = 4  # series that a message names
_SCAN_SUFFIXES = {
    ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".nii", ".gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr",
}  # fmt: skip
_REMEDIES = {
    "SEG": "segmentations belong in the column `truth`",
    "RTSTRUCT": "structure sets belong in the columns `truth` and `anatomy`",
}
_SKIPPED_FOLDERS = ("__MACOSX",)


def is_called_dicom(file: Path) -> bool:
    """Whether a file's name says DICOM."""
    return file.suffix.lower() in (".dcm", ".ima", ".dicom")


def may_be_dicom(file: Path) -> bool:
    """Whether a file's name or its first bytes say DICOM."""
    return is_called_dicom(file) or is_dicom_file(file)


def is_dicom_folder(folder: Path) -> bool:
    """Whether a folder holds DICOM files, itself or, where it holds no other scans, in the folders below."""
    files = list_files(folder)
    if any(may_be_dicom(f) for f in files):
        return True
    if any(p.suffix.lower() in _SCAN_SUFFIXES for p in folder.iterdir()):
        return False
    return any(is_dicom_file(f) for f in _below(folder))


def _below(folder: Path) -> list[Path]:
    """List the files of all folders below, links not followed; of hidden folders none."""
    found: list[Path] = []
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        inner = [
            p for p in here.iterdir()
            if p.is_dir() and not p.is_symlink() and not p.name.startswith(".")
            and p.name not in _SKIPPED_FOLDERS and p.suffix != ".zarr"
        ]  # fmt: skip
        waiting += inner
        found += [f for p in inner for f in list_files(p)]
        if len(found) > MOST_FILES:
            raise DataError(
                "unreadable",
                f"{folder}: more than {MOST_FILES} files lie below it; name the folder of one series",
            )
    return sorted(found)


def gather(path: Path) -> tuple[tuple[DicomFrame, ...], tuple[str, ...]]:
    """Collect the slices of the one series of a folder, or of the series that a file belongs to.

    Returns:
        The slices in no order, and codes of what was left out or taken in.

    Raises:
        DataError: `unreadable`, `truncated`, `mixed_series`, `missing` parts.
    """
    repairs: list[str] = []
    if path.is_file():
        chosen = _series_of(path, repairs)
    else:
        files = list_files(path)
        is_here = any(may_be_dicom(f) for f in files)
        found, broken = _read(files if is_here else _below(path))
        chosen = _one_series(path, found, broken, repairs)
        _check_broken(chosen, broken)
        if is_here:
            _check_all_here(path, chosen)
    for file in chosen:
        if file.problem is not None:
            raise file.problem
    _check_parts(chosen)
    return tuple(f for file in chosen for f in file.frames), tuple(repairs)


def _series_of(path: Path, repairs: list[str]) -> list[DicomFile]:
    """Read one file, and where it is one slice of a series, the rest of the series beside it.

    File dialogs name one file where a series is meant; a volume of one slice would be a wrong answer.
    """
    named = read_file(path)
    if named.what == "DICOMDIR":
        raise DataError(
            "unreadable",
            f"{path}: is the index of a disk, not a scan; name the folder of one series, or give its folder to "
            "`somray init`",
        )
    if named.what:
        remedy = _REMEDIES.get(named.what, "name the folder of a series")
        raise DataError("unreadable", f"{path}: is a {named.what} object, not a scan; {remedy}")
    if named.problem is not None or (len(named.frames) > 1 and named.part[1] < 2):
        return [named]
    beside = [f for f in list_files(path.parent) if f.name != path.name and may_be_dicom(f)]
    found, broken = _read(beside)
    chosen = [named, *(f for f in found if f.series == named.series and not f.what)]
    if len(chosen) > 1:
        _check_broken(chosen, broken)
        repairs.append("series_completed")
    return sorted(chosen, key=lambda f: f.path)


def _read(files: Sequence[Path]) -> tuple[list[DicomFile], list[tuple[Path, DataError]]]:
    """Read all headers; returns what they hold, and the files that are damaged or no DICOM at all."""
    found, broken = [], []
    for file in files:
        try:
            found.append(read_file(file))
        except DataError as error:
            broken.append((file, error))
    return found, broken


def _check_all_here(path: Path, chosen: Sequence[DicomFile]) -> None:
    """Refuse a series of which a part lies in folders below: the part that is here must not pass as the whole."""
    try:
        below = _below(path)
    except DataError:
        return
    if len(below) > MOST_BELOW:
        return
    deeper, _ = _read([f for f in below if may_be_dicom(f)])
    here = {frame.instance for file in chosen for frame in file.frames}
    others = [f for f in deeper if f.series == chosen[0].series and not f.what]
    apart = [f for f in others if any(frame.instance not in here for frame in f.frames)]
    if apart:
        raise DataError(
            "mixed_series",
            f"{path}: {len(chosen)} files of its series lie here and {len(apart)} in folders below, such as "
            f"{apart[0].path}; put them in one folder",
        )


def _shape_of(name: str) -> str:
    """Return a name with its numbers taken out: IM0007.dcm and IM0012.dcm are alike."""
    return re.sub(r"\d+", "#", name)


def _check_broken(chosen: Sequence[DicomFile], broken: Sequence[tuple[Path, DataError]]) -> None:
    """Refuse a damaged file that may be a slice of the series."""
    folders = {file.path.parent for file in chosen}
    names = {_shape_of(file.path.name) for file in chosen}
    for file, error in broken:
        is_slice = _shape_of(file.name) in names or may_be_dicom(file)
        has_number = not file.suffix and re.search(r"\d", file.name) is not None
        if file.parent in folders and (is_slice or has_number):
            raise DataError(
                error.code, f"{error.message}; it lies among the slices: move it out if it is none"
            )


def _one_series(
    path: Path,
    found: Sequence[DicomFile],
    broken: Sequence[tuple[Path, DataError]],
    repairs: list[str],
) -> list[DicomFile]:
    """Choose the one series of images, and note what is left out beside it."""
    images = sorted((f for f in found if not f.what), key=lambda f: (f.series, f.path))
    series = [list(group) for _, group in groupby(images, key=lambda f: f.series)]
    whole = [s for s in series if not all(f.is_capture for f in s)] or series
    volumes = [s for s in whole if not all(f.is_scout for f in s)] or whole
    if len(volumes) > 1:
        volumes.sort(key=lambda s: s[0].path)
        _check_not_torn(path, volumes)
        named = "; ".join(f"{len(s)} files such as {s[0].path}" for s in volumes[:MOST_NAMED])
        raise DataError(
            "mixed_series",
            f"{path}: holds {len(volumes)} series: {named}{' …' if len(volumes) > MOST_NAMED else ''}; "
            "name the folder of one, or one file of it",
        )
    if not volumes:
        damaged = [error for file, error in broken if may_be_dicom(file)]
        if damaged:
            raise damaged[0]
        kinds = ", ".join(sorted({f.what for f in found})) or "no DICOM files"
        raise DataError(
            "unreadable", f"{path}: holds no images ({kinds}); name the folder that does"
        )
    if any(f.what for f in found) or len(whole) < len(series):
        repairs.append("objects_left_out")
    if len(volumes) < len(whole):
        repairs.append("scouts_left_out")
    if broken:
        repairs.append("litter_left_out")
    return volumes[0]


def _check_not_torn(path: Path, volumes: Sequence[Sequence[DicomFile]]) -> None:
    """Refuse slices that each claim a series of their own, where naming one would give a volume of one slice."""
    alone = [s[0] for s in volumes if len(s) == 1 and len(s[0].frames) == 1]
    if len(alone) == len(volumes) > MOST_NAMED:
        raise DataError(
            "mixed_series",
            f"{path}: each of {len(alone)} slices names another series (SeriesInstanceUID 0020,000e), such as "
            f"{alone[0].path} and {alone[1].path}; give the slices of one volume one SeriesInstanceUID, as they had "
            "before they were anonymised or exported",
        )


def _check_parts(files: Sequence[DicomFile]) -> None:
    """Refuse a volume in parts that lacks one."""
    there, total = {f.part[0] for f in files}, max(f.part[1] for f in files)
    lost = sorted(set(range(1, total + 1)) - there)
    if lost:
        raise DataError(
            "missing",
            f"{files[0].path}: is one of {total} parts of a volume (ConcatenationUID), part {lost[0]} is "
            "not there; bring it back",
        )
