"""What a run shows to Prometheus through Ray, which exports every name with `ray_` before it.

cluster/grafana/somray.json draws these; DESIGN 119 says why there are so few.
"""

from ray.util import metrics

from somray.domain.work import Outcome

__all__ = ["RunMetrics"]

BOUNDS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0]


class RunMetrics:
    """Counts units as they begin and end; costs microseconds, and nothing is kept where nobody collects it."""

    def __init__(self) -> None:
        """Declare the metrics; they are exported once something was counted."""
        self._units = metrics.Counter(
            "somray_units", "Units that ended.", tag_keys=("stage", "outcome")
        )
        self._seconds = metrics.Histogram(
            "somray_unit_seconds", "Seconds of a unit's work.", BOUNDS, tag_keys=("stage",)
        )
        self._gauge = metrics.Gauge(
            "somray_units_under_way", "Units that a worker has or waits for.", tag_keys=("stage",)
        )
        self._deaths = metrics.Counter(
            "somray_worker_deaths", "Workers that died under a unit, by cause.", tag_keys=("cause",)
        )
        self._under_way: dict[str, int] = {}

    def began(self, stage: str) -> None:
        """Count a unit as under way."""
        self._step(stage, 1)

    def ended(self, stage: str, outcome: Outcome | None) -> None:
        """Count a unit as ended; as neither done nor failed where the run was stopped before it ended."""
        self._step(stage, -1)
        if outcome is not None:
            result = "done" if outcome.ok else "failed"
            self._units.inc(1, {"stage": stage, "outcome": result})
            self._seconds.observe(max(outcome.seconds, 1e-6), {"stage": stage})

    def died(self, cause: str) -> None:
        """Count the death of a worker."""
        self._deaths.inc(1, {"cause": cause})

    def _step(self, stage: str, step: int) -> None:
        self._under_way[stage] = self._under_way.get(stage, 0) + step
        self._gauge.set(self._under_way[stage], {"stage": stage})
