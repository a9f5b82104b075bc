"""The training of a student as those who run it see it: a name, a state that can be kept, and a way to go on."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from somray.kernels.student.rounds.figures import check_lessons
from somray.kernels.student.rounds.lesson import Lesson, nothing_to_train
from somray.kernels.student.rounds.spec import (
    Distributed,
    RoundsResult,
    RoundState,
    StudentSpec,
    Weights,
)
from somray.kernels.student.rounds.state import state_from_bytes, state_to_bytes
from somray.kernels.student.training.schedule import ProcessGroup

__all__ = ["StudentTraining"]


@dataclass(frozen=True, eq=False)
class StudentTraining:
    """All rounds of one student; see `domain.work.ResumableTraining`.

    Args:
        lessons: as for `kernels.student.rounds.run.train_rounds`.
        spec: see there.
        start: weights of an encoder that the first round begins with; None draws them.
    """

    lessons: Sequence[Lesson]
    spec: StudentSpec
    start: Weights | None = None

    @property
    def threads(self) -> int:
        """CPU threads of each worker."""
        return self.spec.threads

    def is_due(self) -> bool:
        """Whether there is anything to train.

        Raises:
            ShapeError: the lessons do not fit the spec.
        """
        check_lessons(self.lessons, self.spec)
        return not nothing_to_train(self.lessons)

    def digest(self, place: object) -> str:
        """Name what decides its bits: lessons, spec, start and `place`, what else does (JSON)."""
        found = hashlib.sha256(json.dumps([asdict(self.spec), place], sort_keys=True).encode())
        for lesson in self.lessons:
            for part in fields(lesson):
                value = getattr(lesson, part.name)
                if isinstance(value, np.ndarray):
                    found.update(f"{part.name}{value.dtype}{value.shape}".encode())
                    found.update(np.ascontiguousarray(value).tobytes())
                else:
                    found.update(f"{part.name}{value}".encode())
        for name, array in sorted((self.start or {}).items()):
            found.update(f"{name}{array.dtype}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()[:12]

    def run(
        self,
        resume: RoundState | None = None,
        save: Callable[[RoundState], None] | None = None,
        **group: Any,  # Any: fields of a ProcessGroup
    ) -> RoundsResult:
        """Train all rounds, or what is left of them."""
        from somray.kernels.student.rounds.run import train_rounds  # torch: only here

        distributed = Distributed(ProcessGroup(**group), resume, save)
        return train_rounds(
            self.lessons, self.spec, distributed, time.perf_counter, start=self.start
        )

    def to_bytes(self, state: RoundState) -> bytes:
        """Turn a state into what is kept."""
        return state_to_bytes(state)

    def from_bytes(self, data: bytes) -> RoundState:
        """Read a state back.

        Raises:
            StoreError: it cannot be read.
        """
        return state_from_bytes(data)
