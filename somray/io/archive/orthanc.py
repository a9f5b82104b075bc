"""Orthanc's REST, as far as a node needs it: what came, its files, and a way in for answers.

Source: Orthanc Book, REST API; `tools/bulk-content` needs Orthanc 1.9.4 or later.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from somray.errors import ConfigError
from somray.io.archive.connection import ArchiveConnection, ArchiveRefusedError

__all__ = ["ArchivedSeries", "Orthanc"]

AT_ONCE = 1000  # changes or instances in one request


@dataclass(frozen=True)
class ArchivedSeries:
    """What the archive says of a series, none of which names anybody.

    Args:
        name: Orthanc's own, a hash.
        study: the same of its study.
        modality: as DICOM spells it.
        instances: Orthanc's names of its instances, sorted.
    """

    name: str
    study: str
    modality: str
    instances: tuple[str, ...]


class Orthanc:
    """An Orthanc.

    Args:
        connection: to its REST.
    """

    def __init__(self, connection: ArchiveConnection) -> None:
        self._connection = connection

    @property
    def name(self) -> str:
        """Its URL, without the user."""
        return self._connection.name

    def close(self) -> None:
        """Close the connection; the next request opens one."""
        self._connection.close()

    def check(self) -> None:
        """See that an Orthanc answers.

        Raises:
            ConfigError: something else does.
            ArchiveAwayError: nothing does.
        """
        try:
            found = self._json("/system")
        except ArchiveRefusedError:
            found = None
        if not isinstance(found, dict) or "ApiVersion" not in found:
            raise ConfigError(f"{self.name}: is no Orthanc; name the port of its REST, often 8042")

    def last_change(self) -> int:
        """Return the number of the newest change, 0 where there is none."""
        return int(self._json("/changes?last")["Last"])

    def new_instances(self, since: int) -> tuple[list[str], int, bool]:
        """Return the instances that came after a change, the last change looked at, and whether it is all."""
        found = self._json(f"/changes?since={since}&limit={AT_ONCE}")
        names = [c["ID"] for c in found["Changes"] if c["ChangeType"] == "NewInstance"]
        return names, int(found["Last"]), bool(found["Done"])

    def series_of(self, instances: Iterable[str]) -> list[ArchivedSeries]:
        """Return the series that instances belong to; those that are gone have none."""
        wanted = {"Resources": list(instances), "Level": "Series", "Metadata": False}
        if not wanted["Resources"]:
            return []
        return [_series(one) for one in self._json("/tools/bulk-content", wanted)]

    def series(self, name: str) -> ArchivedSeries | None:
        """Return a series, None where it is gone."""
        answer = self._connection.ask("GET", f"/series/{name}")
        return None if answer.status == 404 else _series(self._read(answer.status, answer.body))

    def siblings(self, study: str) -> list[ArchivedSeries]:
        """Return all series of a study."""
        answer = self._connection.ask("GET", f"/studies/{study}/series")
        if answer.status == 404:
            return []
        return [_series(one) for one in self._read(answer.status, answer.body)]

    def size_bytes(self, series: str) -> int:
        """Return what the files of a series take, as they would be sent."""
        return int(self._json(f"/series/{series}/statistics")["DicomUncompressedSize"])

    def file(self, instance: str) -> bytes:
        """Return an instance as a DICOM file.

        Raises:
            ArchiveRefusedError: it is gone.
        """
        answer = self._connection.ask("GET", f"/instances/{instance}/file")
        if answer.status != 200:
            raise ArchiveRefusedError(
                f"{self.name}: an instance is not given ({answer.status}); was it removed?"
            )
        return answer.body

    def text(self, instance: str, tag: str) -> str:
        """Return one element of an instance's header, "" where it has none; `tag` as 0020-0052."""
        answer = self._connection.ask("GET", f"/instances/{instance}/content/{tag}")
        return answer.body.decode("latin-1").strip(" \0") if answer.status == 200 else ""

    def store(self, data: bytes) -> None:
        """Put an object into the archive; one that is there already stays as it is.

        Raises:
            ArchiveRefusedError: it does not take it.
        """
        answer = self._connection.ask("POST", "/instances", data, "application/dicom")
        if answer.status != 200:
            raise ArchiveRefusedError(f"{self.name}: does not take the answer ({answer.status})")

    def _json(self, path: str, body: Any = None) -> Any:  # Any: JSON
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
        answer = self._connection.ask(method, path, data)
        return self._read(answer.status, answer.body)

    def _read(self, status: int, body: bytes) -> Any:  # Any: JSON
        if status != 200:
            raise ArchiveRefusedError(
                f"{self.name}: answered {status}; somray needs Orthanc 1.9.4 or later"
            )
        try:
            return json.loads(body)
        except ValueError as error:
            raise ArchiveRefusedError(
                f"{self.name}: answered no JSON; is it an Orthanc?"
            ) from error


def _series(found: Any) -> ArchivedSeries:  # Any: JSON
    modality = str(found["MainDicomTags"].get("Modality", "")).strip().upper()
    instances = tuple(sorted(found["Instances"]))
    return ArchivedSeries(found["ID"], found["ParentStudy"], modality, instances)
