"""What a training is called: a digest of all that decides its bits, so that it resumes itself alone."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

__all__ = ["training_name"]


def training_name(name: str, lessons: Sequence[Any], spec: Any, place: object) -> str:
    """Return a name that other pixels, another spec or another place never have.

    Args:
        name: what the caller calls it.
        lessons: `kernels.student.rounds.lesson.Lesson` of every slice.
        spec: a `kernels.student.rounds.spec.StudentSpec`.
        place: what else decides the bits, such as the number of workers; JSON.
    """
    # `Any` above: importing these types would import torch, which not every process needs.
    found = hashlib.sha256(json.dumps([asdict(spec), place], sort_keys=True).encode())
    for lesson in lessons:
        for part in fields(lesson):
            value = getattr(lesson, part.name)
            if isinstance(value, np.ndarray):
                found.update(f"{part.name}{value.dtype}{value.shape}".encode())
                found.update(np.ascontiguousarray(value).tobytes())
            else:
                found.update(f"{part.name}{value}".encode())
    return f"{name}-{found.hexdigest()[:12]}"
