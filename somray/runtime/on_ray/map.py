"""Parts of one unit's work as Ray tasks, sent out by the worker that runs the unit.

What the parts share is put into the object store once per call, by the caller: if the caller dies its unit
is begun anew, so nothing is lost that was not lost anyway.
"""

from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayTaskError

from somray.domain.work import Needs

__all__ = ["map_with_ray"]

ATTEMPTS = 10
"""Deaths that one part survives, of its worker or of its node; parts are pure, so they may be done again."""


def _call(function: Callable[[Any, Any], Any], item: Any, shared: Any) -> Any:  # Any: parts
    return function(item, shared)


_part: Any = ray.remote(max_retries=ATTEMPTS)(_call)  # Any: remote functions have no types


def map_with_ray(
    function: Callable[[Any, Any], Any], items: Sequence[Any], shared: object, needs: Needs
) -> list[Any]:  # Any: parts of a unit's work
    """Do all parts as tasks and return what they gave, in the items' order.

    At most twice as many parts as the cluster has CPUs are under way at once.

    Raises:
        Exception: what a part raised.
    """
    known = ray.put(shared)
    start = _part.options(num_cpus=needs.cpus, memory=needs.memory_bytes).remote
    most = max(2, int(2 * ray.cluster_resources().get("CPU", 1)))
    waiting: list[Any] = []  # Any: object references
    results: list[Any] = []
    try:
        for item in items:
            waiting.append(start(function, item, known))
            if len(waiting) >= most:
                results.append(ray.get(waiting.pop(0)))
        results += ray.get(waiting)
    except RayTaskError as error:
        raise error.cause from None
    return results
