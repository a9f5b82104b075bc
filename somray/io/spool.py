"""Arrays that a task lays aside for a moment on its own machine: in memory while they are few, else in a file.

The file has no name and is gone with the task, however that ends.
"""

import tempfile
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArraySpool", "Spooled"]

_IN_MEMORY = 4 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Spooled:
    """Where an array lies: first byte, shape and type."""

    begin: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class ArraySpool:
    """A pile of arrays; use it as a context."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._end = 0

    def put(self, array: NDArray[Any]) -> Spooled:  # Any: any number type
        """Lay an array aside."""
        content = np.ascontiguousarray(array).tobytes()
        place = Spooled(self._end, array.shape, array.dtype)
        self._file.seek(self._end)
        self._file.write(content)
        self._end += len(content)
        return place

    def get(self, place: Spooled) -> NDArray[Any]:  # Any: any number type
        """Return an array that was laid aside."""
        count = int(np.prod(place.shape, dtype=np.int64))
        self._file.seek(place.begin)
        content = self._file.read(count * place.dtype.itemsize)
        return np.frombuffer(content, dtype=place.dtype).reshape(place.shape)

    def __enter__(self) -> Self:
        """Use as a context that lets go of the file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the file."""
        self._file.close()
