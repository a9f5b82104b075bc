"""The segmenter: a network trained on scans with a truth, from scratch or from an encoder; plain numbers only.

Weights travel as numpy arrays by parameter name, so that no pickle is ever loaded; `kernels/pretrain/segmenter.py`
builds the network from `network` and fills them in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["SegmenterModel"]


@dataclass(frozen=True, eq=False)
class SegmenterModel:
    """A trained segmenter.

    Args:
        weights: parameter or buffer name to array.
        network: numbers and names that build the network (kind, dimensions, inputs, sizes …), JSON-able.
        channels: names of the image channels it expects, in order.
        kinds: what each measures (`domain.channel`).
        windows: per channel (low, high) in the image's values; uptake counts in each scan's own unit.
        patch: side in pixels of what it was trained on, and of what networks see at once that level what they see.
        spacing_mm: (y, x) of the slices that it saw; of volumes, the grid's block size twice.
        target: name of the class it learned.
        history: JSON-able facts of the training: scans, steps, last loss, what it started from.
        temperature: what logits are divided by before they become probabilities.
    """

    weights: Mapping[str, NDArray[np.generic]]
    network: Mapping[str, int | float | str]
    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]
    patch: int
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    target: str = "lesion"
    history: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)
    temperature: float = 1.0

    @property
    def sees_volumes(self) -> bool:
        """Whether it takes whole volumes on a coarse grid, else slices."""
        return self.network["dimensions"] == 3
