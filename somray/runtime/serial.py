"""The reference executor: every unit in this process, one after the other."""

from somray.domain.work import Outcome, StageFunction, Trainer, Unit
from somray.runtime.execute import execute

__all__ = ["SerialExecutor"]


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

    def trainer(self, workers: int, choice: str) -> Trainer:
        """Train in this process."""
        from somray.runtime.train import train_in_process  # torch: only where it is used

        return Trainer(train_in_process)
