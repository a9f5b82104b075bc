"""Parts of one unit's work: the items' order, what is raised, and deaths of workers."""

import os
import signal

import pytest
import ray

from somray.domain.work import Needs
from somray.errors import DataError
from somray.runtime.on_ray import map as on_ray_map
from somray.runtime.on_ray.executor import RayExecutor
from somray.runtime.serial import SerialExecutor

pytestmark = [
    pytest.mark.ray,
    # Ray's own start-up code leaves files open and warns of its future defaults.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SMALL = Needs(cpus=0.5, memory_bytes=64 * 2**20)


@pytest.fixture(scope="module", params=["serial", "ray"])
def mapper(request):
    if request.param == "serial":
        return SerialExecutor().mapper()
    request.getfixturevalue("cluster")
    return RayExecutor().mapper()


def times(item, shared):
    return item * shared


def refuse(item, shared):
    raise DataError("unreadable", f"item {item}")


def die(item, shared):
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(item, shared):
    if item == 1 and not os.path.exists(shared):
        open(shared, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_parts_come_back_in_the_order_of_the_items(mapper):
    assert mapper.run(times, range(20), 3, SMALL) == [3 * n for n in range(20)]
    assert mapper.run(times, [], 3, SMALL) == []


def test_what_a_part_raises_is_raised_as_it_was(mapper):
    with pytest.raises(DataError) as caught:
        mapper.run(refuse, [7], None, SMALL)
    assert (caught.value.code, caught.value.message) == ("unreadable", "item 7")


def test_a_part_whose_worker_died_is_done_again(mapper, tmp_path):
    if not mapper.waits:
        pytest.skip("there is no worker but this process")
    assert mapper.run(die_once, range(3), str(tmp_path / "died"), SMALL) == [0, 1, 2]


def test_a_part_that_always_kills_its_worker_is_told_as_such(mapper, monkeypatch):
    if not mapper.waits:
        pytest.skip("there is no worker but this process")
    monkeypatch.setattr(on_ray_map, "_part", ray.remote(max_retries=0)(on_ray_map._call))
    with pytest.raises(DataError, match="lost its worker") as caught:
        mapper.run(die, range(1), None, SMALL)
    assert caught.value.code == "worker_died"
