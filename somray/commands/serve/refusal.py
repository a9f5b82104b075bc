"""How a request is refused: a status, a code, a sentence, and what to do. Never a path, a name or a header's value."""

import logging
import math
from typing import Any

from somray.errors import QUARANTINE_CODES, REMEDIES, DataError, ShapeError

__all__ = ["RefusedError", "refusal_of"]

_TOO_LARGE = ("too_large",)
_MISSING = ("missing", "storage")
_log = logging.getLogger("somray.serve")


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        code: one word for programs.
        message: for people; must hold nothing of what was sent but sizes and types.
        retry_seconds: when to come back, where that helps.
    """

    def __init__(
        self, status: int, code: str, message: str, retry_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_seconds = None if retry_seconds is None else max(1, math.ceil(retry_seconds))

    def as_json(self) -> dict[str, Any]:
        """Return the one object that every refusal is."""
        told: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.retry_seconds is not None:
            told["retry_after_seconds"] = self.retry_seconds
        return {"error": told}

    @property
    def headers(self) -> dict[str, str]:
        """Headers of HTTP."""
        return {} if self.retry_seconds is None else {"Retry-After": str(self.retry_seconds)}


def refusal_of(error: Exception) -> RefusedError:
    """Tell an error to whoever asked.

    What a reader says names files and quotes headers, so of a `DataError` the code alone is told, with what it means
    and what to do; whatever is not ours is told by nothing.
    """
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, DataError):
        status = 413 if error.code in _TOO_LARGE else 404 if error.code in _MISSING else 422
        meaning = f"{QUARANTINE_CODES[error.code]}; {REMEDIES[error.code]}"
        return RefusedError(status, error.code, meaning)
    if isinstance(error, ShapeError):
        return RefusedError(422, "shape", str(error))
    if isinstance(error, MemoryError):
        return RefusedError(413, "memory", "memory is not enough for this request; send less")
    _tell(error)
    return RefusedError(500, "internal", "an error in somray itself; its log names the place")


def _tell(error: Exception) -> None:
    """Log what is not ours by its type and place alone: its words may quote what was sent."""
    trace, last = error.__traceback__, None
    while trace is not None:
        last, trace = trace, trace.tb_next
    where = "" if last is None else f" at {last.tb_frame.f_code.co_filename}:{last.tb_lineno}"
    _log.error("%s%s", type(error).__name__, where)
