"""Whether a folder is one and the same from several machines: everybody writes, everybody looks.

A *meeting* is a folder with a random name, made where results shall lie and removed afterwards.
"""

import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from somray.errors import StoreError
from somray.io.storage import Storage, is_url

__all__ = ["Meeting", "attend"]

_HOST = "host"
_CACHE_SECONDS = 5.0  # a network file system may show a new file of another machine late
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Meeting:
    """A place where machines leave marks for each other.

    Args:
        place: path or URL that shall be shared.
        folder: of the marks.
        fault: why no mark could be left here; None where one was.
    """

    place: str
    folder: str
    fault: str | None = None

    @classmethod
    def call(cls, place: str) -> "Meeting":
        """Leave the first mark, in the nearest folder that exists."""
        storage = Storage.at(place)
        above = storage.root
        if storage.is_local:
            while not os.path.isdir(above) and os.path.dirname(above) != above:
                above = os.path.dirname(above)
        folder = f"{above}/.somray-doctor-{secrets.token_hex(6)}"
        try:
            Storage.at(folder).write_text(_HOST, folder)
        except Exception as error:  # fsspec's back ends raise what they like
            return cls(storage.root, folder, _words(error))
        return cls(storage.root, folder)

    def seen(self, names: list[str]) -> set[str]:
        """Return those of some marks that can be read here, at the latest after five seconds."""
        until = time.monotonic() + _CACHE_SECONDS
        found: set[str] = set()
        while True:
            found |= {name for name in names if name not in found and _reads(self.folder, name)}
            if len(found) == len(names) or time.monotonic() > until:
                return found
            time.sleep(_POLL_SECONDS)

    def end(self) -> None:
        """Remove the marks."""
        if is_url(self.folder):
            try:
                Storage.at(self.folder).remove("")
            except Exception:  # fsspec's back ends raise what they like; marks of a few bytes stay
                return
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def attend(folder: str, name: str) -> dict[str, Any]:
    """Look for the first mark from this machine, and leave one's own.

    A folder that is not seen is not made: it would hide the trouble, and stay.

    Returns:
        `sees`: the first mark was read; `fault`: why the own could not be left, None where it was;
        `free`: bytes, None for a URL or where it is not seen.
    """
    sees = _reads(folder, _HOST)
    until = time.monotonic() + _CACHE_SECONDS
    while not sees and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
        sees = _reads(folder, _HOST)
    if not sees:
        return {"sees": False, "fault": None, "free": None}
    try:
        Storage.at(folder).write_text(name, folder)
        fault = None
    except Exception as error:  # fsspec's back ends raise what they like
        fault = _words(error)
    free = None if is_url(folder) else shutil.disk_usage(folder).free
    return {"sees": True, "fault": fault, "free": free}


def _reads(folder: str, name: str) -> bool:
    """Tell whether a mark of this meeting stands there."""
    if not is_url(folder) and not Path(folder).is_dir():
        return False
    try:
        return Storage.at(folder).read_text(name) == folder
    except Exception:  # not there, not permitted, no such back end: it is not seen
        return False


def _words(error: Exception) -> str:
    if isinstance(error, StoreError) and isinstance(error.__cause__, OSError):
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error).splitlines()[0] if str(error) else type(error).__name__
