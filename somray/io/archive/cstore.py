"""C-STORE: objects to any archive that speaks DIMSE. Source: DICOM PS3.4 B, PS3.7 9.1.1."""

import io
import re
from dataclasses import dataclass
from typing import Any

import pydicom

from somray.errors import ConfigError
from somray.io.archive.connection import ArchiveAwayError, ArchiveRefusedError

__all__ = ["StorePeer", "c_store", "parse_peer"]

PATIENCE_SECONDS = 60
_PEER = re.compile(r"([ -?A-\[\]-~]{1,16})@(\[[0-9A-Fa-f:]+\]|[^@:\s]+):(\d{1,5})")
_TAKEN = (0x0000, 0xB000, 0xB006, 0xB007)  # success, and success that coerced or left out elements
_TRY_AGAIN = range(0xA700, 0xA800)  # out of resources


@dataclass(frozen=True)
class StorePeer:
    """Who takes objects: its AE title, host and port, and the title that calls."""

    title: str
    host: str
    port: int
    calling: str = "SOMRAY"

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.title}@{self.host}:{self.port}"


def parse_peer(text: str, calling: str = "SOMRAY") -> StorePeer:
    """Read AET@host:port.

    Raises:
        ConfigError: it is none, or pynetdicom is not installed.
    """
    found = _PEER.fullmatch(text)
    if found is None or not 0 < int(found[3]) < 65536:
        raise ConfigError(f"{text}: expected AET@host:port, such as ARCHIVE@pacs:104")
    _pynetdicom()
    return StorePeer(found[1], found[2].strip("[]"), int(found[3]), calling)


def _pynetdicom() -> Any:  # Any: an optional package
    try:
        import pynetdicom
    except ImportError as error:
        raise ConfigError("C-STORE needs pynetdicom: pip install 'somray[serve]'") from error
    return pynetdicom


def c_store(peer: StorePeer, data: bytes) -> None:
    """Store one object.

    Raises:
        ArchiveAwayError: it does not answer, or has no room just now.
        ArchiveRefusedError: it does not take it.
    """
    found = pydicom.dcmread(io.BytesIO(data))
    entity = _pynetdicom().AE(ae_title=peer.calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE_SECONDS
    entity.connection_timeout = PATIENCE_SECONDS
    entity.add_requested_context(found.SOPClassUID, found.file_meta.TransferSyntaxUID)
    link = entity.associate(peer.host, peer.port, ae_title=peer.title)
    if link.is_rejected:
        raise ArchiveRefusedError(
            f"{peer.name}: refuses {peer.calling}; make the titles known to it"
        )
    if not link.is_established:
        raise ArchiveAwayError(f"{peer.name}: does not answer")
    try:
        if not link.accepted_contexts:
            raise ArchiveRefusedError(f"{peer.name}: takes no object of this class")
        answer = link.send_c_store(found)
    except ValueError as error:  # pynetdicom's word for a class that was not agreed on
        raise ArchiveRefusedError(f"{peer.name}: takes no object of this class") from error
    finally:
        link.release()
    _check(peer, answer)


def _check(peer: StorePeer, answer: Any) -> None:  # Any: pydicom
    status = answer.get("Status")
    if status is None or status in _TRY_AGAIN:
        raise ArchiveAwayError(f"{peer.name}: does not answer, or has no room just now")
    if status not in _TAKEN:
        raise ArchiveRefusedError(f"{peer.name}: does not take the answer (0x{status:04X})")
