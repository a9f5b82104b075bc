"""One actor per protocol: it fits the SOM and drives the rounds of its student.

The actor lives only while its protocol is fitted and trained. Its codebook leaves it by value and by
storage, never by an object it owns: what a killed actor had put is lost for good.
"""

from somray.domain.work import Outcome
from somray.runtime.execute import Told, execute_within

__all__ = ["ProtocolActor"]


class ProtocolActor:
    """Runs the units of one protocol's models, one after the other, in one process."""

    def run(self, told: Told, shared: object) -> Outcome:
        """Run a unit here; `shared` arrives as its value."""
        return execute_within(told, shared)
