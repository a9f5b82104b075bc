"""A node from its options to its end."""

import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from somray.commands.console import say
from somray.commands.dicom_node.destination import destination_of
from somray.commands.dicom_node.fingerprint import KnownProtocol, known_protocols
from somray.commands.dicom_node.journal import Journal
from somray.commands.dicom_node.node import DicomNode
from somray.commands.dicom_node.settings import ArchivePlaces, NodeSettings
from somray.commands.words import asked_protocols, check_word
from somray.errors import ConfigError
from somray.io.archive import ArchiveConnection, Orthanc
from somray.io.run import StoredRun, open_run
from somray.io.writers.dicom.seg import require_highdicom

__all__ = ["serve_archive"]

_PARTS = {"som": "teacher", "student": "student", "finetuned": "segmenter"}
"""What a method needs of a protocol's model."""


def serve_archive(settings: NodeSettings, places: ArchivePlaces) -> dict[str, Any]:  # Any: JSON
    """Run a node until it is ended, or until nothing is left to do.

    Returns:
        How many series stand in which state, why those that are refused or failed are, and how many of them were set
        aside since it began.

    Raises:
        ConfigError: run, protocols, archive or places do not fit.
        StoreError: the run or the state's folder cannot be used.
    """
    require_highdicom()
    run = open_run(settings.run)
    protocols = _protocols(run, settings)
    archive = Orthanc(ArchiveConnection(places.archive, places.password))
    destination = destination_of(
        archive, places.send_to, places.stow, places.stow_password, places.calling
    )
    journal = Journal(places.state, archive.name)
    with (
        _ended_by_signal(),
        contextlib.closing(archive),
        contextlib.closing(destination),
        journal.opened(),
    ):
        node = DicomNode(settings, run, protocols, archive, destination, journal)
        names = ", ".join(protocol.name for protocol in protocols)
        say(f"answering {names} from {archive.name} to {destination.name}")
        if settings.retries_failed:
            node.retry_failed()
        node.work()
        return {**_summary(journal), "set_aside": node.set_aside}


def _protocols(run: StoredRun, settings: NodeSettings) -> list[KnownProtocol]:
    """Return the protocols that may answer, all of them with a model."""
    for name in settings.protocols:
        asked_protocols(run.config.protocols, name)
    if settings.method is not None:
        check_word("--method", settings.method, _PARTS)
    found = known_protocols(run, settings.protocols)
    lacking = [
        protocol.name
        for protocol in found
        if _part(settings, protocol) not in run.model_info(protocol.name)
        or "teacher" not in run.model_info(protocol.name)
    ]
    if lacking:
        raise ConfigError(
            f"{run.root}: {', '.join(lacking)} has no model of that method; let the run finish, choose "
            "others with --protocol, or another --method"
        )
    if not found:
        raise ConfigError(
            f"{run.root}: no protocol may answer: none has a scan, or all are of modality `other`, which "
            "headers do not tell; name those with --protocol"
        )
    return found


def _part(settings: NodeSettings, protocol: KnownProtocol) -> str:
    return _PARTS[settings.method or protocol.config.segment]


def _summary(journal: Journal) -> dict[str, Any]:  # Any: JSON
    entries = journal.entries.values()
    states = Counter(entry.state for entry in entries)
    codes = Counter(entry.code for entry in entries if entry.state in ("refused", "failed"))
    return {"series": dict(sorted(states.items())), "codes": dict(sorted(codes.items()))}


@contextlib.contextmanager
def _ended_by_signal() -> Iterator[None]:
    """End by SIGTERM as by Ctrl-C, so that scans do not stay on the disk."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
