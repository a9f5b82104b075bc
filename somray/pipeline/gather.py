"""Jobs that run at the same time and fail as one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

__all__ = ["gather_or_cancel", "in_turn", "owned"]

Tasks = list[asyncio.Future[Any]]
Item = TypeVar("Item")


async def gather_or_cancel(*jobs: Awaitable[Any]) -> list[Any]:
    """Run jobs at the same time; if one raises, the others are cancelled and it is raised."""
    async with owned() as tasks:
        tasks.extend(asyncio.ensure_future(job) for job in jobs)
        return list(await asyncio.gather(*tasks))


async def in_turn(
    job: Callable[[Item], Awaitable[None]], items: Collection[Item], at_once: int
) -> None:
    """Do a job for every item, a bounded number of them at the same time, in their order; fail as one."""
    waiting = iter(items)

    async def go() -> None:
        for item in waiting:
            await job(item)

    await gather_or_cancel(*(go() for _ in range(min(at_once, len(items)))))


@asynccontextmanager
async def owned() -> AsyncIterator[Tasks]:
    """Own the tasks that are put into the list: what ends the block early ends them too.

    Whoever waits for a task that others wait for too cancels it for them when it is cancelled itself; so the first
    to end here may be one that was merely cancelled. What is raised is why.
    """
    tasks: Tasks = []
    try:
        yield tasks
    except asyncio.CancelledError:
        task = asyncio.current_task()
        is_own = task is not None and task.cancelling()
        await _end(tasks)
        cause = None if is_own else _cause(tasks)
        if cause is None:
            raise
        raise cause from None
    except BaseException:
        await _end(tasks)
        raise


async def _end(tasks: Tasks) -> None:
    """Cancel tasks and wait until they have ended, however; whoever is cancelled meanwhile ends anyway."""
    for task in tasks:
        task.cancel()
    while not all(task.done() for task in tasks):
        with suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)


def _cause(tasks: Tasks) -> BaseException | None:
    """Return the first error that is more than having been cancelled."""
    errors = (task.exception() for task in tasks if not task.cancelled())
    return next((error for error in errors if error is not None), None)
