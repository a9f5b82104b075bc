"""A time limit that holds whatever the work does: a reader that hangs in C, a file system that never answers."""

import contextlib
import faulthandler
import threading
from collections.abc import Iterator

__all__ = ["time_limit"]

_STDERR = 2  # whatever stands in sys.stderr


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """End this process hard where its work takes longer; the trace of what hung goes to its log.

    The watch is a thread of the interpreter's own that needs no lock of Python's, so that even a call into C that
    never comes back is ended. Whoever waits for the process sees it die.

    Args:
        seconds: that the work may take; None for no limit.
    """
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(min(seconds, threading.TIMEOUT_MAX), exit=True, file=_STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
