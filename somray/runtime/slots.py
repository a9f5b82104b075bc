"""Places among the units under way."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

__all__ = ["Slots"]


class Slots:
    """A semaphore whose number of places may change while some are taken."""

    def __init__(self, places: int) -> None:
        self._places, self._taken = places, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def places(self) -> int:
        """How many may be taken at once."""
        return self._places

    @property
    def taken(self) -> bool:
        """Whether anybody holds a place."""
        return self._taken > 0

    def resize(self, places: int) -> None:
        """Change it; those who hold a place beyond it keep it until they leave."""
        self._places = places
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._taken < self._places:
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._taken += 1
                waiting.set_result(None)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a place; those who came first get it first."""
        if self._taken < self._places and not self._waiting:
            self._taken += 1
        else:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                if waiting.done() and not waiting.cancelled():  # its place came too late
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        self._taken -= 1
        self._wake()
