"""Which pixels and patches a training step sees: seeded, a third each of target, border, anything.

Borders between target and rest are where a student and its teacher disagree, and lesions are small:
uniform patches would spend most of the time on pixels that are settled after the first steps.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError

__all__ = ["Batch", "Examples", "Sampler"]

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Inputs (b, d, y, x), target (b, y, x) and weight (b, y, x), all float32."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Slices to learn from.

    Args:
        stacks: (n, d, y, x) float32 inputs; NaN where there is no data.
        target: (n, y, x) bool.
        weight: (n, y, x) float32, how much a pixel counts; 0 leaves it out of everything.
    """

    stacks: NDArray[np.float32]
    target: NDArray[np.bool_]
    weight: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and examples without a counting pixel."""
        if self.stacks.ndim != 4:
            raise ShapeError(f"stacks must be (n, d, y, x), got {self.stacks.shape}")
        shape = (len(self.stacks), *self.stacks.shape[2:])
        if self.target.shape != shape or self.weight.shape != shape:
            raise ShapeError(
                f"stacks {self.stacks.shape} need target and weight {shape}, "
                f"got {self.target.shape} and {self.weight.shape}"
            )
        if not (self.weight > 0).any():
            raise ShapeError("every pixel has weight 0: there is nothing to learn from")


class Sampler:
    """Draws batches from examples.

    Args:
        examples: slices, targets, weights.
        patch: side of a patch in pixels; smaller slices are taken whole.
        seed: numbers that decide the draws.
        device: where the batches go.
    """

    def __init__(
        self, examples: Examples, patch: int, seed: tuple[int, ...], device: str = "cpu"
    ) -> None:
        self._examples = examples
        self._rng = np.random.default_rng(seed)
        self._device = device
        rows, columns = examples.target.shape[1:]
        self._shape = min(patch, rows), min(patch, columns)
        counts = examples.weight > 0
        anything = np.flatnonzero(counts)
        pools = [np.flatnonzero(examples.target & counts), np.flatnonzero(_border(examples))]
        self._pools = [pool if len(pool) else anything for pool in (*pools, anything)]

    def _draw(self, count: int) -> tuple[NDArray[np.int64], ...]:
        """Draw pixels, a third from each pool, as slice, row and column."""
        kinds = np.arange(count) % len(self._pools)
        flat = np.empty(count, dtype=np.int64)
        for kind, pool in enumerate(self._pools):
            here = kinds == kind
            flat[here] = pool[self._rng.integers(len(pool), size=int(here.sum()))]
        return np.unravel_index(flat, self._examples.target.shape)

    def pixels(self, count: int) -> Batch:
        """Draw single pixels as one image of one row: inputs (1, d, 1, count)."""
        at, row, column = self._draw(count)
        data = self._examples
        inputs = data.stacks[at, :, row, column].T[None, :, None, :]
        target, weight = data.target[at, row, column], data.weight[at, row, column]
        return self._batch(inputs, target[None, None], weight[None, None])

    def patches(self, count: int) -> Batch:
        """Draw patches, each round a drawn pixel that lies anywhere in it."""
        high, wide = self._shape
        at, row, column = self._draw(count)
        rows, columns = self._examples.target.shape[1:]
        top = np.clip(row - self._rng.integers(high, size=count), 0, rows - high)
        left = np.clip(column - self._rng.integers(wide, size=count), 0, columns - wide)
        spans = [
            (n, slice(y, y + high), slice(x, x + wide))
            for n, y, x in zip(at, top, left, strict=True)
        ]
        data = self._examples
        return self._batch(
            np.stack([data.stacks[n, :, y, x] for n, y, x in spans]),
            np.stack([data.target[n, y, x] for n, y, x in spans]),
            np.stack([data.weight[n, y, x] for n, y, x in spans]),
        )

    def _batch(
        self, inputs: NDArray[np.float32], target: NDArray[np.bool_], weight: NDArray[np.float32]
    ) -> Batch:
        arrays = (inputs, target.astype(np.float32), weight)
        tensors = [torch.from_numpy(np.ascontiguousarray(a)).to(self._device) for a in arrays]
        return tensors[0], tensors[1], tensors[2]


def _border(examples: Examples) -> NDArray[np.bool_]:
    """Return the pixels that count on either side of the target's edge, slice by slice."""
    cross = ndimage.generate_binary_structure(2, 1)[None]
    outside = ndimage.binary_dilation(examples.target, cross)
    inside = ndimage.binary_erosion(examples.target, cross, border_value=1)
    return np.asarray((outside ^ inside) & (examples.weight > 0))
