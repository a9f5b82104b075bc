"""How long one unit may take before it counts as hanging."""

from collections.abc import Callable

from somray.domain.work import Unit
from somray.pipeline.stages import STAGES

__all__ = ["limits"]

PATIENCE = 50
"""Times the planned time that a unit may take: plans are good to a factor of two, busy machines to one of ten."""


def limits(minutes: float | None) -> Callable[[Unit], float | None]:
    """Return what gives the seconds that a unit may take, None for no limit.

    A unit that holds no CPU waits for others, perhaps for a machine to be started: it has no limit of its own.

    Args:
        minutes: that every unit may take, however small (`resources.unit_minutes`); None for no limits at all.
    """

    def limit(unit: Unit) -> float | None:
        if minutes is None or not unit.needs.cpus:
            return None
        return max(60 * minutes, PATIENCE * STAGES[unit.stage].seconds * unit.work)

    return limit
