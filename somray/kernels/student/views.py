"""What a student sees of an image: each channel in views that suit what it measures.

    CT      the protocol's window, soft tissue, and everything from air to bone
    PET     uptake over the scan's unit (its background or its level): plain, and as a logarithm
    other   the protocol's window, and its square root

Views are functions of a pixel's value alone: no neighbourhood, no coordinate, nothing of the teacher. torch is
imported where tensors are made: all that plans or cuts lessons knows the kinds and windows, and needs none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["SOFT_HU", "ImageViews", "Window", "view_count"]

SOFT_HU = (-160.0, 240.0)
WIDE_HU = (-1000.0, 1000.0)
LOG_FLOOR, OCTAVES = 0.25, (-1.0, 5.0)
"""Uptake below this share of the unit is nothing; octaves over the unit from which to which are told."""
PLAIN_SPAN = 8.0
"""Times the unit that make one."""

Window = tuple[float, float]


@dataclass(frozen=True)
class ImageViews:
    """How values become a network's inputs.

    Args:
        kinds: what each channel measures (`domain.channel`): CT, PET, or anything else.
        windows: per channel (low, high); the high of PET is the unit of its uptake.
    """

    kinds: tuple[str, ...]
    windows: tuple[Window, ...]

    @property
    def count(self) -> int:
        """Number of inputs."""
        return sum(map(view_count, self.kinds))

    def inputs(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn values (c, …) into inputs (d, …) float32, each within [-1, 1]; nothing is NaN."""
        found: NDArray[np.float32] = self.batch([values])[0].contiguous().numpy()
        return found

    def batch(self, images: Sequence[NDArray[np.float32]]) -> "torch.Tensor":
        """Turn images (c, …) of one shape into inputs (b, d, …), channels last in memory."""
        import torch

        found = torch.empty((len(images), *images[0].shape[1:], self.count))
        for inputs, image in zip(found, images, strict=True):
            channels = torch.from_numpy(np.require(image, requirements=("C", "W"))).unbind()
            for n, view in enumerate(self._of(channels)):
                inputs[..., n] = view
        # NaN passes through limits; what comes out of them is never infinite.
        return found.clamp_(-1.0, 1.0).nan_to_num_(nan=-1.0).movedim(-1, 1)

    def traced(self, images: "torch.Tensor") -> "torch.Tensor":
        """Do the same to a tensor (b, c, …), by what exported graphs can say."""
        import torch

        stacked = torch.stack(list(self._of(images.unbind(1))), 1).clamp(-1.0, 1.0)
        return torch.where(torch.isnan(stacked), -1.0, stacked)

    def _of(self, channels: Sequence["torch.Tensor"]) -> Iterator["torch.Tensor"]:
        for channel, kind, window in zip(channels, self.kinds, self.windows, strict=True):
            yield from _views(channel, kind, window)


def view_count(kind: str) -> int:
    """Return how many views a channel of a kind has."""
    return 3 if kind == "CT" else 2


def _views(values: "torch.Tensor", kind: str, window: Window) -> list["torch.Tensor"]:
    if kind == "CT":
        return [_linear(values, limits) for limits in (window, SOFT_HU, WIDE_HU)]
    if kind == "PET":
        uptake = (values * (1.0 / window[1])).clamp_min(LOG_FLOOR)
        return [uptake * (2.0 / PLAIN_SPAN) - 1.0, _linear(uptake.log2(), OCTAVES)]
    plain = _linear(values, window)
    return [plain, 2.0 * ((plain + 1.0) / 2.0).clamp(0.0, 1.0).sqrt() - 1.0]


def _linear(values: "torch.Tensor", window: Window) -> "torch.Tensor":
    """Take a window to [-1, 1]."""
    low, high = window
    scale = 2.0 / (high - low)
    return values * scale - (low * scale + 1.0)
