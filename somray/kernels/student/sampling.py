"""Which pixels and patches a training step sees: seeded, a third each of target, border, anything.

Borders between target and rest are where a student and its teacher disagree, and lesions are small:
uniform patches would spend most of the time on pixels that are settled after the first steps.
"""

from collections.abc import Sequence
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
    """Slices to learn from; they may differ in shape.

    Args:
        stacks: per slice (d, y, x) float32 inputs; NaN where there is no data.
        target: per slice (y, x) bool.
        weight: per slice (y, x) float32, how much a pixel counts; 0 leaves it out of everything.
    """

    stacks: Sequence[NDArray[np.float32]]
    target: Sequence[NDArray[np.bool_]]
    weight: Sequence[NDArray[np.float32]]

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and examples without a counting pixel."""
        if not len(self.stacks) == len(self.target) == len(self.weight):
            raise ShapeError(
                f"{len(self.stacks)} stacks need as many targets and weights, "
                f"got {len(self.target)} and {len(self.weight)}"
            )
        for stack, target, weight in zip(self.stacks, self.target, self.weight, strict=True):
            if stack.ndim != 3 or len(stack) != len(self.stacks[0]):
                raise ShapeError(f"every stack must be (d, y, x) with equal d, got {stack.shape}")
            if target.shape != stack.shape[1:] or weight.shape != stack.shape[1:]:
                raise ShapeError(
                    f"a stack {stack.shape} needs target and weight {stack.shape[1:]}, "
                    f"got {target.shape} and {weight.shape}"
                )
        if not any((weight > 0).any() for weight in self.weight):
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
        self._sizes = np.array([target.shape for target in examples.target])
        rows, columns = self._sizes.max(axis=0)
        self._shape = min(patch, int(rows)), min(patch, int(columns))
        self._starts = np.concatenate([[0], np.cumsum(self._sizes.prod(axis=1))])
        anything = self._numbers([weight > 0 for weight in examples.weight])
        pairs = list(zip(examples.target, examples.weight, strict=True))
        inside = self._numbers([target & (weight > 0) for target, weight in pairs])
        border = self._numbers([_border(target) & (weight > 0) for target, weight in pairs])
        self._pools = [pool if len(pool) else anything for pool in (inside, border, anything)]

    def _numbers(self, masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
        """Number the pixels of masks, counted through all slices."""
        found = [
            np.flatnonzero(mask) + start
            for mask, start in zip(masks, self._starts[:-1], strict=True)
        ]
        return np.concatenate(found)

    def reseed(self, seed: tuple[int, ...]) -> None:
        """Draw from here on as a new sampler with this seed would."""
        self._rng = np.random.default_rng(seed)

    def _draw(self, count: int) -> tuple[NDArray[np.int64], ...]:
        """Draw pixels, a third from each pool, as slice, row and column."""
        kinds = np.arange(count) % len(self._pools)
        flat = np.empty(count, dtype=np.int64)
        for kind, pool in enumerate(self._pools):
            here = kinds == kind
            flat[here] = pool[self._rng.integers(len(pool), size=int(here.sum()))]
        at = np.searchsorted(self._starts, flat, side="right") - 1
        row, column = np.divmod(flat - self._starts[at], self._sizes[at, 1])
        return at, row, column

    def pixels(self, count: int) -> Batch:
        """Draw single pixels as one image of one row: inputs (1, d, 1, count)."""
        at, row, column = self._draw(count)
        data = self._examples
        inputs = np.empty((len(data.stacks[0]), count), dtype=np.float32)
        target, weight = np.empty(count, dtype=bool), np.empty(count, dtype=np.float32)
        for n in np.unique(at):
            here = at == n
            y, x = row[here], column[here]
            inputs[:, here] = data.stacks[n][:, y, x]
            target[here], weight[here] = data.target[n][y, x], data.weight[n][y, x]
        return self._batch(inputs[None, :, None], target[None, None], weight[None, None])

    def patches(self, count: int) -> Batch:
        """Draw patches, each round a drawn pixel that lies anywhere in it.

        What a patch reaches beyond a slice that is smaller than it has no data and weight 0.
        """
        at, row, column = self._draw(count)
        high, wide = self._shape
        beyond = np.maximum(self._sizes[at] - self._shape, 0)
        top = np.clip(row - self._rng.integers(high, size=count), 0, beyond[:, 0])
        left = np.clip(column - self._rng.integers(wide, size=count), 0, beyond[:, 1])
        data = self._examples
        inputs = np.full((count, len(data.stacks[0]), high, wide), np.nan, dtype=np.float32)
        target = np.zeros((count, high, wide), dtype=bool)
        weight = np.zeros((count, high, wide), dtype=np.float32)
        for patch, (n, y, x) in enumerate(zip(at, top, left, strict=True)):
            rows, columns = slice(y, y + high), slice(x, x + wide)
            tall, broad = data.target[n][rows, columns].shape
            inputs[patch, :, :tall, :broad] = data.stacks[n][:, rows, columns]
            target[patch, :tall, :broad] = data.target[n][rows, columns]
            weight[patch, :tall, :broad] = data.weight[n][rows, columns]
        return self._batch(inputs, target, weight)

    def _batch(
        self, inputs: NDArray[np.float32], target: NDArray[np.bool_], weight: NDArray[np.float32]
    ) -> Batch:
        arrays = (inputs, target.astype(np.float32), weight)
        tensors = [torch.from_numpy(np.ascontiguousarray(a)).to(self._device) for a in arrays]
        return tensors[0], tensors[1], tensors[2]


def _border(target: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels on either side of a target's edge."""
    cross = ndimage.generate_binary_structure(2, 1)
    outside = ndimage.binary_dilation(target, cross)
    inside = ndimage.binary_erosion(target, cross, border_value=1)
    return np.asarray(outside ^ inside)
