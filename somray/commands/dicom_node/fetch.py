"""A series brought here from the archive, for as long as it is worked on."""

import contextlib
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from somray.commands.dicom_node.settings import RefusalError
from somray.commands.dicom_node.whole import check_files, check_gaps
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.archive import ArchivedSeries, Orthanc
from somray.io.readers import open_source

__all__ = ["FetchedSeries", "Fetcher"]


@dataclass(frozen=True)
class FetchedSeries:
    """A series on this machine; its digest is of the bytes of all its files, in whatever order they came."""

    series: ArchivedSeries
    folder: Path
    digest: str

    def header(self, irregular: str) -> ScanHeader:
        """Read what the reader says of it, and see that it is whole.

        Raises:
            RefusalError: it is not, or no scan at all.
        """
        check_files(self.folder)
        try:
            with contextlib.closing(open_source(str(self.folder), irregular)) as source:
                check_gaps(source)
                return source.header
        except DataError as error:
            raise RefusalError(error.code, _plain(error.message, self.folder)) from error


class Fetcher:
    """Brings series to a folder here, each once and none above a size, and removes them at the end."""

    def __init__(self, archive: Orthanc, work: Path, most_bytes: int) -> None:
        self._archive, self._most_bytes = archive, most_bytes
        self._folder = tempfile.TemporaryDirectory(dir=work)
        self._found: dict[str, FetchedSeries] = {}
        self.place = Path(self._folder.name)

    def __enter__(self) -> "Fetcher":
        """Use as a context that removes all files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove all files."""
        self._folder.cleanup()

    def fetch(self, series: ArchivedSeries) -> FetchedSeries:
        """Bring a series here.

        Raises:
            RefusalError: `too_large`.
            ArchiveAwayError: the archive does not answer.
            ArchiveRefusedError: it no longer has all of it.
        """
        if series.name not in self._found:
            self._found[series.name] = self._brought(series)
        return self._found[series.name]

    def _brought(self, series: ArchivedSeries) -> FetchedSeries:
        self._check_size(self._archive.size_bytes(series.name))
        folder = self.place / f"series{len(self._found)}"
        folder.mkdir()
        digests, total = [], 0
        for n, instance in enumerate(series.instances):
            data = self._archive.file(instance)
            total += len(data)
            self._check_size(total)
            (folder / f"{n:06}.dcm").write_bytes(data)
            digests.append(hashlib.sha256(data).hexdigest())
        digest = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
        return FetchedSeries(series, folder, digest)

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            raise RefusalError(
                "too_large", f"takes more than {self._most_bytes >> 20} MiB; raise --max-mb"
            )


def _plain(message: str, folder: Path) -> str:
    """Take our own temporary paths out of a message."""
    return message.replace(f"{folder}/", "").replace(str(folder), "the series")
