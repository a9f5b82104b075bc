"""Folders and files below a place: every folder once, links followed, loops and dead ends named."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from somray.io.cohort.survey.found import Search
from somray.io.readers.standins import stand_in

__all__ = ["folders_within", "is_litter"]

_SYSTEM = frozenset(
    ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", "#recycle", "__pycache__")
)  # fmt: skip
_ARCHIVES = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|7z|rar|(tar\.(gz|bz2|xz|zst)))$", re.IGNORECASE)
_LITTER = frozenset(
    ("thumbs.db", "desktop.ini", "version", "lockfile", "dicomdir", "readme", "license", "md5sums.md5", "autorun.inf")
)  # fmt: skip
_POINTER_BYTES = 1024  # a file that stands for another is no larger
_CALLED_SCAN = re.compile(
    r"[^.]+|.*\.((nii|hdr|img|nrrd|nhdr|mha|mhd|z?raw|dcm|dicom|ima|tiff?|png|mg[hz]|mnc)(\.gz)?|\d+)",
    re.IGNORECASE,
)  # fmt: skip
"""Names of scans; a script or a web page that is empty or a page is what it should be."""


def is_litter(name: str) -> bool:
    """Whether a file's name is that of an operating system's or a medium's own file."""
    return name.startswith((".", "~$")) or name.lower() in _LITTER or name.lower().endswith(".lnk")


def folders_within(
    place: Path, search: Search, is_one: Callable[[Path], bool]
) -> Iterator[tuple[Path, list[Path]]]:
    """Yield every folder below a place with the files directly in it, sorted.

    Folders that lie there in truth come first, those that links lead to after them, so that a folder that is
    reached in two ways counts as itself. Hidden and system folders, and runs of somray, are passed over.

    Args:
        place: an existing folder.
        search: told of links to nothing, loops, folders that cannot be opened, archives.
        is_one: whether a folder is one scan by itself, such as an OME-Zarr image; it is yielded with no files.
    """
    seen: set[str] = set()
    waiting = [place]
    while waiting:
        start = waiting.pop(0)
        real = os.path.realpath(start)
        if real in seen:
            search.leave_out(start, "link", "is a link to a folder that was looked at already")
            continue
        yield from _below(start, search, seen, waiting, is_one)


def _below(
    start: Path,
    search: Search,
    seen: set[str],
    waiting: list[Path],
    is_one: Callable[[Path], bool],
) -> Iterator[tuple[Path, list[Path]]]:
    def told(error: OSError) -> None:
        where = Path(str(error.filename))
        search.leave_out(where, "unreadable", f"cannot be opened ({error.strerror})")

    for root, below, names in os.walk(start, onerror=told):
        folder = Path(root)
        seen.add(os.path.realpath(folder))
        if "run.json" in names and "cohort.yaml" in names:  # a run of ours
            below[:] = []
            search.note(f"{folder}: is a run of somray; passed over")
            continue
        walked = []
        for name in sorted(below):
            child = folder / name
            if not _is_nameable(child, search):
                continue
            if name.startswith(".") or name in _SYSTEM:
                continue
            if is_one(child):
                yield child, []
            elif name.lower().endswith(".zarr"):
                search.leave_out(child, "unreadable", "is Zarr, but no OME-Zarr image")
            elif child.is_symlink():
                waiting.append(child)
            else:
                walked.append(name)
        below[:] = walked
        yield folder, list(_usable(folder, sorted(names), search))


def _usable(folder: Path, names: list[str], search: Search) -> Iterator[Path]:
    """Yield the files that may be scans; say why the others are none."""
    for name in names:
        file = folder / name
        if is_litter(name) or not _is_nameable(file, search):
            continue
        if _ARCHIVES.search(name):
            search.leave_out(file, "archive", "is an archive; unpack it")
            continue
        try:
            if not file.is_file():
                if file.is_symlink() and _CALLED_SCAN.fullmatch(name):
                    search.leave_out(file, "link", stand_in(file))
                continue
            size = file.stat().st_size
            what = stand_in(file) if 0 < size < _POINTER_BYTES else ""
            if size and not what:
                yield file
            elif not _CALLED_SCAN.fullmatch(name):
                search.others[file.suffix.lower()] += 1
            elif what:
                search.leave_out(file, "link", what)
            else:
                search.leave_out(file, "truncated", "is empty; copy it again")
        except OSError as error:
            search.leave_out(file, "unreadable", f"cannot be opened ({error.strerror})")


def _is_nameable(path: Path, search: Search) -> bool:
    """Whether a manifest, which is UTF-8, can name a path; disks of older systems hold others."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        shown = path.with_name(path.name.encode("ascii", "replace").decode())
        why = "has a name that is not UTF-8 (shown with ?); rename it, with convmv for instance"
        search.leave_out(shown, "unreadable", why)
        return False
    if not set("\n\r") & {*path.name}:
        return True
    shown = path.with_name(path.name.replace("\n", "?").replace("\r", "?"))
    search.leave_out(shown, "unreadable", "has a name with a line break (shown as ?); rename it")
    return False
