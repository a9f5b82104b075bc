"""What the service counts of itself; where the counts go is the affair of whoever runs it."""

from collections import Counter
from typing import Protocol

__all__ = ["LATENCY_BOUNDS", "Meter", "TextMeter"]

LATENCY_BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0)
"""Seconds that answers are sorted by."""


class Meter(Protocol):
    """Counts answers."""

    def answered(self, what: str, status: int, verdict: str, seconds: float) -> None:
        """Count an answer or a refusal.

        Args:
            what: slices, scans or stream.
            status: of HTTP.
            verdict: of the drift check; "" of a refusal.
            seconds: from the request to the reply.
        """

    def waits(self, what: str, count: int) -> None:
        """Tell how many requests are under way or wait."""


class TextMeter:
    """Keeps counts in this process and writes them as Prometheus reads them; for one process without Ray.

    Args:
        protocol: whose counts these are.
    """

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._counts: Counter[tuple[str, int, str]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._waiting: dict[str, int] = {}

    def answered(self, what: str, status: int, verdict: str, seconds: float) -> None:
        """Count one."""
        self._counts[what, status, verdict] += 1
        self._seconds[what] += seconds  # type: ignore[assignment]  # Counter adds floats as well

    def waits(self, what: str, count: int) -> None:
        """Keep the last one."""
        self._waiting[what] = count

    def text(self) -> str:
        """Return lines of the Prometheus exposition format."""
        named = f'protocol="{self._protocol}"'
        lines = ["# TYPE somray_serve_answers_total counter"]
        for (what, status, verdict), count in sorted(self._counts.items()):
            tags = f'{named},what="{what}",status="{status}",verdict="{verdict}"'
            lines.append(f"somray_serve_answers_total{{{tags}}} {count}")
        lines.append("# TYPE somray_serve_seconds_total counter")
        for what, seconds in sorted(self._seconds.items()):
            lines.append(f'somray_serve_seconds_total{{{named},what="{what}"}} {seconds:.6f}')
        lines.append("# TYPE somray_serve_waiting gauge")
        for what, waiting in sorted(self._waiting.items()):
            lines.append(f'somray_serve_waiting{{{named},what="{what}"}} {waiting}')
        return "\n".join(lines) + "\n"
