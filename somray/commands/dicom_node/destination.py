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
    """Takes objects.

    Args:
        name: for people.
        send: takes one DICOM file; raises what the archive's rooms raise.
        connection: that is to be closed at the end, where it has one of its own.
    """

    name: str
    send: Callable[[bytes], None]
    connection: ArchiveConnection | None = None

    def close(self) -> None:
        """Close what it holds open."""
        if self.connection is not None:
            self.connection.close()


def destination_of(
    archive: Orthanc, send_to: str | None, stow_url: str | None, password: str, calling: str
) -> Destination:
    """Choose where answers go.

    Args:
        archive: that scans come from, and answers go to where nothing else is named.
        send_to: AET@host:port.
        stow_url: root of a DICOMweb service.
        password: of its user.
        calling: our AE title.

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
        return Destination(connection.name, lambda data: stow(connection, data), connection)
    return Destination(archive.name, archive.store)
