"""One try of a unit that Ray has: what it asks of a node, and how it comes to an end.

A try ends as Ray says, or as this driver says: where no node can hold it any more, or the cluster's head is gone,
Ray would have it wait for ever.
"""

import asyncio
import contextlib
from concurrent.futures import Future
from typing import Any

import ray

from somray.domain.work import Needs

__all__ = ["UnfitError", "UnitCall"]


class UnfitError(Exception):
    """A try asks for more than any node has now, but would do with less: it is handed out anew."""


class UnitCall:
    """One try; made on the event loop that awaits it.

    Args:
        reference: of its outcome.
        needs: of the unit, or of the actor that does it.
        options: what of them it asks of a node.
    """

    def __init__(self, reference: Any, needs: Needs, options: dict[str, float]) -> None:
        """Listen for its end."""
        self.reference, self.needs, self.options = reference, needs, options
        self.unfit_since: float | None = None
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] = self._loop.create_future()
        reference.future().add_done_callback(self._on_done)

    def _on_done(self, done: Future[Any]) -> None:  # on a thread of Ray's
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, done)

    def _settle(self, done: Future[Any]) -> None:
        if self._answer.done():
            return
        error = done.exception()
        if error is None:
            self._answer.set_result(done.result())
        else:
            self._answer.set_exception(error)

    def fail(self, error: Exception) -> None:
        """End the wait for it with an error of ours."""
        if not self._answer.done():
            self._answer.set_exception(error)

    async def answer(self) -> Any:  # Any: what the remote function returns
        """Wait for its end, and return or raise what it gave."""
        return await self._answer

    def cancel(self) -> None:
        """Have Ray end it, hard; returns at once."""
        with contextlib.suppress(ValueError, TypeError):  # an actor's: whoever has it kills it
            ray.cancel(self.reference, force=True)
