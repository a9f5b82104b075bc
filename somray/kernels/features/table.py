"""The table of features: a line for each.

Adding a feature is one function and one line; it is computed where it is named, so that no stack, map or run of
others changes. The function reads a `Band` and writes planes:
`write(band, slots, out)`, compiled or not, where `out` is (f, y, x) float32 and `slots` holds, for each
line of the table that names the function, the plane to write or -1. Rows go to
`out[slot, band.into : band.into + rows]`. Lines that share a function are written in one pass.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.features.band import Band
from somray.kernels.features.filters import CORE, CORE_HALO, write_core

__all__ = ["FEATURES", "FEATURE_TABLE", "Feature", "FeaturePlan", "plan_of"]

Write = Callable[[Band, NDArray[np.int64], NDArray[np.float32]], Any]


class Feature(NamedTuple):
    """One line of the table.

    Args:
        name: as tables and configurations call it.
        halo: pixels that it looks to each side.
        write: the function that computes it.
    """

    name: str
    halo: int
    write: Write


FEATURE_TABLE: tuple[Feature, ...] = (
    # the windowed value
    Feature("intensity", 0, write_core),
    # gradient magnitude per mm
    Feature("edge", 1, write_core),
    # standard deviation over 5×5
    Feature("local_contrast", 2, write_core),
    # how far a pixel stands out from both sides, per mm²: above 0 on thin bright structures, below in holes
    Feature("thickness", 2, write_core),
    # mean over 3×3
    Feature("mean3", 1, write_core),
    # mean over 5×5
    Feature("mean5", 2, write_core),
    # (Jxx - Jyy)/(Jxx + Jyy) of the smoothed structure tensor
    Feature("anisotropy_p", 3, write_core),
    # 2 Jxy/(Jxx + Jyy)
    Feature("anisotropy_q", 3, write_core),
    # mean of 5 pixels along the row to mean of 5 along the column
    Feature("ratio_row_column", 2, write_core),
    # mean over 5×5 to the mean of the slice
    Feature("ratio_local_global", 2, write_core),
)
"""Every feature."""

FEATURES: tuple[str, ...] = CORE
"""Those that are meant where none are named, in the order of every stack."""


class FeaturePlan(NamedTuple):
    """Which functions write which planes.

    Args:
        calls: functions with their slots, in the table's order.
        planes: number of planes of a channel.
        halo: pixels that a band must reach beyond its tile.
    """

    calls: tuple[tuple[Write, NDArray[np.int64]], ...]
    planes: int
    halo: int


def plan_of(names: Sequence[str]) -> FeaturePlan:
    """Look up features by name.

    Raises:
        ShapeError: unknown, none, or one named twice.
    """
    known = [feature.name for feature in FEATURE_TABLE]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ShapeError(f"unknown features {unknown}; known: {', '.join(known)}")
    if not names or len(set(names)) < len(names):
        raise ShapeError(f"features must be named, each once, got {list(names)}")
    slots: dict[Write, list[int]] = {}
    halo = CORE_HALO
    for feature in FEATURE_TABLE:
        plane = list(names).index(feature.name) if feature.name in names else -1
        slots.setdefault(feature.write, []).append(plane)
        halo = max(halo, feature.halo if plane >= 0 else 0)
    calls = tuple(
        (write, np.array(planes, dtype=np.int64))
        for write, planes in slots.items()
        if max(planes) >= 0
    )
    return FeaturePlan(calls, len(names), halo)
