"""Places among the units under way, whose number follows the cluster."""

import asyncio

from somray.runtime.slots import Slots


def _hold(slots, order, name, leave):
    async def go():
        async with slots.one():
            order.append(name)
            await leave.wait()

    return asyncio.create_task(go())


async def _settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_no_more_hold_a_place_than_there_are_and_they_come_in_order():
    async def go():
        slots, order, leave = Slots(2), [], [asyncio.Event() for _ in range(5)]
        tasks = [_hold(slots, order, n, event) for n, event in enumerate(leave)]
        await _settle()
        assert order == [0, 1]
        leave[1].set()
        await _settle()
        assert order == [0, 1, 2]
        slots.resize(4)  # nodes have joined
        await _settle()
        assert order == [0, 1, 2, 3, 4]
        for event in leave:
            event.set()
        await asyncio.gather(*tasks)
        assert not slots.taken

    asyncio.run(go())


def test_after_nodes_have_left_nobody_enters_until_enough_have_gone():
    async def go():
        slots, order, leave = Slots(3), [], [asyncio.Event() for _ in range(4)]
        tasks = [_hold(slots, order, n, event) for n, event in enumerate(leave)]
        await _settle()
        slots.resize(1)
        for event in leave[:2]:
            event.set()
        await _settle()
        assert order == [0, 1, 2]
        leave[2].set()
        await _settle()
        assert order == [0, 1, 2, 3]
        leave[3].set()
        await asyncio.gather(*tasks)

    asyncio.run(go())


def test_who_is_cancelled_takes_no_place_away():
    async def go():
        slots, order, leave = Slots(1), [], asyncio.Event()
        first = _hold(slots, order, "first", leave)
        await _settle()
        second = _hold(slots, order, "second", leave)
        third = _hold(slots, order, "third", leave)
        await _settle()
        second.cancel()
        leave.set()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert order == ["first", "third"]
        assert not slots.taken

    asyncio.run(go())


def test_a_place_that_comes_to_one_who_is_cancelled_goes_on_to_the_next():
    async def go():
        slots, order, leave = Slots(1), [], asyncio.Event()
        first = _hold(slots, order, "first", leave)
        await _settle()
        second, third = (_hold(slots, order, n, leave) for n in ("second", "third"))
        await _settle()
        leave.set()
        await asyncio.sleep(0)  # the first leaves; the second's place is on its way
        second.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert "third" in order
        assert not slots.taken

    asyncio.run(go())
