"""What units that train a network share: the teacher, who runs the training, and a name for what it left."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel

__all__ = ["TrainingShared", "weights_digest"]


@dataclass(frozen=True)
class TrainingShared:
    """The teacher, and how training is run where the executor is.

    Args:
        teacher: the protocol's fitted teacher.
        train: see `domain.work.Trainer`.
        trainer: what the training is run by, in words for the model's history.
    """

    teacher: TeacherModel
    train: Callable[..., Any]  # Any: what a training leaves
    trainer: str = ""


def weights_digest(weights: Mapping[str, NDArray[Any]]) -> str:  # Any: of any type
    """Hash weights in name order."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(weights[name]).tobytes())
    return found.hexdigest()[:32]
