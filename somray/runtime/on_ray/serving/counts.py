"""What a service counts, through Ray, which exports every name with `ray_` before it; and all of it read back."""

import contextlib
import re
import urllib.request
from collections.abc import Sequence

import ray
from ray.util import metrics

__all__ = ["RayMeter", "exported_counts"]

PREFIX = "ray_somray_serve_"
_OF_RAY = re.compile(r'(?:Component|NodeAddress|SessionName|Version|otel_scope_\w+)="[^"]*",?')
SECONDS = 3.0  # that a node has to tell


class RayMeter:
    """Counts answers of one replica.

    Args:
        protocol: whose they are.
        bounds: seconds that answers are sorted by.
    """

    def __init__(self, protocol: str, bounds: Sequence[float]) -> None:
        self._own = {"protocol": protocol}
        self._answers = metrics.Counter(
            "somray_serve_answers",
            "Answers and refusals, by status and by the verdict of the drift check.",
            tag_keys=("protocol", "what", "status", "verdict"),
        )
        self._seconds = metrics.Histogram(
            "somray_serve_seconds",
            "Seconds from a request to its reply.",
            list(bounds),
            tag_keys=("protocol", "what"),
        )
        self._waiting = metrics.Gauge(
            "somray_serve_waiting",
            "Requests that are under way or wait.",
            tag_keys=("protocol", "what"),
        )

    def answered(self, what: str, status: int, verdict: str, seconds: float) -> None:
        """Count an answer or a refusal."""
        tags = {**self._own, "what": what, "status": str(status), "verdict": verdict}
        self._answers.inc(1, tags)
        self._seconds.observe(max(seconds, 1e-6), {**self._own, "what": what})

    def waits(self, what: str, count: int) -> None:
        """Tell how many requests are under way or wait."""
        self._waiting.set(count, {**self._own, "what": what})


def exported_counts() -> str:
    """Return what all nodes export of the service, as Prometheus reads it; some seconds old."""
    lines: list[str] = []
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=SECONDS) as answer:
            lines += answer.read().decode("utf-8", "replace").splitlines()
    kept = [_OF_RAY.sub("", line) for line in lines if PREFIX in line[: len(PREFIX) + 8]]
    return "\n".join(dict.fromkeys(kept)) + "\n"
