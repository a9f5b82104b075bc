"""A bounded line before a few workers: who comes beyond it is told at once when to come back."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from somray.commands.serve.refusal import RefusedError

__all__ = ["Line"]

T = TypeVar("T")
_SMOOTHING = 0.2  # share that the last piece of work has in the mean


class Line(Generic[T]):
    """Places for work under way and work that waits; computing goes on in threads, off the event loop.

    So many may wait besides those at work; threads are shared by all pieces.

    A piece of work that comes to idle workers gets their threads too, so that one client alone is served as fast as
    the machine can; results do not depend on threads.
    """

    def __init__(self, workers: int, waiting: int, threads: int) -> None:
        self._workers, self._places, self._threads = workers, workers + waiting, threads
        self._pool = ThreadPoolExecutor(workers, "somray-answers")
        self._held = 0
        self._counting = threading.Lock()
        self._busy = 0
        self._mean_seconds = 0.1

    @property
    def held(self) -> int:
        """Requests that have a place."""
        return self._held

    def _refused(self) -> RefusedError:
        seconds = self._mean_seconds * (self._places / self._workers)
        return RefusedError(
            503, "busy", "all workers are busy and the line is full; send it again later", seconds
        )

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place, from before the body is read to after it is answered.

        Raises:
            RefusedError: there is none.
        """
        if self._held >= self._places:
            raise self._refused()
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    async def work(self, piece: Callable[[int], T]) -> T:
        """Do a piece of work, which is given its number of threads; a place must be held."""
        found: Future[T] = self._pool.submit(self._timed, piece)
        return await asyncio.wrap_future(found)

    def _timed(self, piece: Callable[[int], T]) -> T:
        with self._counting:
            self._busy += 1
            threads = max(1, self._threads // self._busy)
        began = time.perf_counter()
        try:
            return piece(threads)
        finally:
            with self._counting:
                self._busy -= 1
                took = time.perf_counter() - began
                self._mean_seconds += _SMOOTHING * (took - self._mean_seconds)

    def close(self) -> None:
        """Take no more work; what is under way is finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)
