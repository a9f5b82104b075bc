"""What tells that a source was changed, without reading its pixels: its files, their sizes and times.

A header may keep its pixels in files of other names (MHD, NHDR, Analyze pairs, sets of OME-TIFF): those belong to
it, or pixels could be replaced behind an unchanged header. So do the slices beside a DICOM file, which stands for its
series: headers tell which they are, and each is read once a process. The time of the last change of a file's entry
(ctime) is among the facts, since copying tools set the time of modification back. It also changes where nothing else
did, after a move or a change of permissions: such a source is looked at again, and what it gives is found to be the
same.
"""

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import fsspec

from somray.errors import DataError
from somray.io.readers import split_channel
from somray.io.readers.dicom.dataset import is_dicom_file
from somray.io.readers.dicom.gather import is_called_dicom
from somray.io.readers.dicom.headers import list_files, series_of
from somray.io.readers.remote import local_path, shown_url
from somray.io.storage import is_url

__all__ = ["source_signature"]

Facts = list[object]

MOST_READ = 20_000
"""Files of a folder whose headers are read, half a millisecond each; in a larger one every file counts."""
_TEXT_HEADERS = (".mhd", ".nhdr")
_PAIR = (".hdr", ".img", ".hdr.gz", ".img.gz")
_HEADER_BYTES = 1 << 18  # of a header that is searched for names, from either end
_OME_FILE = re.compile(rb'FileName="([^"<>]+)"')
_VALUE = re.compile(r"^(?:[\w ]+\s*[:=]=?)?\s*(.+?)\s*$")
_REMOTE_FACTS = ("size", "ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "created")


def source_signature(path: str | None) -> list[Facts]:
    """List name, size and times of all files of a source; a file that is not there says so.

    Args:
        path: file, folder or fsspec URL of either; None where the manifest has no row.
    """
    if path is None:
        return []
    place = split_channel(path)[0]
    local = local_path(place)
    if is_url(place) and local is None:
        return _remote(place)
    root = Path(local or place)
    if os.path.isdir(root):
        return [_facts(file, file.relative_to(root).as_posix()) for file in _within(root)]
    if not os.path.isfile(root):  # nothing, out of reach, or a pipe, whose reader waits for ever
        return [_facts(root, root.name)]
    own = [_facts(file, os.path.relpath(file, root.parent)) for file in (root, *_beside(root))]
    return own + _series_beside(root)


def _within(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file())


def _facts(file: Path, name: str) -> Facts:
    try:
        found = file.stat()
    except OSError:
        return [name, "missing"]
    return [name, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _series_beside(file: Path) -> list[Facts]:
    """Sum up the files beside a DICOM file that are of its series, or may be; [] for other formats."""
    if not is_dicom_file(file):
        return []
    try:
        beside = [one for one in list_files(file.parent) if one.name != file.name]
    except OSError:
        return []
    found = {one: _facts(one, one.name) for one in beside}
    if len(found) <= MOST_READ:
        own = _series(str(file), *_facts(file, "")[1:])
        found = {one: facts for one, facts in found.items() if _is_of(own, one, facts)}
    told = list(found.values())
    return (
        [["beside", len(told), hashlib.sha256(json.dumps(told).encode()).hexdigest()]]
        if told
        else []
    )


def _is_of(series: str, file: Path, facts: Facts) -> bool:
    """Whether a file may be of a series: its header says so, or cannot be read."""
    if not (is_called_dicom(file) or is_dicom_file(file)):
        return False
    return _series(str(file), *facts[1:]) in (series, "") or not series


@functools.lru_cache(maxsize=2 * MOST_READ)
def _series(path: str, *facts: object) -> str:
    """Name the series of a file that has not changed since, "" where its header cannot be read."""
    try:
        return series_of(Path(path))
    except (DataError, OSError):
        return ""


def _beside(header: Path) -> list[Path]:
    """List the files that a header names, in order; [] for formats that keep all in one file."""
    try:
        return sorted({file for file in _named(header) if file != header and file.is_file()})
    except (OSError, ValueError):  # unreadable, or a name that no file can have
        return []


def _named(header: Path) -> Iterator[Path]:
    name = header.name.lower()
    if name.endswith(_TEXT_HEADERS):
        text = _ends(header)[0].decode("utf-8", "replace")
        for line in text.splitlines():
            value = _VALUE.match(line)
            if value is not None and len(value[1]) < 1024:
                yield header.parent / value[1]
                if "%" in value[1]:  # a pattern of numbered files
                    yield from header.parent.glob(f"*{Path(value[1].split()[0]).suffix}")
    elif name.endswith(_PAIR):
        stem = re.sub(r"\.(hdr|img)(\.gz)?$", "", header.name, flags=re.IGNORECASE)
        yield from (header.parent / f"{stem}{end}" for end in (*_PAIR, *map(str.upper, _PAIR)))
    elif ".ome." in name or name.endswith(".ome"):
        for part in _ends(header):
            yield from (header.parent / os.fsdecode(n) for n in _OME_FILE.findall(part))


def _ends(file: Path) -> tuple[bytes, bytes]:
    """Read a file's beginning and, where it goes on, its end."""
    with file.open("rb") as opened:
        start = opened.read(_HEADER_BYTES)
        opened.seek(max(len(start), file.stat().st_size - _HEADER_BYTES))
        return start, opened.read(_HEADER_BYTES)


def _remote(url: str) -> list[Facts]:
    """List what an object store tells of a source; a store that cannot be asked says so."""
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        is_file = filesystem.isfile(path)
        found = {path: filesystem.info(path)} if is_file else filesystem.find(path, detail=True)
    except Exception as error:  # any of a store's own; ingest will say it in words
        return [[shown_url(url), type(error).__name__]]
    if not found:
        return [[shown_url(url), "missing"]]
    return [
        [name, *(str(facts[key]) for key in _REMOTE_FACTS if facts.get(key) is not None)]
        for name, facts in sorted(found.items())
    ]
