"""`compiled`: a loop turned into machine code at its first call, without the interpreter's lock.

One place for numba's switches. Code is cached beside the package (or in the user's cache folder where
that is read-only, or nowhere where that is too or the disk is full: then each process compiles for itself).
Nothing is re-associated, so a compiled loop adds in the order it is written, and nothing runs in threads of its
own: callers decide on threads.
"""

import contextlib
from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

__all__ = ["compiled", "compiled_contracting"]

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a loop at its first call."""
    return _kept(loop)


def compiled_contracting(loop: Loop) -> Loop:
    """Compile a loop that may join a product and a sum into one rounding (fused multiply-add)."""
    return _kept(loop, fastmath={"contract"})


def _kept(loop: Loop, **switches: object) -> Loop:
    switches = {"nogil": True, "error_model": "numpy", **switches}
    try:
        made = njit(cache=True, **switches)(loop)
    except RuntimeError:  # a container that is read-only, without a home
        return cast("Loop", njit(**switches)(loop))
    if hasattr(made, "_cache"):  # NUMBA_DISABLE_JIT leaves loops as they are
        made._cache.save_overload = _forgiving(made._cache.save_overload)
    return cast("Loop", made)


def _forgiving(save: Callable[..., None]) -> Callable[..., None]:
    """Let code that cannot be kept be used all the same; numba lets the call fail, whose result stands already."""

    def kept(*code: object) -> None:
        with contextlib.suppress(OSError):
            save(*code)

    return kept
