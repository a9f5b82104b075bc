"""Parts of one unit's work as Ray tasks, sent out by the worker that runs the unit.

What the parts share is put into the object store once per call, by the caller: if the caller dies its unit
is begun anew, so nothing is lost that was not lost anyway.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayTaskError

from somray.domain.work import Needs
from somray.errors import DataError
from somray.runtime.on_ray.deaths import DEATHS

__all__ = ["map_with_ray"]

ATTEMPTS = 10
"""Deaths that one part survives, of its worker or of its node; parts are pure, so they may be done again."""
LOOK_SECONDS = 5.0


def _call(function: Callable[[Any, Any], Any], item: Any, shared: Any) -> Any:  # Any: parts
    return function(item, shared)


_part: Any = ray.remote(max_retries=ATTEMPTS)(_call)  # Any: remote functions have no types


def map_with_ray(
    function: Callable[[Any, Any], Any], items: Sequence[Any], shared: object, needs: Needs
) -> list[Any]:  # Any: parts of a unit's work
    """Do all parts as tasks and return what they gave, in the items' order.

    At most twice as many parts as the cluster has CPUs are under way at once.

    Raises:
        DataError: a part's worker, or its node, was lost each time (code `worker_died`).
        Exception: what a part raised.
    """
    known = ray.put(shared)
    start = _part.options(num_cpus=needs.cpus, memory=needs.memory_bytes).remote
    waiting: list[Any] = []  # Any: object references
    results: list[Any] = []
    try:
        for item in items:
            waiting.append(start(function, item, known))
            while len(waiting) >= _most_under_way(int(time.monotonic() / LOOK_SECONDS)):
                results.append(ray.get(waiting.pop(0)))
        results += ray.get(waiting)
    except RayTaskError as error:
        raise error.cause from None
    except DEATHS as error:
        told = str(error).splitlines()[0]
        message = f"a part of it lost its worker {1 + ATTEMPTS} times: {told}"
        raise DataError("worker_died", message) from error
    return results


@functools.lru_cache(maxsize=1)
def _most_under_way(moment: int) -> int:
    """Return twice the cluster's CPUs at a moment; a long fold follows nodes that join."""
    return max(2, int(2 * ray.cluster_resources().get("CPU", 1)))
