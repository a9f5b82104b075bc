"""The student: what training leaves behind, plain numbers only.

Weights travel as numpy arrays by parameter name, so that no pickle is ever loaded; `kernels/student/network.py`
builds the network from `network` and fills them in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["StudentModel"]


@dataclass(frozen=True, eq=False)
class StudentModel:
    """A trained student.

    Args:
        weights: parameter or buffer name to array.
        network: numbers and names that build the network (width, depth, inputs …), JSON-able.
        channels: names of the image channels it expects, in order.
        windows: per channel (low, high) in the image's values.
        spacing_mm: (y, x) its features were scaled to.
        target: name of the class it learned.
        history: JSON-able facts of the training (rounds done, best round, verdict).
        temperature: what logits are divided by before they become probabilities, so that these are
            calibrated; masks do not depend on it.
    """

    weights: Mapping[str, NDArray[np.generic]]
    network: Mapping[str, int | float | str]
    channels: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    target: str = "lesion"
    history: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)
    temperature: float = 1.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each channel measures (`domain.channel`)."""
        return tuple(str(self.network["kinds"]).split(","))

    @property
    def sees_volumes(self) -> bool:
        """Whether it takes whole volumes on a coarse grid, else slices."""
        return self.network["dimensions"] == 3
