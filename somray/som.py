"""Self-organizing maps on plain samples: `fit` a codebook, `assign` samples to its nodes, look at it.

`SelfOrganizingMap` is the same map with scikit-learn's conventions; it is imported when first asked for,
so that scikit-learn stays optional.
"""

import importlib
from typing import TYPE_CHECKING, Any

from somray.api.maps import assign, fit
from somray.domain.teacher import Codebook
from somray.kernels.som.arrays import Training
from somray.kernels.som.maps import hit_map, quantization_error, topographic_error, u_matrix

if TYPE_CHECKING:
    from somray.api.estimator import SelfOrganizingMap

__all__ = [
    "Codebook",
    "SelfOrganizingMap",
    "Training",
    "assign",
    "fit",
    "hit_map",
    "quantization_error",
    "topographic_error",
    "u_matrix",
]


def __getattr__(name: str) -> Any:  # Any: whatever the public name is
    """Import the estimator when it is first used."""
    if name == "SelfOrganizingMap":
        return importlib.import_module("somray.api.estimator").SelfOrganizingMap
    raise AttributeError(f"module 'somray.som' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
