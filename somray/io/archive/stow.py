"""STOW-RS: objects into any archive that speaks DICOMweb. Source: DICOM PS3.18 10.5."""

import hashlib

from somray.io.archive.connection import ArchiveConnection, ArchiveRefusedError

__all__ = ["stow"]

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
    answer = connection.ask("POST", "/studies", body, kind)
    if answer.status not in (200, 202) or b"00081198" in answer.body:  # FailedSOPSequence
        raise ArchiveRefusedError(f"{connection.name}: does not take the answer ({answer.status})")
