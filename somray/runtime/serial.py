"""The reference executor: every unit in this process, one after the other."""

from collections.abc import Callable, Sequence
from typing import Any

from somray.domain.work import Mapper, Needs, Outcome, StageFunction, Trainer, Unit
from somray.runtime.execute import execute
from somray.runtime.train import train_in_process

__all__ = ["SerialExecutor", "map_in_process"]


def map_in_process(
    function: Callable[[Any, Any], Any], items: Sequence[Any], shared: object, needs: Needs
) -> list[Any]:  # Any: parts of a unit's work
    """Do all parts here, in order."""
    return [function(item, shared) for item in items]


class SerialExecutor:
    """Runs units in a `for` loop; results must not differ from any other executor's."""

    async def submit(
        self, function: StageFunction, unit: Unit, shared: object = None, actor: str | None = None
    ) -> Outcome:
        """Run a unit here and now; see `Executor.submit`."""
        return execute(function, unit, shared)

    def share(self, value: object) -> object:
        """Return the value itself."""
        return value

    async def release(self, actor: str) -> None:
        """Do nothing: there are no actors here."""

    def close(self) -> None:
        """Do nothing: nothing is under way."""

    def mapper(self) -> Mapper:
        """Do a unit's parts in this process."""
        return Mapper(map_in_process)

    def trainer(self, workers: int, choice: str) -> Trainer:
        """Train in this process."""
        return Trainer(train_in_process)
