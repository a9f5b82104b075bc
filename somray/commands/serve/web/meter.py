"""What the service counts of itself; where the counts go is the affair of whoever runs it."""

from typing import Protocol

__all__ = ["LATENCY_BOUNDS", "Meter"]

LATENCY_BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0)
"""Seconds that answers are sorted by."""


class Meter(Protocol):
    """Counts answers."""

    def answered(self, what: str, status: int, verdict: str, seconds: float) -> None:
        """Count an answer about slices, scans or a stream, or a refusal, whose verdict of the drift check is ""."""

    def waits(self, what: str, count: int) -> None:
        """Tell how many requests are under way or wait."""
