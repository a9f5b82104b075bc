"""Where training starts: the standardisation and the prototypes, both taken from the labelled slice.

Standardisation is over all its pixels with data; prototypes are the means of a seeded k-means within
the target and within the rest. Everything in float64 and in pixel order.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from somray.kernels.student.unet import CLAMP_STD, UNet

__all__ = ["start_constant", "start_from"]

SAMPLE = 8192
"""Pixels of one side that its prototypes are made of."""
PASSES = 8
SHARPNESS = 2.0
"""Sharpness that the prototypes begin with; it is learned."""
CERTAIN_LOGIT = 20.0


def start_from(
    module: UNet,
    stack: NDArray[np.float32],
    target: NDArray[np.bool_],
    known: NDArray[np.bool_],
    seed: int,
) -> None:
    """Set a network's standardisation and prototypes from one labelled slice, in place.

    Args:
        module: the network to start.
        stack: (d, y, x) float32 inputs, NaN where there is no data.
        target: (y, x) bool.
        known: (y, x) bool, pixels with data that count; at least one on either side of the target.
        seed: decides which pixels are sampled.
    """
    pixels = stack[:, known].T.astype(np.float64)  # (n, d)
    center, scale = pixels.mean(axis=0), pixels.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    pixels = np.clip((pixels - center) / scale, -CLAMP_STD, CLAMP_STD)
    inside = target[known]
    rng = np.random.default_rng([seed, 1])
    layer = module.prototypes
    rest = len(layer.nodes) - layer.target
    nodes = [_means(pixels[inside], layer.target, rng), _means(pixels[~inside], rest, rng)]
    with torch.no_grad():
        module.center.copy_(torch.from_numpy(center))
        module.scale.copy_(torch.from_numpy(scale))
        layer.nodes.copy_(torch.from_numpy(np.concatenate(nodes)))
        layer.factors.zero_()
        layer.sharpness.fill_(math.log(SHARPNESS))


def _means(
    pixels: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return `count` means of a short k-means; an empty cell keeps its place."""
    chosen = pixels[rng.integers(len(pixels), size=min(len(pixels), SAMPLE))]
    nodes = chosen[rng.integers(len(chosen), size=count)].copy()
    for _ in range(PASSES):
        # einsum, not a matrix product: BLAS orders its sums by the number of threads.
        score = np.einsum("nd,kd->nk", chosen, nodes) - 0.5 * (nodes**2).sum(axis=1)
        nearest = score.argmax(axis=1)
        for node in range(count):
            members = chosen[nearest == node]
            if len(members):
                nodes[node] = members.mean(axis=0)
    return nodes


def start_constant(module: UNet, *, inside: bool) -> None:
    """Make a network say the same everywhere, in place: all target, or none."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.head.bias.fill_(CERTAIN_LOGIT if inside else -CERTAIN_LOGIT)
