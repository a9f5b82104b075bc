"""Scans at fsspec URLs: OME-Zarr is read where it lies, any other format is fetched for as long as it is open.

What was fetched lies in a temporary folder of the task, which is removed on close. Messages name the URL
without its credentials.
"""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.errors import DataError, SomrayError
from somray.io.readers.omezarr.reader import MARKS, open_omezarr
from somray.io.readers.source import Source, coded
from somray.io.readers.voxels import meta_fields, nrrd_fields
from somray.io.readers.voxels.data_files import named_files
from somray.io.storage import is_url

__all__ = ["fetched", "local_path", "open_remote", "shown_url"]

_SECRET = re.compile(r"(?<=://)[^/@]*@|[?].*$")
_PAIRS = {".hdr": ".img", ".img": ".hdr"}
MOST_FILES = 20_000  # of a folder that is fetched
_SPARE = 1.1  # of the bytes that are fetched, what must be free


def shown_url(url: str) -> str:
    """Return a URL as messages may show it: without user, password and signature."""
    return _SECRET.sub("", url)


def local_path(url: str) -> str | None:
    """Return the path of a file:// URL, None for any other."""
    if not url.startswith(("file://", "local://")):
        return None
    return str(fsspec.core.url_to_fs(url)[1])


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Turn what fsspec and the network raise into a coded error."""
    shown = shown_url(url)
    try:
        yield
    except SomrayError:
        raise
    except FileNotFoundError as error:
        raise DataError(
            "missing", f"{shown}: does not exist; correct the path in the manifest"
        ) from error
    except (ImportError, ValueError) as error:
        raise DataError(
            "unreadable",
            f"{shown}: its protocol is not known here ({shown_url(str(error))[:200]}); install its package "
            "(s3fs, gcsfs, adlfs …) on every machine",
        ) from error
    except Exception as error:  # each protocol has errors of its own
        what = str(error) or type(error).__name__
        raise DataError(
            "unreadable",
            f"{shown}: cannot be reached ({shown_url(what)[:200]}); see to network and credentials, then "
            "run again",
        ) from error


@contextmanager
def fetched(place: str) -> Iterator[Path | None]:
    """Have what lies at a URL on this machine while the context is open; None of OME-Zarr, which is read where it lies.

    Raises:
        DataError: `missing`; `unreadable`: unreachable; `storage`: no room to fetch it.
    """
    own = local_path(place) if is_url(place) else place
    if own is not None:
        yield Path(own)
        return
    with _reached(place):
        files, there = fsspec.core.url_to_fs(place)
        is_zarr = any(files.exists(f"{there}/{mark}") for mark in MARKS)
        if not is_zarr and not files.exists(there):
            files.cat_file(there, start=0, end=1)  # says whether it is lost or out of reach
            raise FileNotFoundError(there)
    if is_zarr:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="somray-fetch-"))
    try:
        with _named(folder, place):
            with _reached(place):
                local = _fetch(place, files, there, folder)
            yield local
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_remote(url: str, channel: str | None, opener: Callable[[str], Source]) -> Source:
    """Open a scan or mask at a URL.

    Raises:
        DataError: codes of `fetched`; `unreadable`: as any file.
    """
    with ExitStack() as stack:
        local = stack.enter_context(fetched(url))
        if local is None:
            return _in_place(url, channel)
        inner = opener(str(local))
        stack.callback(inner.close)
        _check_own(url, local.parent, inner)
        return _FetchedSource(url, local.parent, inner, stack.pop_all())


def _check_own(url: str, folder: Path, inner: Source) -> None:
    """Refuse a fetched header that names files of this machine."""
    own = folder.resolve()
    if not all(Path(file).resolve().is_relative_to(own) for file in inner.data_files):
        raise DataError(
            "unreadable",
            f"{shown_url(url)}: its header names a data file that does not lie beside it; correct the header",
        )


def _in_place(url: str, channel: str | None) -> Source:
    """Open an OME-Zarr where it lies."""
    shown = shown_url(url)
    try:
        with coded(shown):
            source = open_omezarr(url, channel=channel)
    except DataError as error:
        raise DataError(error.code, error.message.replace(url, shown)) from error
    source.path = shown
    return source


def _is_folder(url: str, files: Any, place: str) -> bool:  # Any: fsspec has no types
    """Whether a URL is a folder; asked of a web server, the question would load the whole file."""
    if url.startswith(("http://", "https://")):
        return url.endswith("/")
    return bool(files.isdir(place))


@contextmanager
def _named(folder: Path, url: str) -> Iterator[None]:
    """Name the URL in errors, not where it was fetched to."""
    shown = shown_url(url)
    above, _, name = shown.rstrip("/").rpartition("/")
    try:
        yield
    except DataError as error:
        message = error.message.replace(f"{folder}/{name}", shown).replace(str(folder), above)
        raise DataError(error.code, message) from error


def _fetch(url: str, files: Any, place: str, folder: Path) -> Path:  # Any: fsspec has no types
    """Fetch a file with its companions, or the files of a folder; return the local path."""
    name = PurePosixPath(shown_url(url).rstrip("/")).name or "scan"
    if _is_folder(url, files, place):
        inside = [f for f in files.ls(place, detail=True) if f.get("type") == "file"]
        if not inside or len(inside) > MOST_FILES:
            what = f"is a folder of {len(inside)} files; name one series"
            raise DataError("unreadable", f"{shown_url(url)}: {what}")
        _check_room(url, sum(int(f.get("size") or 0) for f in inside))
        target = folder / name
        target.mkdir()
        for file in inside:
            files.get_file(file["name"], str(target / PurePosixPath(file["name"]).name))
        return target
    target = folder / name
    _check_room(url, int(files.size(place) or 0))
    files.get_file(place, str(target))
    for companion in _companions(target) if "?" not in place else ():
        beside = f"{place.rpartition('/')[0]}/{companion}"
        if files.exists(beside):
            _check_room(url, int(files.size(beside) or 0))
            files.get_file(beside, str(folder / companion))
    return target


def _check_room(url: str, size: int) -> None:
    """Refuse to fill the disk."""
    place = tempfile.gettempdir()
    free = shutil.disk_usage(place).free
    if size * _SPARE > free:
        raise DataError(
            "storage",
            f"{shown_url(url)}: takes {size / 2**30:.1f} GiB while it is read, {place} has "
            f"{free / 2**30:.1f} GiB; free space, or set TMPDIR",
        )


def _companions(file: Path) -> list[str]:
    """List the files beside a header that hold its voxels; never outside its folder."""
    stem, ending = file.name, ""
    if stem.lower().endswith(".gz"):
        stem, ending = stem[:-3], stem[-3:]
    suffix = Path(stem).suffix
    if suffix.lower() in _PAIRS:
        other = str(Path(stem).with_suffix(_PAIRS[suffix.lower()]))
        return [other + end for end in dict.fromkeys((ending, "", ".gz"))]
    if suffix.lower() not in (".mhd", ".nhdr"):
        return []
    with contextlib.suppress(DataError):  # a damaged header is its reader's to refuse
        if suffix.lower() == ".mhd":
            meta = meta_fields.read_fields(file)
            name, listed = meta.text(meta_fields.DATA_FILE), meta.listed
        else:
            nrrd = nrrd_fields.read_fields(file)
            name, listed = str(nrrd.fields.get("data file", "")), nrrd.listed
        places = [Path(place) for place in named_files(file, name, listed, MOST_FILES)]
        return [place.name for place in places if name and place.parent == file.parent]
    return []


class _FetchedSource(Source):
    """A source that was fetched; its folder goes with it."""

    def __init__(self, url: str, folder: Path, inner: Source, held: ExitStack) -> None:
        super().__init__(shown_url(url), inner.header)
        self._url, self._folder, self._inner, self._held = url, folder, inner, held
        self.windows, self.slice_bytes = inner.windows, inner.slice_bytes
        self.is_forward = inner.is_forward

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What was left out or decided."""
        return self._inner.notes

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        with _named(self._folder, self._url):
            return self._inner.read(t, z0, z1)

    def _read_box(self, box: Brick) -> NDArray[np.float32]:
        with _named(self._folder, self._url):
            return self._inner.read_box(box)

    def verify(self) -> None:
        """Verify what was fetched."""
        with _named(self._folder, self._url):
            self._inner.verify()

    def close(self) -> None:
        """Remove what was fetched."""
        self._held.close()
