"""What a node is told when it starts, and why it refuses a series."""

from dataclasses import dataclass, field
from pathlib import Path

from somray.errors import QUARANTINE_CODES

__all__ = ["REFUSALS", "ArchivePlaces", "NodeSettings", "RefusalError"]

REFUSALS = {
    "no_protocol": "no protocol of the run takes this kind of scan, or none has seen one like it",
    "ambiguous": "two protocols, or two series for one channel, fit equally well",
    "incomplete": "slices are missing: there is a gap, or the header tells of more",
    "derived": "a screen capture, or an object of somray itself",
    "too_large": "its files are larger than --max-mb",
    "no_answer": "the answer cannot be written as a DICOM object",
}
"""Codes of refusals that are the node's own; the others are those of `QUARANTINE_CODES`."""


class RefusalError(Exception):
    """A series is not answered.

    The code is a key of `REFUSALS` or `QUARANTINE_CODES`; the message names nobody.
    """

    def __init__(self, code: str, message: str) -> None:
        if code not in REFUSALS and code not in QUARANTINE_CODES:
            raise ValueError(f"unknown code {code!r}")
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class NodeSettings:
    """How a node works.

    Args:
        run: path or URL of the run.
        protocols: that may answer; all of the run where empty.
        method: som, student or finetuned; what the protocol's `segment` says where None.
        report: whether a structured report with volumes is made too.
        settle_seconds: how long a series must be unchanged before it is taken for whole.
        pair_seconds: how long a settled series waits for the other channels of its protocol.
        poll_seconds: between two looks.
        most_bytes: of the files of one series.
        begins_with_all: whether what the archive holds at the first start is answered too.
        retries_failed: whether what failed is tried again.
        once: whether it ends when nothing is left to do.
    """

    run: str
    protocols: tuple[str, ...] = ()
    method: str | None = None
    report: bool = False
    settle_seconds: float = 15.0
    pair_seconds: float = 300.0
    poll_seconds: float = 2.0
    most_bytes: int = 4 << 30
    begins_with_all: bool = False
    retries_failed: bool = False
    once: bool = False


@dataclass(frozen=True)
class ArchivePlaces:
    """With whom a node talks, and where it keeps what it knows.

    Args:
        archive: URL of Orthanc's REST, with the user.
        password: of that user.
        state: folder of the journal.
        send_to: AET@host:port that answers go to by C-STORE.
        stow: URL that they go to by STOW-RS; with neither they go into the archive.
        stow_password: of the user there.
        calling: our AE title.
    """

    archive: str
    password: str = field(repr=False)
    state: Path
    send_to: str | None
    stow: str | None
    stow_password: str = field(repr=False)
    calling: str
