"""`compiled`: a loop turned into machine code at its first call, without the interpreter's lock.

One place for numba's switches. Code is cached beside the package (or in the user's cache folder where
that is read-only). Nothing is re-associated, so a compiled loop adds in the order it is written, and
nothing runs in threads of its own: callers decide on threads.
"""

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

__all__ = ["compiled", "compiled_contracting"]

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a loop at its first call."""
    return cast("Loop", njit(cache=True, nogil=True, error_model="numpy")(loop))


def compiled_contracting(loop: Loop) -> Loop:
    """Compile a loop that may join a product and a sum into one rounding (fused multiply-add)."""
    return cast(
        "Loop", njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})(loop)
    )
