"""The training of an encoder as those who run it see it: a name, a state that can be kept, and a way to go on."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from somray.kernels.pretrain.piece import PieceSource
from somray.kernels.pretrain.spec import PretrainSpec
from somray.kernels.student.training.schedule import ProcessGroup

if TYPE_CHECKING:
    from somray.kernels.pretrain.state import PretrainResult, PretrainState

__all__ = ["EncoderTraining"]


@dataclass(frozen=True, eq=False)
class EncoderTraining:
    """One pretraining; see `domain.work.ResumableTraining`.

    Args:
        source: the pieces; workers read them by themselves.
        spec: as for `kernels.pretrain.train.pretrain`.
    """

    source: PieceSource
    spec: PretrainSpec

    @property
    def threads(self) -> int:
        """CPU threads of each worker."""
        return self.spec.threads

    def is_due(self) -> bool:
        """Whether there is anything to train: always, or `run` says why it cannot be."""
        return True

    def digest(self, place: object) -> str:
        """Name what decides its bits: pieces, spec and `place`, what else does (JSON)."""
        told = [asdict(self.spec), self.source.digest(), place]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]

    def run(
        self,
        resume: "PretrainState | None" = None,
        save: "Callable[[PretrainState], None] | None" = None,
        **group: Any,  # Any: fields of a ProcessGroup
    ) -> "PretrainResult":
        """Pretrain, or do what is left of it."""
        from somray.kernels.pretrain.state import PretrainGang  # torch: only here
        from somray.kernels.pretrain.train import pretrain

        gang = PretrainGang(ProcessGroup(**group), resume, save, time.perf_counter)
        return pretrain(self.source, self.spec, gang)

    def to_bytes(self, state: "PretrainState") -> bytes:
        """Turn a state into what is kept."""
        from somray.kernels.pretrain.state import pretrain_state_to_bytes

        return pretrain_state_to_bytes(state)

    def from_bytes(self, data: bytes) -> "PretrainState":
        """Read a state back.

        Raises:
            StoreError: it cannot be read.
        """
        from somray.kernels.pretrain.state import pretrain_state_from_bytes

        return pretrain_state_from_bytes(data)
