"""Run one unit in this process: time it, watch its memory, turn errors into outcomes."""

import contextlib
import ctypes
import platform
import resource
import time
import traceback
from pathlib import Path

from somray.domain.work import Outcome, Result, StageFunction, Unit
from somray.errors import DataError, StoreError
from somray.io.patience import is_full, patiently
from somray.runtime.limit import time_limit

__all__ = ["Told", "execute", "execute_within"]

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone


def _reset_peak() -> None:
    """Give back what earlier units of this worker process left, and let Linux forget their peak.

    glibc keeps freed memory: without a word to it a worker that has trained a student holds 300 MiB more for good.
    """
    if _TRIM is not None:
        _TRIM(0)
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:  # not Linux, or not permitted: the peak is then that of the whole process
        return


def _peak_bytes() -> int:
    """Return the peak resident memory since the last reset."""
    with contextlib.suppress(OSError):  # not Linux: the whole process's peak is the best there is
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _attempt(
    function: StageFunction, unit: Unit, shared: object
) -> tuple[Result | None, str | None, str | None, bool]:
    """Return result, code, message, and whether the scan is to blame.

    Units may be done again, so one whose storage failed for a moment is, whoever wrote there.
    """
    try:
        return patiently(function, unit.item, shared), None, None, False
    except DataError as error:
        return None, error.code, error.message, True
    except StoreError as error:
        return None, "storage", str(error), False
    except Exception as error:
        if is_full(error):
            return None, "storage", f"{error}; free space and run again", False
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        return None, "internal", f"{type(error).__name__} at {place}: {error}", False


def _device(unit: Unit, result: Result | None) -> str:
    """Name where the unit computed: what it says itself, else what it asked for."""
    told = result.value.get("device") if result else None
    return str(told or ("cuda" if unit.needs.gpus else "cpu"))


def execute(
    function: StageFunction, unit: Unit, shared: object = None, attempts: int = 1
) -> Outcome:
    """Run a unit here.

    A `DataError` is the scan's fault, a `StoreError` the storage's (code `storage`); any other error is
    ours (code `internal`). None of them is raised.
    """
    _reset_peak()
    start = time.perf_counter()
    result, code, message, is_data_error = _attempt(function, unit, shared)
    return Outcome(
        stage=unit.stage,
        name=unit.name,
        result=result,
        code=code,
        message=message,
        is_data_error=is_data_error,
        seconds=time.perf_counter() - start,
        peak_bytes=_peak_bytes(),
        node=platform.node(),
        device=_device(unit, result),
        attempts=attempts,
    )


Told = tuple[StageFunction, Unit, int, float | None]
"""Function, unit, which attempt this is, and the seconds that it may take: one value, since each costs its sending."""


def execute_within(told: Told, shared: object) -> Outcome:
    """Run a unit here, in a process that is ended where it takes longer than it may."""
    function, unit, attempts, seconds = told
    with time_limit(seconds):
        return execute(function, unit, shared, attempts)
