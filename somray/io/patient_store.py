"""A zarr store on a local or shared file system that asks again where the file system fails for a moment."""

import asyncio
import time
from typing import Any

from zarr.storage import LocalStore

from somray.io.patience import PAUSES, is_transient

__all__ = ["PatientStore"]


class PatientStore(LocalStore):
    """A `LocalStore` each of whose reads and writes is patient by itself.

    A unit writes hundreds of bricks: done again as a whole, it would meet the next failure.
    """

    async def get(self, *args: Any, **more: Any) -> Any:  # Any: as in LocalStore
        """Read a value; see `LocalStore.get`."""
        for pause in PAUSES:
            try:
                return await super().get(*args, **more)
            except OSError as error:
                _go_on(error)
            await asyncio.sleep(pause)
        return await super().get(*args, **more)

    async def set(self, *args: Any, **more: Any) -> None:
        """Write a value; see `LocalStore.set`."""
        for pause in PAUSES:
            try:
                return await super().set(*args, **more)
            except OSError as error:
                _go_on(error)
            await asyncio.sleep(pause)
        return await super().set(*args, **more)

    def get_sync(self, *args: Any, **more: Any) -> Any:
        """Read a value; see `LocalStore.get_sync`."""
        for pause in PAUSES:
            try:
                return super().get_sync(*args, **more)
            except OSError as error:
                _go_on(error)
            time.sleep(pause)
        return super().get_sync(*args, **more)

    def set_sync(self, *args: Any, **more: Any) -> None:
        """Write a value; see `LocalStore.set_sync`."""
        for pause in PAUSES:
            try:
                return super().set_sync(*args, **more)
            except OSError as error:
                _go_on(error)
            time.sleep(pause)
        return super().set_sync(*args, **more)


def _go_on(error: OSError) -> None:
    """Raise what stays; called while it is handled."""
    if not is_transient(error):
        raise error
