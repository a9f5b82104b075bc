"""Classes of an earlier teacher on the nodes of a later one, so that class numbers keep their meaning."""

import numpy as np

from somray.domain.teacher import Codebook, TeacherModel
from somray.kernels.classes.names import ClassNames
from somray.kernels.som.passes import nearest_nodes

__all__ = ["carry_classes"]


def carry_classes(previous: TeacherModel, codebook: Codebook) -> ClassNames:
    """Give each node the class of the old node that is nearest to it.

    Args:
        previous: the earlier teacher.
        codebook: nodes in the earlier teacher's standardised and weighted features.
    """
    weights = np.ascontiguousarray(codebook.weights)
    nearest = nearest_nodes(weights, previous.codebook.weights)
    return ClassNames(
        previous.node_classes[nearest].copy(),
        dict(previous.class_names),
        dict(previous.doubtful),
        dict(previous.reasons),
        dict(previous.extra),
    )
