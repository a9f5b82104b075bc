"""Where answers go: back into the archive, to another by C-STORE, or to another by STOW-RS."""

from collections.abc import Callable
from dataclasses import dataclass

from somray.errors import ConfigError
from somray.io.archive import ArchiveConnection, Orthanc
from somray.io.archive.cstore import c_store, parse_peer
from somray.io.archive.stow import stow

__all__ = ["Destination", "destination_of"]


@dataclass(frozen=True)
class Destination:
    """Takes DICOM files; `send` raises what the archive's rooms raise, `close` ends what it holds open."""

    name: str
    send: Callable[[bytes], None]
    close: Callable[[], None] = lambda: None


def destination_of(
    archive: Orthanc, send_to: str | None, stow_url: str | None, password: str, calling: str
) -> Destination:
    """Choose where answers go: to AET@host:port, to a DICOMweb service, else back to the archive.

    Raises:
        ConfigError: both are named, or one is damaged.
    """
    if send_to and stow_url:
        raise ConfigError("--send-to and --stow: name one place for answers")
    if send_to:
        peer = parse_peer(send_to, calling)
        return Destination(peer.name, lambda data: c_store(peer, data))
    if stow_url:
        connection = ArchiveConnection(stow_url, password)
        return Destination(connection.name, lambda data: stow(connection, data), connection.close)
    return Destination(archive.name, archive.store)
