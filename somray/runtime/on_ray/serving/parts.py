"""Parts of a service as Ray Serve's applications: each is an ASGI application that its replicas build themselves."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ray import serve

from somray.errors import PlanError
from somray.runtime.on_ray.serving.door import Door, open_door
from somray.runtime.on_ray.session import ray_session

__all__ = ["ServicePart", "application_of", "ready_parts", "serving"]

QUIET = {"enable_access_log": False, "log_level": "WARNING"}
"""Of Ray Serve's logs: no line for a request."""
RETRY_SECONDS = 1.0
SLACK = 32  # requests beyond those that a part takes: it refuses them itself, in its own words


@dataclass(frozen=True)
class ServicePart:
    """One application.

    Args:
        name: of the application.
        route: path that its requests begin with.
        build: makes the ASGI application in each replica; travels there.
        replicas: processes that answer.
        cpus: that each asks of its node.
        gpus: see cpus.
        requests: that one replica has at once, those that wait included.
        drain_seconds: that a replica which ends has for what is under way.
    """

    name: str
    route: str
    build: Callable[[], Any]  # Any: an ASGI application
    replicas: int = 1
    cpus: float = 0.0
    gpus: float = 0.0
    requests: int = 100
    drain_seconds: float = 60.0


class _Replica:
    """Builds a part's application where it will answer."""

    def __init__(self, build: Callable[[], Any]) -> None:  # Any: an ASGI application
        self._build = build

    def __serve_build_asgi_app__(self) -> Any:  # the name is Ray Serve's
        return self._build()


def application_of(part: ServicePart) -> Any:  # Any: an application of Ray Serve
    """Return a part as Ray Serve's application, for `serving` or a configuration file of Ray Serve."""
    deployment = serve.deployment(
        serve.ingress()(_Replica),
        name="answers",
        num_replicas=part.replicas,
        ray_actor_options={"num_cpus": part.cpus, "num_gpus": part.gpus},
        max_ongoing_requests=part.requests + SLACK,
        max_queued_requests=part.requests + SLACK,
        backpressure_config={"status_code": 503, "retry_after_s": RETRY_SECONDS},
        graceful_shutdown_timeout_s=part.drain_seconds,
        graceful_shutdown_wait_loop_s=0.5,
        health_check_period_s=2.0,
        health_check_timeout_s=30.0,
        max_constructor_retry_count=2,
        logging_config=QUIET,
    )
    return deployment.bind(part.build)


def ready_parts() -> dict[str, bool]:
    """Tell of each application whether it answers."""
    found = serve.status().applications
    return {name: one.status == "RUNNING" for name, one in found.items()}


@contextlib.contextmanager
def serving(
    parts: Sequence[ServicePart],
    door: Door,
    address: str | None = None,
    joined: Callable[[], None] | None = None,
) -> Iterator[str]:
    """Serve parts as long as the block runs; what is under way at its end is finished first.

    Args:
        parts: of the service.
        door: where requests come in.
        address: of a running cluster; None starts an embedded Ray.
        joined: called when Ray is joined, which puts handlers of signals of its own.

    Yields:
        What the addresses of requests begin with; every part answers by then.

    Raises:
        PlanError: the port is taken, Ray does not start, or a part does not.
    """
    with contextlib.ExitStack() as stack:
        is_fronted = stack.enter_context(open_door(door)) if address is None else False
        stack.enter_context(ray_session(address))
        if joined is not None:
            joined()
        logging.getLogger("ray.serve").setLevel(logging.ERROR)  # of this process
        try:
            serve.start(
                proxy_location="HeadOnly" if address is None else "EveryNode",
                http_options=door.options(is_fronted=is_fronted),
                logging_config=QUIET,
            )
            stack.callback(serve.shutdown)
            stack.callback(_drain, parts)
            serve.run_many(
                [
                    serve.RunTarget(application_of(part), part.name, part.route, QUIET)
                    for part in parts
                ]
            )
        except RuntimeError as error:
            raise PlanError(
                f"the service does not start ({_first_line(error)}); see that port {door.port} is free and that "
                "the models can be read, or give another --port"
            ) from error
        yield door.url


def _drain(parts: Sequence[ServicePart]) -> None:
    """End the applications one by one, each after what it has under way; the door must still stand for that."""
    for part in parts:
        with contextlib.suppress(RuntimeError, TimeoutError):  # what has not ended by then is ended
            serve.delete(part.name)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]
