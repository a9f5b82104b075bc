"""A zarr store on a local or shared file system that asks again where the file system fails for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from zarr.storage import LocalStore

from somray.io.patience import PAUSES, is_transient, patiently

__all__ = ["PatientStore"]

Gives = TypeVar("Gives")


class PatientStore(LocalStore):
    """A `LocalStore` each of whose reads and writes is patient by itself.

    A unit writes hundreds of bricks: done again as a whole, it would meet the next failure.
    """

    async def get(self, *args: Any, **more: Any) -> Any:  # Any: as in LocalStore
        """Read a value; see `LocalStore.get`."""
        return await _patiently(partial(super().get, *args, **more))

    async def set(self, *args: Any, **more: Any) -> None:
        """Write a value; see `LocalStore.set`."""
        await _patiently(partial(super().set, *args, **more))

    def get_sync(self, *args: Any, **more: Any) -> Any:
        """Read a value; see `LocalStore.get_sync`."""
        return patiently(partial(super().get_sync, *args, **more))

    def set_sync(self, *args: Any, **more: Any) -> None:
        """Write a value; see `LocalStore.set_sync`."""
        patiently(partial(super().set_sync, *args, **more))


async def _patiently(call: Callable[[], Awaitable[Gives]]) -> Gives:
    """`patiently`, for what is awaited."""
    for pause in PAUSES:
        try:
            return await call()
        except OSError as error:
            if not is_transient(error):
                raise
        await asyncio.sleep(pause)
    return await call()
