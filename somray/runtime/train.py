"""Training in the process that asks for it: no cluster needed, the bits of one Ray Train worker.

Its state is kept under the storage path after every epoch, so a process that is killed loses one epoch
and the next one that is asked the same goes on from there.
"""

import time
from collections.abc import Sequence
from typing import Any

from somray.io.storage import Storage
from somray.runtime.train_name import training_name

__all__ = ["train_in_process"]

WRITE_SHARE = 0.05
"""Most of the time that goes into writing states: where storage is slow, epochs are left out."""


def train_in_process(lessons: Sequence[Any], spec: Any, *, name: str, storage_path: str) -> Any:
    """Train all rounds here, resuming what a killed process left of the same training.

    The state stays until the caller, whose student then stands, removes `storage_path`.

    Args:
        lessons: as for `kernels.student.rounds.run.train_rounds`.
        spec: see there.
        name: of the run; a digest of lessons and spec is added to it.
        storage_path: folder or URL for the state.

    Returns:
        The same as `train_rounds`.

    Raises:
        StoreError: the state cannot be written, or what is there cannot be read.
        ShapeError: as `train_rounds`.
    """
    from somray.kernels.student.rounds.run import train_rounds  # torch: only where it is used
    from somray.kernels.student.rounds.spec import Distributed

    kept = _KeptState(Storage.at(storage_path), f"{training_name(name, lessons, spec, 1)}.npz")
    distributed = Distributed(resume=kept.read(), save=kept.write)
    return train_rounds(lessons, spec, distributed, time.perf_counter)


class _KeptState:
    """One training's state in storage, always whole."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage, self._name = storage, name
        self._next = 0.0

    def read(self) -> Any:
        """Return the state, None where there is none."""
        from somray.kernels.student.rounds.state import state_from_bytes

        try:
            data = self._storage.read_bytes(self._name)
        except FileNotFoundError:
            return None
        return state_from_bytes(data)

    def write(self, state: Any) -> None:
        """Write the state, unless writing would then take too much of the time."""
        from somray.kernels.student.rounds.state import state_to_bytes

        began = time.perf_counter()
        if began < self._next:
            return
        self._storage.write_bytes(self._name, state_to_bytes(state))
        ended = time.perf_counter()
        self._next = ended + (ended - began) / WRITE_SHARE
