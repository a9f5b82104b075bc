"""Where training starts: from the teacher's centroids, or from the labelled slice alone.

From centroids, standardisation, prototypes and vote are the teacher's own, and the U-Net is all that is
learned. From labels, standardisation is over all of the slice's pixels with data, and prototypes are the
means of a seeded k-means within each class. Everything in float64 and in pixel order.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from somray.kernels.student.centroids import Centroids
from somray.kernels.student.unet import CLAMP_STD, UNet

__all__ = ["start_constant", "start_from", "start_from_centroids"]

SAMPLE = 8192
"""Pixels of one side that its prototypes are made of."""
PASSES = 8
SHARPNESS = 2.0
"""Sharpness that the prototypes begin with; it is learned."""
NEAREST_SHARPNESS = 20.0
"""Sharpness that gives the nearest centroid's class logits of the usual size."""
VOTED_SHARPNESS = 500.0
"""Sharpness that makes every pixel's vote all but unanimous, as the teacher's are."""
LEAST_FACTOR = 1e-4
"""Features that the teacher leaves out count so little that no pixel's class hangs on them."""
FAR = 20.0


def start_from_centroids(module: UNet, centroids: Centroids) -> None:
    """Set a network's standardisation and prototypes to a teacher's, in place."""
    layer = module.prototypes
    sharpness = VOTED_SHARPNESS if layer.has_vote else NEAREST_SHARPNESS
    factors = np.maximum(np.array(centroids.factors), LEAST_FACTOR)
    with torch.no_grad():
        module.center.copy_(torch.tensor(centroids.center))
        module.scale.copy_(torch.tensor(centroids.scale))
        layer.nodes.copy_(torch.tensor(centroids.nodes))
        layer.factors.copy_(torch.from_numpy(np.log(factors)))
        layer.sharpness.fill_(math.log(sharpness))


def start_from(
    module: UNet,
    stack: NDArray[np.float32],
    places: NDArray[np.integer],
    known: NDArray[np.bool_],
    seed: int,
) -> None:
    """Set a network's standardisation and prototypes from one labelled slice, in place.

    Args:
        module: the network to start.
        stack: (inputs, y, x) float32 of the quiet slice, NaN where there is no data.
        places: (y, x) place of each pixel's class among the network's.
        known: (y, x) bool, pixels with data that count; at least one of every class.
        seed: decides which pixels are sampled.
    """
    pixels = stack[: module.shape.inputs, known].T.astype(np.float64)  # (n, d)
    center, scale = pixels.mean(axis=0), pixels.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    pixels = np.clip((pixels - center) / scale, -CLAMP_STD, CLAMP_STD)
    rng, own = np.random.default_rng([seed, 1]), places[known]
    layer = module.prototypes
    nodes = [_means(pixels[own == place], count, rng) for place, count in enumerate(layer.counts)]
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
    layer = module.prototypes
    own = range(sum(layer.counts[: layer.target]), sum(layer.counts[: layer.target + 1]))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        # Prototypes far from the origin score less than one that lies on it, whatever the pixel.
        for node in range(sum(layer.counts)):
            if (node in own) != inside:
                layer.nodes[node].fill_(FAR)
        layer.factors.fill_(-FAR)
