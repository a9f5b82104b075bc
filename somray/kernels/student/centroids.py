"""What a student takes over from its teacher: the nodes, what they mean, and how features are scaled.

Plain numbers, so that a spec that holds them can be compared and hashed.
"""

from dataclasses import dataclass

import numpy as np

from somray.domain.teacher import TeacherModel

__all__ = ["Centroids", "centroids_of"]

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Centroids:
    """A codebook sorted by class.

    Args:
        nodes: (k, d) in standardised, weighted features, class after class.
        counts: nodes of each class.
        target: place of the target among the classes.
        center: (d,) subtracted from features.
        scale: (d,) divides them afterwards.
        factors: (d,) multiplied last.
        vote_mm: radius of the vote over the class map, 0 for none.
        classes: label value of each class.
    """

    nodes: tuple[Numbers, ...]
    counts: tuple[int, ...]
    target: int
    center: Numbers
    scale: Numbers
    factors: Numbers
    vote_mm: float = 0.0
    classes: tuple[int, ...] = ()


def centroids_of(teacher: TeacherModel, target: int) -> Centroids | None:
    """Return a teacher's nodes for a student to start from.

    Args:
        teacher: of the protocol.
        target: label value that the student learns.

    Returns:
        None where the student cannot see what the teacher does: features over neighbouring slices, no
        node of the target, or nothing but the target.
    """
    values, counts = np.unique(teacher.node_classes, return_counts=True)
    if teacher.dimensions == 3 or target not in values or len(values) < 2:
        return None
    order = np.argsort(teacher.node_classes, kind="stable")
    return Centroids(
        nodes=tuple(tuple(map(float, node)) for node in teacher.codebook.weights[order]),
        counts=tuple(map(int, counts)),
        target=int(np.flatnonzero(values == target)[0]),
        center=tuple(map(float, teacher.center)),
        scale=tuple(map(float, teacher.scale)),
        factors=tuple(map(float, teacher.feature_weights)),
        vote_mm=float(teacher.smoothing_mm or 0.0),
        classes=tuple(map(int, values)),
    )
