"""What ended, unit by unit, for machines that collect logs: one JSON line each, where SOMRAY_LOG=json asks for it."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from somray.domain.work import Outcome, Unit

__all__ = ["log_to_stderr", "tell_unit"]

_log = logging.getLogger("somray")


class _Lines(logging.Formatter):
    """Plain sentences, or JSON with all that is known."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        if not self._as_json:
            return f"somray: {record.getMessage()}"
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {"time": when, "level": record.levelname.lower(), "message": record.getMessage()}
        return json.dumps({**facts, **getattr(record, "facts", {})})


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at the moment: above the bars of a terminal, where these stand in its place."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        """Take none: there is one."""


def log_to_stderr() -> None:
    """Send what a run tells to stderr: warnings as sentences; with SOMRAY_LOG=json every unit, as JSON."""
    as_json = os.environ.get("SOMRAY_LOG", "").lower() == "json"
    handler = _Stderr()
    handler.setFormatter(_Lines(as_json=as_json))
    _log.handlers = [handler]
    _log.propagate = False
    _log.setLevel(logging.INFO if as_json else logging.WARNING)


def tell_unit(unit: Unit, outcome: Outcome) -> None:
    """Tell how a unit ended, with whose it is and where it ran; never what stood in a header."""
    if not _log.isEnabledFor(logging.INFO):
        return
    facts = {
        "stage": unit.stage,
        "protocol": unit.protocol,
        "subject": unit.subject,
        "session": unit.session,
        "unit": unit.name,
        "seconds": round(outcome.seconds, 3),
        "attempts": outcome.attempts,
        "node": outcome.node,
        "code": outcome.code,
    }
    _log.info("unit ended", extra={"facts": facts})
