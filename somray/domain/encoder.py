"""The encoder: what pretraining leaves behind, plain numbers only; others start from it.

Weights travel as numpy arrays by parameter name, so that no pickle is ever loaded; `kernels/pretrain/networks`
builds the network from `network` and fills them in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["EncoderModel"]


@dataclass(frozen=True, eq=False)
class EncoderModel:
    """A pretrained network without a head.

    Args:
        weights: parameter or buffer name to array.
        network: numbers and names that build the network (kind, dimensions, inputs, sizes …), JSON-able.
        channels: names of the image channels it expects, in order.
        kinds: what each measures (`domain.channel`).
        windows: per channel (low, high) in the image's values; uptake counts in each scan's own unit.
        spacing_mm: (y, x) of the slices that it saw; of volumes, the grid's block size twice.
        target: what it was asked for (`kernels.pretrain.spec.TARGETS`).
        history: JSON-able facts of the training: scans, steps, last loss, digest of the data.
    """

    weights: Mapping[str, NDArray[np.generic]]
    network: Mapping[str, int | float | str]
    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    target: str = "nodes"
    history: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)

    @property
    def sees_volumes(self) -> bool:
        """Whether it takes whole volumes on a coarse grid, else slices."""
        return self.network["dimensions"] == 3
