"""Threads that ask storage: how many there are, and that nothing is lost."""

import threading
import time

import pytest

from somray.runtime.threads import FEW, LATE_SECONDS, LOOKED_AT, MANY, StorageThreads


@pytest.fixture
def threads():
    found = StorageThreads()
    yield found
    found.shutdown()


def _most_at_once(threads, jobs, seconds):
    """Do sleeping jobs and return how many slept at once at most."""
    lock, now, most = threading.Lock(), 0, 0

    def job(_):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(seconds)
        with lock:
            now -= 1

    list(threads.map(job, range(jobs)))
    return most


def test_quick_jobs_are_done_by_few_threads(threads):
    assert _most_at_once(threads, 200, 0.0) <= FEW


def test_late_jobs_get_many_threads_and_quick_ones_few_again(threads):
    most = _most_at_once(threads, 4 * MANY, 3 * LATE_SECONDS)
    assert FEW < most <= MANY
    list(threads.map(abs, range(20 * LOOKED_AT)))
    assert _most_at_once(threads, 200, 0.0) <= FEW


def test_results_come_in_order_and_errors_where_they_belong(threads):
    assert list(threads.map(lambda n: n * n, range(50))) == [n * n for n in range(50)]
    failed, fine = threads.submit(int, "x"), threads.submit(int, "1")
    assert fine.result() == 1
    with pytest.raises(ValueError, match="x"):
        failed.result()


def test_the_end_waits_for_every_job():
    threads, done = StorageThreads(), []
    for n in range(40):
        threads.submit(lambda n: (time.sleep(0.001), done.append(n)), n)
    threads.shutdown()
    assert sorted(done) == list(range(40))
