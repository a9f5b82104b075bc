"""A zarr store on a local or shared file system that asks again where the file system fails for a moment."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from zarr.storage import LocalStore

from somray.errors import StoreError
from somray.io.patience import PAUSES, is_transient, patiently

__all__ = ["PatientStore"]

Gives = TypeVar("Gives")


class PatientStore(LocalStore):
    """A `LocalStore` each of whose reads and writes is patient by itself.

    A unit writes hundreds of bricks: done again as a whole, it would meet the next failure.
    """

    def _told(self, key: str, value: Any) -> Any:  # Any: zarr's buffers
        """Return a value; a link that leads to nothing is no value that is missing, which would be fill value.

        Raises:
            StoreError: what an image was linked to is gone.
        """
        if value is None and os.path.islink(self.root / key):
            raise StoreError(
                f"{self.root / key}: what it leads to is gone; put the scan's source back where it was, or correct "
                "its path in the manifest and run again"
            )
        return value

    async def get(self, *args: Any, **more: Any) -> Any:  # Any: as in LocalStore
        """Read a value; see `LocalStore.get`."""
        return self._told(args[0], await _patiently(partial(super().get, *args, **more)))

    async def set(self, *args: Any, **more: Any) -> None:
        """Write a value; see `LocalStore.set`."""
        await _patiently(partial(super().set, *args, **more))

    def get_sync(self, *args: Any, **more: Any) -> Any:
        """Read a value; see `LocalStore.get_sync`."""
        return self._told(args[0], patiently(partial(super().get_sync, *args, **more)))

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
