import numpy as np
import pytest

from somray.domain.work import Needs, Result, Unit
from somray.errors import DataError, StoreError
from somray.runtime.execute import execute
from somray.runtime.serial import SerialExecutor

UNIT = Unit("som", "u", "p", "d", 3)


def test_a_result_comes_back_with_time_and_memory():
    outcome = execute(lambda item, shared: Result(value={"sum": item + shared}), UNIT, 4)
    assert outcome.ok
    assert outcome.result.value == {"sum": 7}
    assert outcome.seconds >= 0
    assert outcome.peak_bytes > 2**20


@pytest.mark.parametrize(
    ("error", "code", "is_data_error"),
    [
        (DataError("blank", "all zero"), "blank", True),
        (StoreError("disk full"), "storage", False),
        (ZeroDivisionError("division"), "internal", False),
    ],
)
def test_an_error_becomes_an_outcome_that_says_whose_fault_it_is(error, code, is_data_error):
    def fail(item, shared):
        raise error

    outcome = execute(fail, UNIT)
    assert not outcome.ok
    assert (outcome.code, outcome.is_data_error) == (code, is_data_error)


def test_an_internal_error_names_type_and_place():
    def fail(item, shared):
        return 1 // 0

    assert "ZeroDivisionError at test_execute.py" in execute(fail, UNIT).message


def test_peak_memory_forgets_earlier_units():
    def take(item, shared):
        return Result(value={"n": int(np.ones(item).sum())})

    large = execute(take, Unit("som", "u", "p", "d", 40_000_000)).peak_bytes
    small = execute(take, Unit("som", "u", "p", "d", 10)).peak_bytes
    assert small < large - 200 * 2**20


async def _submit(executor):
    unit = Unit("som", "u", "p", "d", 1, Needs())
    shared = executor.share(5)
    return await executor.submit(lambda item, s: Result(value={"v": item + s}), unit, shared)


def test_the_serial_executor_runs_units_in_place():
    import asyncio

    assert asyncio.run(_submit(SerialExecutor())).result.value == {"v": 6}
