"""Which pixels and patches a training step sees: seeded, a third each of target, border, anything.

Borders between target and rest are where a student and its teacher disagree, and lesions are small:
uniform patches would spend most of the time on pixels that are settled after the first steps. Pixels
are drawn from slices as they are; patches from slices made worse (`perturb.py`), anew at every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.student.perturb import NoisySlice

__all__ = ["MARGIN", "Batch", "Examples", "Sampler"]

MARGIN = 16
"""Pixels inside a patch's cut edges that are seen but not learned from: they miss their surroundings."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step learns from.

    Args:
        inputs: (b, d, y, x) float32.
        target: (b, y, x) float32 in [0, 1].
        weight: (b, y, x) float32.
        classes: (b, y, x) int64 places of classes, -1 where none is known; None without classes.
        clean: (b, inputs, y, x) float32 of the clean slice; None where the inputs are clean.
    """

    inputs: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    classes: torch.Tensor | None = None
    clean: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Examples:
    """Slices to learn from; they may differ in shape.

    Args:
        stacks: per slice (d, y, x) float32 inputs; NaN where there is no data.
        target: per slice (y, x) bool, or float32 in [0, 1].
        weight: per slice (y, x) float32, how much a pixel counts; 0 leaves it out of everything.
        noisy: per slice what makes it worse.
        classes: per slice (y, x) int64 places of classes, -1 where none is known; empty without.
    """

    stacks: Sequence[NDArray[np.float32]]
    target: Sequence[NDArray[np.bool_] | NDArray[np.float32]]
    weight: Sequence[NDArray[np.float32]]
    noisy: Sequence[NoisySlice]
    classes: Sequence[NDArray[np.int64]] = ()

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, and examples without a counting pixel."""
        if not len(self.stacks) == len(self.target) == len(self.weight) == len(self.noisy):
            raise ShapeError(
                f"{len(self.stacks)} stacks need as many targets, weights and slices, "
                f"got {len(self.target)}, {len(self.weight)} and {len(self.noisy)}"
            )
        for stack, target, weight in zip(self.stacks, self.target, self.weight, strict=True):
            if stack.ndim != 3:
                raise ShapeError(f"every stack must be (d, y, x), got {stack.shape}")
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
        masks = [np.asarray(target >= 0.5) for target in examples.target]
        anything = self._numbers([weight > 0 for weight in examples.weight])
        pairs = list(zip(masks, examples.weight, strict=True))
        inside = self._numbers([mask & (weight > 0) for mask, weight in pairs])
        border = self._numbers([_border(mask) & (weight > 0) for mask, weight in pairs])
        self._pools = [pool if len(pool) else anything for pool in (inside, border, anything)]
        self._room: dict[str, NDArray[Any]] = {}

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
        planes = min(
            len(stack) for stack in data.stacks
        )  # a noisy slice's further ones are not asked
        inputs = np.empty((planes, count), dtype=np.float32)
        target, weight = np.empty(count, dtype=np.float32), np.empty(count, dtype=np.float32)
        classes = np.empty(count, dtype=np.int64) if data.classes else None
        for n in np.unique(at):
            here = at == n
            y, x = row[here], column[here]
            inputs[:, here] = data.stacks[n][:planes, y, x]
            target[here], weight[here] = data.target[n][y, x], data.weight[n][y, x]
            if classes is not None:
                classes[here] = data.classes[n][y, x]
        return Batch(
            inputs=self._sent(inputs[None, :, None]),
            target=self._sent(target[None, None]),
            weight=self._sent(weight[None, None]),
            classes=None if classes is None else self._sent(classes[None, None]),
        )

    def patches(self, count: int) -> Batch:
        """Draw patches made worse, each round a drawn pixel that lies anywhere in its inner part.

        What a patch reaches beyond a slice that is smaller than it has no data and weight 0. The batch
        is good until the next one is drawn.
        """
        at, row, column = self._draw(count)
        inner = [max(1, size - 2 * MARGIN) for size in self._shape]
        spans = []
        for n, y, x in zip(at, row, column, strict=True):
            corner = [
                int(np.clip(place - MARGIN - self._rng.integers(reach), 0, max(0, size - side)))
                for place, reach, size, side in zip(
                    (y, x), inner, self._sizes[n], self._shape, strict=True
                )
            ]
            rows, columns = (slice(c, c + s) for c, s in zip(corner, self._shape, strict=True))
            spans.append((int(n), rows, columns))
        data = self._examples
        drawn = [data.noisy[n].draw(rows, columns, self._rng) for n, rows, columns in spans]
        weight = [_inner_weight(data.weight[n], rows, columns) for n, rows, columns in spans]
        target = [data.target[n][rows, columns].astype(np.float32) for n, rows, columns in spans]
        return Batch(
            inputs=self._sent(self._stacked("inputs", [worse for worse, _ in drawn], np.nan)),
            target=self._sent(self._stacked("target", target, 0)),
            weight=self._sent(self._stacked("weight", weight, 0)),
            classes=self._sent(
                self._stacked("classes", [data.classes[n][r, c] for n, r, c in spans], -1)
            )
            if data.classes
            else None,
            clean=self._sent(self._stacked("clean", [clean for _, clean in drawn], np.nan)),
        )

    def _stacked(self, name: str, parts: Sequence[NDArray[Any]], filling: float) -> NDArray[Any]:
        """Join patches (…, y, x); those of smaller slices are filled up.

        The room is the last batch's own: fresh memory for one costs as much as drawing it.
        """
        shape, dtype = (len(parts), *parts[0].shape[:-2], *self._shape), parts[0].dtype
        found = self._room.get(name)
        if found is None or found.shape != shape:
            found = self._room[name] = np.empty(shape, dtype=dtype)
        for place, part in zip(found, parts, strict=True):
            if part.shape != place.shape:
                place.fill(filling)
            place[..., : part.shape[-2], : part.shape[-1]] = part
        return found

    def _sent(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def _inner_weight(weight: NDArray[np.float32], rows: slice, columns: slice) -> NDArray[np.float32]:
    """Return a patch's weights, 0 beside edges where the slice goes on."""
    found = weight[rows, columns].copy()
    high, wide = weight.shape
    found[: MARGIN if rows.start > 0 else 0] = 0
    found[:, : MARGIN if columns.start > 0 else 0] = 0
    if rows.stop < high:
        found[-MARGIN:] = 0
    if columns.stop < wide:
        found[:, -MARGIN:] = 0
    return found


def _border(target: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels on either side of a target's edge."""
    cross = ndimage.generate_binary_structure(2, 1)
    outside = ndimage.binary_dilation(target, cross)
    inside = ndimage.binary_erosion(target, cross, border_value=1)
    return np.asarray(outside ^ inside)
