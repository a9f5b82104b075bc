"""Training in the process that asks for it: no cluster needed, the bits of one Ray Train worker.

Its state is kept under the storage path after every epoch, so a process that is killed loses one epoch
and the next one that is asked the same goes on from there.
"""

import time
from typing import Any

from somray.domain.work import ResumableTraining
from somray.io.storage import Storage

__all__ = ["train_in_process"]

WRITE_SHARE = 0.05
"""Most of the time that goes into writing states: where storage is slow, epochs are left out."""


def train_in_process(training: ResumableTraining, *, name: str, storage_path: str) -> Any:
    """Train here, resuming what a killed process left of the same training.

    The state stays until the caller, whose model then stands, removes `storage_path`.

    Args:
        training: what to train.
        name: of the run; a digest of the training is added to it.
        storage_path: folder or URL for the state.

    Returns:
        What `training.run` does.

    Raises:
        StoreError: the state cannot be written, or what is there cannot be read.
    """
    kept = _KeptState(Storage.at(storage_path), f"{name}-{training.digest(1)}.npz", training)
    return training.run(kept.read(), kept.write)


class _KeptState:
    """One training's state in storage, always whole."""

    def __init__(self, storage: Storage, name: str, training: ResumableTraining) -> None:
        self._storage, self._name, self._training = storage, name, training
        self._next = 0.0

    def read(self) -> Any:  # Any: the training's own
        """Return the state, None where there is none."""
        try:
            data = self._storage.read_bytes(self._name)
        except FileNotFoundError:
            return None
        return self._training.from_bytes(data)

    def write(self, state: Any) -> None:
        """Write the state, unless writing would then take too much of the time."""
        began = time.perf_counter()
        if began < self._next:
            return
        self._storage.write_bytes(self._name, self._training.to_bytes(state))
        ended = time.perf_counter()
        self._next = ended + (ended - began) / WRITE_SHARE
