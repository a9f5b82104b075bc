"""What a node knows of every series, on disk: one small file each, replaced whole.

It holds Orthanc's names (hashes), counts, codes, digests, and the UIDs of answers of our own: nothing of a header.
Folder and files are the user's alone. Answers wait in `outbox` until they are sent; `work` holds scans while they are
read, and is emptied whenever a node starts.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from somray.errors import ConfigError, StoreError

__all__ = ["OPEN_STATES", "Journal", "PastAnswer", "SeriesEntry"]

OPEN_STATES = ("seen", "settled", "answered")
"""Those from which a series goes on; sent, joined, refused and failed stay until something new arrives."""


@dataclass(frozen=True)
class PastAnswer:
    """An answer that was sent.

    Args:
        key: of what was answered by what: the same key is the same answer.
        images: of the series that it was an answer to.
        objects: UIDs of series and instance of what was sent, which are ours; segmentations first.
        reports: how many of them, at the end, are reports.
    """

    key: str
    images: int
    objects: tuple[tuple[str, str], ...]
    reports: int

    @property
    def masks(self) -> tuple[tuple[str, str], ...]:
        """The segmentations of it."""
        return self.objects[: len(self.objects) - self.reports]

    @property
    def written(self) -> tuple[tuple[str, str], ...]:
        """The reports of it."""
        return self.objects[len(self.objects) - self.reports :]


@dataclass(frozen=True)
class SeriesEntry:
    """What is known of a series.

    Args:
        name: Orthanc's.
        study: Orthanc's.
        modality: as DICOM spells it.
        state: see the package.
        images: how many instances it had when last looked at.
        instances: digest of their names.
        changed: when something of it last arrived, seconds since the epoch.
        attempts: that were begun at the present step.
        due: not before this time, seconds since the epoch.
        code: why it was refused or failed.
        waiting: what stands in the outbox.
        past: what was sent, oldest first.
        lead: the first channel's series, where that one bears the answer.
        partners: series of the further channels of the answer.
    """

    name: str
    study: str
    modality: str
    state: str = "seen"
    images: int = 0
    instances: str = ""
    changed: float = 0.0
    attempts: int = 0
    due: float = 0.0
    code: str = ""
    waiting: PastAnswer | None = None
    past: tuple[PastAnswer, ...] = field(default=())
    lead: str = ""
    partners: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """What it is called in the log: no name of anything."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:10]

    def at(self, state: str, **changes: Any) -> "SeriesEntry":  # Any: fields
        """Take the next step; its attempts begin anew."""
        return replace(self, **{"attempts": 0, "due": 0.0, "code": "", "state": state, **changes})


class Journal:
    """The journal of one node and one archive, a URL; its folder belongs to both alone."""

    def __init__(self, folder: Path, archive: str) -> None:
        self.folder, self.work = folder, folder / "work"
        self._series = folder / "series"
        self._archive = hashlib.sha256(archive.encode()).hexdigest()
        self.entries: dict[str, SeriesEntry] = {}
        self.last: int | None = None
        """Number of the last change of the archive that is in here; None where there is none yet."""

    @contextlib.contextmanager
    def opened(self) -> Iterator["Journal"]:
        """Read the journal, and keep others out until the end.

        Raises:
            ConfigError: another node works with the folder, or it belongs to another archive.
            StoreError: it cannot be used.
        """
        try:
            self._series.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be used: {error.strerror}") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigError(
                    f"--state {self.folder}: another node works with it; give each a folder"
                ) from None
            self._load()
            self._clean()
            yield self
        finally:
            shutil.rmtree(self.work, ignore_errors=True)
            os.close(lock)

    def save(self, entry: SeriesEntry) -> None:
        """Put an entry on disk."""
        self._put(self._series / f"{entry.name}.json", json.dumps(asdict(entry)).encode())
        self.entries[entry.name] = entry

    def forget(self, entry: SeriesEntry) -> None:
        """Take out a series that is no longer in the archive."""
        self.entries.pop(entry.name, None)
        (self._series / f"{entry.name}.json").unlink(missing_ok=True)
        self.empty_outbox(entry)

    def save_last(self, last: int) -> None:
        """Put down that all changes up to one are in here."""
        if last != self.last:
            told = {"archive": self._archive, "last": last}
            self._put(self.folder / "archive.json", json.dumps(told).encode())
            self.last = last

    def put_out(self, entry: SeriesEntry, files: list[bytes]) -> None:
        """Put the objects of an answer into the outbox."""
        self.empty_outbox(entry)
        folder = self._outbox(entry)
        folder.mkdir(parents=True, mode=0o700)
        for n, data in enumerate(files):
            self._put(folder / f"{n:03}.dcm", data)

    def taken_out(self, entry: SeriesEntry) -> list[bytes] | None:
        """Return the objects of an answer; None where they are not all there."""
        wanted = 0 if entry.waiting is None else len(entry.waiting.objects)
        found = sorted(self._outbox(entry).glob("*.dcm"))
        return [file.read_bytes() for file in found] if len(found) == wanted > 0 else None

    def empty_outbox(self, entry: SeriesEntry) -> None:
        """Remove what was put out for a series."""
        shutil.rmtree(self._outbox(entry), ignore_errors=True)

    def in_state(self, state: str) -> list[SeriesEntry]:
        """Return the series in a state: first those that did not have to wait yet, of them what changed first."""
        found = [entry for entry in self.entries.values() if entry.state == state]
        return sorted(found, key=lambda entry: (entry.due, entry.changed, entry.name))

    def _outbox(self, entry: SeriesEntry) -> Path:
        return self.folder / "outbox" / entry.name

    def _load(self) -> None:
        told = self._read(self.folder / "archive.json") or {}
        if told.get("archive", self._archive) != self._archive:
            raise ConfigError(f"--state {self.folder}: is of another archive; give each a folder")
        self.last = told.get("last")
        for file in sorted(self._series.glob("*.json")):
            if (found := self._read(file)) is not None:
                entry = _entry(found)
                self.entries[entry.name] = entry

    def _read(self, file: Path) -> dict[str, Any] | None:  # Any: JSON
        try:
            return dict(json.loads(file.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{file}: is damaged; remove it, and its series is seen anew"
            ) from error

    def _clean(self) -> None:
        """Remove what a killed node left behind."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(mode=0o700)
        for file in self.folder.rglob(".*.partial"):
            file.unlink(missing_ok=True)
        for folder in (self.folder / "outbox").glob("*"):
            entry = self.entries.get(folder.name)
            if entry is None or entry.state != "answered":
                shutil.rmtree(folder, ignore_errors=True)

    def _put(self, file: Path, data: bytes) -> None:
        partial = file.with_name(f".{file.name}.partial")
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(file)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StoreError(f"{file}: cannot be written: {error.strerror}") from error


def _entry(found: dict[str, Any]) -> SeriesEntry:  # Any: JSON
    waiting = found.pop("waiting", None)
    past = tuple(_past(one) for one in found.pop("past", ()))
    partners = tuple(found.pop("partners", ()))
    return SeriesEntry(
        **found, past=past, partners=partners, waiting=None if waiting is None else _past(waiting)
    )


def _past(found: dict[str, Any]) -> PastAnswer:  # Any: JSON
    objects = tuple((str(a), str(b)) for a, b in found["objects"])
    return PastAnswer(found["key"], found["images"], objects, found["reports"])
