"""Threads that ask storage: a few while it answers at once, many where it answers late.

On a local disk more threads than a few only fight, for the interpreter and for the lock of a folder: with 64 the same
units took four times the CPU (benchmarks/LOG.md). Storage far away answers late, but many at a time.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from statistics import median_high
from typing import Any

__all__ = ["StorageThreads"]

FEW, MANY = 4, 64
LATE_SECONDS = 0.02
"""A job that takes longer waits for its storage. Four threads do 200 jobs of so long in a second."""
LOOKED_AT = 16
"""Jobs whose middle time decides."""
# Any: whatever a job takes and gives.
_Job = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class StorageThreads:
    """Does jobs in the order in which they come, as many at once as suits the storage.

    Their number follows the middle time of the last jobs; jobs that wait already are done by those that are added.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._times: deque[float] = deque(maxlen=LOOKED_AT)
        self._wanted = FEW

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a job done; it is done even where nobody waits for it any more."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self._jobs.put((future, function, arguments))
        self._add_threads()
        return future

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
        """Call with each item, side by side, and yield what that gives in their order."""
        for future in [self.submit(function, item) for item in items]:
            yield future.result()

    def shutdown(self) -> None:
        """Wait until all jobs are done, and end the threads."""
        with self._lock:
            threads, self._wanted = tuple(self._threads), 0
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()

    def _add_threads(self) -> None:
        with self._lock:
            for _ in range(min(self._jobs.qsize(), self._wanted - len(self._threads))):
                thread = threading.Thread(target=self._work, name="storage", daemon=True)
                self._threads.add(thread)
                thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function, arguments = job
            began = time.perf_counter()
            try:
                found = function(*arguments)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(found)
            if self._leaves(time.perf_counter() - began):
                return
            self._add_threads()

    def _leaves(self, seconds: float) -> bool:
        """Learn from a job how many threads there should be; return whether this one is too many."""
        with self._lock:
            self._times.append(seconds)
            if not self._wanted:  # the end: whoever is left does what waits
                return False
            full = len(self._times) == LOOKED_AT
            self._wanted = MANY if full and median_high(self._times) > LATE_SECONDS else FEW
            if len(self._threads) <= self._wanted:
                return False
            self._threads.discard(threading.current_thread())
            return True
