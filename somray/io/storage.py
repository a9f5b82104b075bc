"""Bytes on a local path or any fsspec URL, written whole or not at all.

A local file is written beside its place and renamed; on object stores a put is atomic by itself.
Readers therefore never see half a file. Names that begin with "." are partial and ignored.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import zarr.storage

from somray.errors import StoreError
from somray.io.patience import patiently
from somray.io.patient_store import PatientStore

__all__ = ["Storage", "is_url"]


def is_url(location: str) -> bool:
    """Tell an fsspec URL (s3://, gs://, memory://) from a local path."""
    return "://" in location


@dataclass(frozen=True)
class Storage:
    """One root under which a run, or any tree of files, lives.

    Args:
        root: absolute local path or fsspec URL, without a trailing slash.
    """

    root: str

    @classmethod
    def at(cls, location: str | Path) -> "Storage":
        """Make a storage from a path (made absolute) or URL; a file:// is the path that it names."""
        text = str(location)
        if text.startswith("file:///"):
            text = text.removeprefix("file://")
        if is_url(text):
            return cls(text.rstrip("/"))
        return cls(str(Path(text).expanduser().absolute()))

    @property
    def is_local(self) -> bool:
        """Whether the root is a path of this machine."""
        return not is_url(self.root)

    def uri(self, name: str = "") -> str:
        """Return the full path or URL of a name."""
        return f"{self.root}/{name}" if name else self.root

    def _filesystem(self, name: str = "") -> tuple[Any, str]:  # Any: fsspec has no types
        filesystem, path = fsspec.core.url_to_fs(self.uri(name))
        return filesystem, path

    def read_bytes(self, name: str) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: there is none.
            StoreError: it cannot be read.
        """
        try:
            return patiently(self._get, name)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(f"{self.uri(name)}: cannot be read: {error}") from error

    def _get(self, name: str) -> bytes:
        if self.is_local:
            return Path(self.uri(name)).read_bytes()
        filesystem, path = self._filesystem(name)
        with _plainly():
            return bytes(filesystem.cat_file(path))

    def read_text(self, name: str) -> str:
        """Read a whole UTF-8 file."""
        return self.read_bytes(name).decode("utf-8")

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a whole file so that no reader sees a part of it.

        Raises:
            StoreError: it cannot be written (no space, no permission …).
        """
        try:
            patiently(self._put, name, data)
        except OSError as error:
            raise StoreError(
                f"{self.uri(name)}: cannot be written: {error.strerror or error}; "
                "free space or correct permissions and run again"
            ) from error

    def _put(self, name: str, data: bytes) -> None:
        if not self.is_local:
            filesystem, path = self._filesystem(name)
            with _plainly():
                filesystem.pipe_file(path, data)
            return
        target = self.uri(name)
        folder, _, base = target.rpartition("/")
        partial = f"{folder}/.{base}.{secrets.token_hex(4)}.partial"
        try:
            try:
                file = open(partial, "wb")  # noqa: SIM115  # closed two lines below
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)
                file = open(partial, "wb")  # noqa: SIM115
            with file:
                file.write(data)
            os.replace(partial, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise

    def write_text(self, name: str, text: str) -> None:
        """Write a whole UTF-8 file; see `write_bytes`."""
        self.write_bytes(name, text.encode("utf-8"))

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Open a file to be written piece by piece; it appears whole at the end, or not at all.

        For a URL the pieces are gathered in a temporary file of this machine and put at the end.

        Raises:
            StoreError: it cannot be written.
        """
        target = Path(self.uri(name)) if self.is_local else None
        try:
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                folder = target.parent
            else:
                folder = Path(tempfile.gettempdir())
            partial = folder / f".{Path(name).name}.{secrets.token_hex(4)}.partial"
            try:
                with partial.open("xb") as file:
                    yield file
                if target is not None:
                    os.replace(partial, target)
                else:
                    filesystem, path = self._filesystem(name)
                    with _plainly():
                        filesystem.put_file(str(partial), path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self.uri(name)}: cannot be written: {error.strerror or error}; "
                "free space or correct permissions and run again"
            ) from error

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Tell what a service's client raises; what a system's own call raises stays as it is.

        Raises:
            StoreError: of the same words.
        """
        try:
            with _plainly():
                yield
        except (FileNotFoundError, NotADirectoryError):
            raise
        except OSError as error:
            if error.errno is not None:
                raise
            raise StoreError(f"{self.uri(name)}: cannot be read: {error}") from error

    def exists(self, name: str) -> bool:
        """Whether a file or folder of that name exists."""
        filesystem, path = self._filesystem(name)
        with self._told(name):
            return bool(filesystem.exists(path))

    def names(self, folder: str) -> list[str]:
        """List what lies directly in a folder, sorted, partial files left out; [] if there is none."""
        filesystem, path = self._filesystem(folder)
        try:
            with self._told(folder):
                entries = filesystem.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = {str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries}
        return sorted(n for n in found if not n.startswith("."))

    def remove(self, name: str) -> None:
        """Remove a file or a whole folder; nothing happens where there is none."""
        try:
            patiently(self._take_away, name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{self.uri(name)}: cannot be removed: {error}") from error

    def _take_away(self, name: str) -> None:
        if self.is_local:
            path = Path(self.uri(name))
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            return
        filesystem, remote = self._filesystem(name)
        with _plainly():
            if filesystem.exists(remote):
                filesystem.rm(remote, recursive=True)

    def zarr(self, name: str, *, read_only: bool = False) -> zarr.storage.StoreLike:
        """Open a zarr store at a name; arrays and groups are addressed inside it."""
        if self.is_local:
            return PatientStore(self.uri(name), read_only=read_only)
        return zarr.storage.FsspecStore.from_url(self.uri(name), read_only=read_only)


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """Turn what a service's own client raises (no credentials, no such bucket …) into an error of storage.

    Raises:
        OSError: of the same words.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
