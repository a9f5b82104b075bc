"""STOW-RS: objects into any archive that speaks DICOMweb. Source: DICOM PS3.18 10.5."""

import hashlib
import json

from somray.io.archive.connection import ArchiveConnection, ArchiveRefusedError

__all__ = ["stow"]

_FAILED = "00081198"  # FailedSOPSequence
_HEAD = "Content-Type: application/dicom\r\n\r\n"


def stow(connection: ArchiveConnection, data: bytes) -> None:
    """Store one object.

    Args:
        connection: to the root of the service, which /studies follows.
        data: the DICOM file.

    Raises:
        ArchiveRefusedError: it does not take it.
        ArchiveAwayError: it does not answer.
    """
    boundary = "somray" + hashlib.sha256(data).hexdigest()  # cannot stand in what it is the hash of
    body = b"".join((f"--{boundary}\r\n{_HEAD}".encode(), data, f"\r\n--{boundary}--\r\n".encode()))
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    answer = connection.ask("POST", "/studies", body, kind, "application/dicom+json")
    if answer.status != 200 or _names_failures(answer.body):
        raise ArchiveRefusedError(f"{connection.name}: does not take the answer ({answer.status})")


def _names_failures(body: bytes) -> bool:
    """Tell whether an answer lists objects that were not stored."""
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return _FAILED.encode() in body  # XML, which was not asked for
    parts = found if isinstance(found, list) else [found]
    return any(part.get(_FAILED, {}).get("Value") for part in parts if isinstance(part, dict))
