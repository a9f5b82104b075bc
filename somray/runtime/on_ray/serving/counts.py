"""What a service counts, through Ray, which exports every name with `ray_` before it; and all of it read back.

Ray is told once a second, in a thread of its own: four records for every slice took a tenth of a millisecond off the
loop that takes requests.
"""

import contextlib
import logging
import re
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence

import ray
from ray.util import metrics

__all__ = ["RayMeter", "exported_counts"]

_log = logging.getLogger("somray")

PREFIX = "ray_somray_serve_"
_OF_RAY = re.compile(r'(?:Component|NodeAddress|SessionName|Version|otel_scope_\w+)="[^"]*",?')
SECONDS = 3.0  # that a node has to tell
TELL_SECONDS = 1.0


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

        self._lock = threading.Lock()
        self._counted: Counter[tuple[str, str, str]] = Counter()
        self._took: list[tuple[str, float]] = []
        self._held: dict[str, int] = {}
        self._teller: threading.Thread | None = None

    def answered(self, what: str, status: int, verdict: str, seconds: float) -> None:
        """Count an answer or a refusal."""
        with self._lock:
            self._counted[what, str(status), verdict] += 1
            self._took.append((what, max(seconds, 1e-6)))
            self._start()

    def waits(self, what: str, count: int) -> None:
        """Tell how many requests are under way or wait."""
        with self._lock:
            self._held[what] = count
            self._start()

    def tell(self) -> None:
        """Tell Ray what was counted since the last time."""
        with self._lock:
            counted, took, held = self._counted, self._took, self._held
            self._counted, self._took, self._held = Counter(), [], {}
        for (what, status, verdict), count in counted.items():
            tags = {**self._own, "what": what, "status": status, "verdict": verdict}
            self._answers.inc(count, tags)
        for what, seconds in took:
            self._seconds.observe(seconds, {**self._own, "what": what})
        for what, waiting in held.items():
            self._waiting.set(waiting, {**self._own, "what": what})

    def _start(self) -> None:
        """Start telling with the first count, so that nothing is started before a replica has its process."""
        if self._teller is None:
            self._teller = threading.Thread(target=self._keep_telling, daemon=True)
            self._teller.start()

    def _keep_telling(self) -> None:
        told = False
        while True:
            time.sleep(TELL_SECONDS)
            try:
                self.tell()
            except Exception as error:  # a service answers on, whatever Ray makes of its counts
                if not told:
                    _log.warning("counts do not reach Ray (%s: %s)", type(error).__name__, error)
                told = True


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
