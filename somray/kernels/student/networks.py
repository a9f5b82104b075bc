"""Which network a spec asks for: from the teacher's centroids, or of prototypes that are yet to learn."""

from collections.abc import Mapping

from somray.domain.student import StudentModel
from somray.kernels.student.inputs import input_count
from somray.kernels.student.prototypes import Vote
from somray.kernels.student.spec import StudentSpec, Weights
from somray.kernels.student.unet import NetworkShape

__all__ = ["network_of", "student_of"]

PROTOTYPES = 2, 24
"""Prototypes of the target and of the rest (bench_student)."""
PER_CLASS = 8
"""Prototypes of each class, where several are learned at once."""


def network_of(spec: StudentSpec) -> dict[str, int | float | str]:
    """Return the numbers and names that build the network."""
    count = len(spec.channels)
    raw, start = not spec.feature_names, spec.start
    counts: tuple[int, ...] = PROTOTYPES
    target = 0
    if start is not None:
        counts, target = start.counts, start.target
    elif spec.classes:
        counts, target = (PER_CLASS,) * len(spec.classes), spec.target_place
    shape = NetworkShape(
        inputs=input_count(count, spec.feature_names),
        channels=count,
        beside=2 * spec.neighbours * count,
        levels=3 if raw else 2,
        counts=counts,
        target=target,
        soft=start is None,
        raw=raw,
        vote=Vote(start.vote_mm if start else spec.vote_mm, spec.spacing_mm),
    )
    return {
        **shape.as_numbers(),
        "features": ",".join(spec.feature_names),
        "neighbours": spec.neighbours,
        "classes": ",".join(map(str, start.classes if start else spec.classes)),
    }


def student_of(
    spec: StudentSpec, weights: Weights, history: Mapping[str, float | int | str | bool | None]
) -> StudentModel:
    """Put what was learned and what it was asked into the domain's student."""
    return StudentModel(
        weights=weights,
        network=network_of(spec),
        channels=spec.channels,
        windows=spec.windows,
        spacing_mm=spec.spacing_mm,
        target=spec.target,
        history=history,
    )
