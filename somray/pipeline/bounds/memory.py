"""Memory that one task may take against what units need, before anything is done."""

from collections import Counter
from collections.abc import Mapping

from somray.domain.work import MIB
from somray.errors import PlanError

__all__ = ["refuse_unheld"]


def refuse_unheld(
    peaks: Mapping[str, int],
    limit: float,
    whose: str = "resources.task_memory_mb",
    advice: str = "raise the limit if the nodes have the memory",
) -> None:
    """Refuse a plan of which a unit needs more memory than a task may take.

    `peaks` are bytes of the largest unit of each stage; `whose` limit it is, and `advice`, are for the message.

    Raises:
        PlanError: one does; names the stages, the widest first.
    """
    worst = Counter({stage: size for stage, size in peaks.items() if size > limit})
    if worst:
        wide = ", ".join(f"{stage} {size / MIB:.0f} MiB" for stage, size in worst.most_common())
        raise PlanError(
            f"the plan cannot fit: a task may take {limit / MIB:.0f} MiB ({whose}), but needs are: {wide}; {advice}"
        )
