"""Which patches a training step sees: seeded, a third each about target, border, anything.

Borders between target and rest are where students err, and lesions are small: uniform patches would spend
most of the time on what is settled after the first steps. Every patch is turned and mirrored, and made worse
anew (`degrade`); its labels are those of the patch as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.student.training.degrade import Degrader
from somray.kernels.student.views import ImageViews

__all__ = ["Batch", "Example", "Sampler"]

MARGIN = 8
"""Pixels inside a patch's cut edges that are seen but not learned from, in two dimensions."""


@dataclass(frozen=True, eq=False)
class Example:
    """An image to learn from.

    Args:
        values: (c, [z,] y, x) float32 physical values, NaN where there is no data.
        target: ([z,] y, x) float32 in [0, 1], how far a pixel belongs to the target.
        weight: ([z,] y, x) float32, how much it counts; 0 leaves it out of everything.
        views: how its values become inputs.
        strength: of what makes its patches worse (`degrade.Degrader`).
        focus: ([z,] y, x) bool, where half of its patches lie, in place of the target's border: what is
            easily taken for target and is none.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    values: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32]
    views: ImageViews
    strength: float = 1.0
    focus: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other."""
        shape = self.values.shape[1:]
        if self.target.shape != shape or self.weight.shape != shape:
            raise ShapeError(
                f"an example of {shape} needs target and weight alike, "
                f"got {self.target.shape} and {self.weight.shape}"
            )


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step learns from.

    Args:
        inputs: (b, d, [z,] y, x) float32.
        target: (b, [z,] y, x) float32 in [0, 1].
        weight: the same, float32.
    """

    inputs: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


class Sampler:
    """Draws batches from examples of one dimension.

    Args:
        examples: at least one, with a pixel that counts.
        patch: side of a patch in pixels; smaller images are taken whole and filled up.
        seed: numbers that decide the draws.

    Raises:
        ShapeError: no pixel counts.
    """

    def __init__(self, examples: Sequence[Example], patch: int, seed: tuple[int, ...]) -> None:
        self._examples = examples
        self._rng, self._drawn = np.random.default_rng(seed), 0
        sizes = np.array([example.target.shape for example in examples])
        self._side = int(min(patch, sizes.max()))
        self._margin = MARGIN if len(sizes[0]) == 2 else 0
        self._kinds = (0, 1, 2) if examples[0].focus is None else (0, 1, 1, 2)
        self._pools = [_pools(example) for example in examples]
        self._full = [
            [n for n, pools in enumerate(self._pools) if len(pools[kind])] for kind in range(3)
        ]
        if not self._full[2]:
            raise ShapeError("every pixel has weight 0: there is nothing to learn from")

    def reseed(self, seed: tuple[int, ...]) -> None:
        """Draw from here on as a new sampler with this seed would."""
        self._rng, self._drawn = np.random.default_rng(seed), 0

    def draw(self, count: int) -> Batch:
        """Draw patches; what one reaches beyond its image has weight 0."""
        numbers = range(
            self._drawn, self._drawn + count
        )  # a batch may be smaller than the kinds are many
        self._drawn += count
        drawn = [self._patch(self._kinds[number % len(self._kinds)]) for number in numbers]
        inputs, target, weight = (
            torch.from_numpy(np.stack(parts)) for parts in zip(*drawn, strict=True)
        )
        return Batch(inputs, target, weight)

    def _patch(self, kind: int) -> tuple[NDArray[np.float32], ...]:
        """Draw an image, then a patch round one of its pixels of a kind."""
        kind = kind if self._full[kind] else 2
        number = self._full[kind][int(self._rng.integers(len(self._full[kind])))]
        example, pool = self._examples[number], self._pools[number][kind]
        shape = example.target.shape
        middle = np.unravel_index(int(pool[self._rng.integers(len(pool))]), shape)
        window = tuple(self._span(int(at), size) for at, size in zip(middle, shape, strict=True))
        degrader = Degrader(example.views.kinds, example.views.windows, example.strength)
        values = degrader.draw(example.values[(slice(None), *window)], self._rng)
        inputs = example.views.inputs(values)
        weight = _inner(example.weight[window], window, shape)
        parts = self._turned([inputs, example.target[window][None], weight[None]])
        full = [self._filled(part, -1.0 if n == 0 else 0.0) for n, part in enumerate(parts)]
        return full[0], full[1][0], full[2][0]

    def _span(self, at: int, size: int) -> slice:
        """Lay a patch anywhere round a pixel, inside the image."""
        inner = max(1, self._side - 2 * self._margin)
        start = at - (self._side - inner) // 2 - int(self._rng.integers(inner))
        first = int(np.clip(start, 0, max(0, size - self._side)))
        return slice(first, min(size, first + self._side))

    def _turned(self, parts: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Mirror along every axis by chance, and exchange rows and columns."""
        dims = parts[0].ndim - 1
        flips = [axis + 1 for axis in range(dims) if self._rng.random() < 0.5]
        parts = [np.flip(part, tuple(flips)) for part in parts]
        if self._rng.random() < 0.5:
            parts = [np.swapaxes(part, -1, -2) for part in parts]
        return parts

    def _filled(self, part: NDArray[np.float32], filling: float) -> NDArray[np.float32]:
        """Fill a patch (n, …) up to its side."""
        found = np.full((len(part), *[self._side] * (part.ndim - 1)), filling, dtype=np.float32)
        found[tuple(slice(0, size) for size in part.shape)] = part
        return found


def _inner(
    weight: NDArray[np.float32], window: tuple[slice, ...], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return a slice's patch of weights, 0 beside edges where the image goes on."""
    if weight.ndim == 3:
        return weight  # volumes are coarse: a margin would be most of a patch
    found = weight.copy()
    for axis, (span, size) in enumerate(zip(window, shape, strict=True)):
        along = np.moveaxis(found, axis, 0)
        along[: MARGIN if span.start > 0 else 0] = 0
        if span.stop < size:
            along[-MARGIN:] = 0
    return found


def _pools(example: Example) -> tuple[NDArray[Any], ...]:
    """Number the pixels inside the target, at its border or in focus, and all that count."""
    mask, counts = example.target >= 0.5, example.weight > 0
    cross = ndimage.generate_binary_structure(mask.ndim, 1)
    border = example.focus
    if border is None:
        border = ndimage.binary_dilation(mask, cross) ^ ndimage.binary_erosion(
            mask, cross, border_value=1
        )
    return tuple(np.flatnonzero(pool) for pool in (mask & counts, border & counts, counts))
