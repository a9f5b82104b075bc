"""The driver's bookkeeping alone: units that compute nothing, recorded as in a run.

Units a second on a local disk and where every call of the storage takes 50 ms, and what the driver's memory grows by.
There is no peer: the goals are those of the issue that asked for it (600 and 200 a second, 300 MB for 100,000 units).

Where the disk is ext4 without a journal, as in small virtual machines, making a file takes up to half a millisecond of
the kernel for minutes after thousands were deleted (it looks for inodes that have rested: `recently_deleted`). The
system's share is told apart for that; let five minutes pass after a run of tests.
"""

import asyncio
import os
import resource
import time

import pytest

from somray.domain.tables import SliceRow
from somray.domain.work import Outcome, Result, Unit
from somray.io.storage import Storage
from somray.pipeline.record import RunRecord
from somray.runtime.serial import SerialExecutor

pytestmark = pytest.mark.skipif("not config.getoption('--bench')")
UNDER_WAY = 64
CALL_SECONDS = 0.05


class FarStorage(Storage):
    """A storage whose every call takes 50 ms."""

    def read_bytes(self, name):
        time.sleep(CALL_SECONDS)
        return super().read_bytes(name)

    def write_bytes(self, name, data):
        time.sleep(CALL_SECONDS)
        super().write_bytes(name, data)

    def exists(self, name):
        time.sleep(CALL_SECONDS)
        return super().exists(name)

    def names(self, folder):
        time.sleep(CALL_SECONDS)
        return super().names(folder)

    def remove(self, name):
        time.sleep(CALL_SECONDS)
        super().remove(name)


class Idle(SerialExecutor):
    """An executor whose units are done at once."""

    async def submit(self, function, unit, shared=None, actor=None):
        rows = {"slices": [SliceRow(unit.subject, "t0", "som", 0, unit.item, 1.0, 0.5, None)]}
        return Outcome(unit.stage, unit.name, Result(rows, {"voxels": 1}), seconds=0.1)


def _units(count):
    for n in range(count):
        name, scan = f"sub-{n // 12}_ses-t0+som+t0+z{n % 12}", f"{n // 12}"
        yield Unit("som", name, "p", "d", n % 12, subject=scan, session="t0")


async def _record(record, count):
    """Have 64 units under way at any time."""
    units = _units(count)

    async def one():
        for unit in units:
            await record.do(None, unit)

    await asyncio.gather(*(one() for _ in range(UNDER_WAY)))


def _resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize(
    ("kind", "count"), [(Storage, 100_000), (FarStorage, 10_000)], ids=["local", "far"]
)
def test_units_a_second(kind, count, tmp_path):
    record = RunRecord(kind.at(tmp_path / "run"), Idle())
    asyncio.run(_record(record, 100))  # what is loaded once
    before, start, cpu = _resident(), time.perf_counter(), os.times()
    asyncio.run(_record(record, count))
    seconds, after = time.perf_counter() - start, os.times()
    own, system = (1e6 * (two - one) / count for one, two in zip(cpu[:2], after[:2], strict=True))
    grown, start = _resident() - before, time.perf_counter()
    record.finish(["p"])
    finish = time.perf_counter() - start
    record.close()
    print(
        f"{kind.__name__}: {count / seconds:.0f} units/s ({own:.0f} CPU us each and {system:.0f} of the system), grown "
        f"by {grown:.0f} MB; finish {finish:.1f} s, then by {_resident() - before:.0f} MB"
    )
