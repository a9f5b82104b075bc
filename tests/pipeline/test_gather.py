"""Jobs that fail as one tell why."""

import asyncio

import pytest

from somray.pipeline.gather import gather_or_cancel, in_turn, owned


class FullError(Exception):
    """Of a disk."""


async def failing(after=0.0):
    await asyncio.sleep(after)
    raise FullError


def test_results_come_in_the_order_of_the_jobs():
    async def late(value, after):
        await asyncio.sleep(after)
        return value

    assert asyncio.run(gather_or_cancel(late(1, 0.02), late(2, 0))) == [1, 2]


def test_the_others_have_ended_before_the_error_is_raised():
    ended = []

    async def going_on():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    with pytest.raises(FullError):
        asyncio.run(gather_or_cancel(going_on(), failing()))
    assert ended == [True]


def test_a_task_that_many_wait_for_does_not_hide_why_one_of_them_failed():
    """The one that failed cancels who waits beside it, and so the shared task ends first, as cancelled."""

    async def main():
        shared = asyncio.ensure_future(asyncio.sleep(60))

        async def waiting():
            await shared

        await gather_or_cancel(shared, gather_or_cancel(waiting(), failing(0.01)), waiting())

    with pytest.raises(FullError):
        asyncio.run(main())


def test_who_is_cancelled_has_ended_its_jobs_before():
    ended = []

    async def going_on():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append(True)

    async def main():
        task = asyncio.ensure_future(gather_or_cancel(going_on()))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert ended == [True]


def test_what_ends_a_block_early_ends_the_tasks_it_owns():
    found = []

    async def main():
        async with owned() as tasks:
            found.append(asyncio.ensure_future(asyncio.sleep(60)))
            tasks.extend(found)
            raise FullError

    with pytest.raises(FullError):
        asyncio.run(main())
    assert found[0].cancelled()


def test_jobs_in_turn_are_begun_in_order_and_few_at_a_time():
    begun, under_way, most = [], set(), []

    async def job(item):
        begun.append(item)
        under_way.add(item)
        most.append(len(under_way))
        await asyncio.sleep(0.001 * (item % 3))
        under_way.remove(item)

    asyncio.run(in_turn(job, range(20), 4))
    assert begun == sorted(begun)
    assert len(begun) == 20
    assert max(most) == 4


def test_jobs_in_turn_fail_as_one():
    begun = []

    async def job(item):
        begun.append(item)
        await asyncio.sleep(0)
        if item == 3:
            raise FullError

    with pytest.raises(FullError):
        asyncio.run(in_turn(job, range(100), 2))
    assert len(begun) < 10
