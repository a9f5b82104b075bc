"""Storage fails now and then: a busy network file system, an object store behind a proxy. Asked again, it answers.

What fails for a reason that stays (no space, no permission) is told at once.
"""

import errno
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["PAUSES", "is_full", "is_transient", "patiently"]

PAUSES = (0.1, 0.5, 2.0)
"""Seconds before each further try."""
_TRANSIENT = {
    errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED,
    errno.ECONNABORTED, errno.EPIPE, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EREMOTEIO,
}  # fmt: skip
_FULL = {errno.ENOSPC, errno.EDQUOT}
Gives = TypeVar("Gives")


def is_transient(error: BaseException) -> bool:
    """Whether a failure may be gone at the next try."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    return isinstance(error, OSError) and error.errno in _TRANSIENT


def is_full(error: BaseException) -> bool:
    """Whether there is no space left, or no more of it is granted."""
    return isinstance(error, OSError) and error.errno in _FULL


def patiently(function: Callable[..., Gives], *arguments: object) -> Gives:
    """Call, and call again after a pause where it failed for a reason that may be gone.

    Raises:
        OSError: the last failure.
    """
    for pause in PAUSES:
        try:
            return function(*arguments)
        except OSError as error:
            if not is_transient(error):
                raise
        time.sleep(pause)
    return function(*arguments)
