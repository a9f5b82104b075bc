"""Where a training stands between two epochs: everything that the next one starts from.

Plain numpy arrays by parameter name. The loop (`loop.py`) starts every epoch from
such a state, resumed or not, so a training that goes on from a stored one has the same bits.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FitState"]

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class FitState:
    """A training between two epochs.

    Args:
        weights: every parameter and buffer of the network, by name.
        averaged: averaged parameters and statistics; empty before the first epoch.
        first: the optimizer's first moments of the parameters; empty before the first epoch.
        second: its second moments.
        epoch: epochs that are finished.
        step: optimizer steps taken.
        done: whether the last epoch is over.
        rows: the table's rows so far.
    """

    weights: Arrays
    averaged: Arrays = field(default_factory=dict)
    first: Arrays = field(default_factory=dict)
    second: Arrays = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    done: bool = False
    rows: tuple[dict[str, Any], ...] = ()  # Any: a row's cells are numbers
