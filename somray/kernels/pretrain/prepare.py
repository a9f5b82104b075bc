"""What some targets need before the first step: clusters of grey values, and a map of an encoder's own planes.

Both are made from pixels of patches of many pieces, drawn by the seed and by nothing of the training. Every
worker makes them, and takes the first one's, so that all are asked the same.
"""

import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from torch import nn

from somray.errors import ShapeError
from somray.kernels.pretrain.networks.backbone import Backbone
from somray.kernels.pretrain.patches import Patches, PatchSampler
from somray.kernels.pretrain.targets import rows_of
from somray.kernels.som.arrays import fit
from somray.kernels.student.training.loop import average_over
from somray.kernels.student.training.schedule import ProcessGroup

__all__ = ["first_of", "grey_centers", "grid_of", "own_nodes", "settle_statistics"]

DRAWS, PATCHES = 8, 16
"""Times that pieces are chosen anew, and patches of each choice."""
PIXELS = 256
"""Of each patch: 32,768 in all, 300 for each of a hundred nodes."""
CENTERS, NODES, STATISTICS = 1_000_001, 1_000_002, 1_000_003
"""What the draws are for, in the place of an epoch's number."""

Floats = NDArray[np.float32]


def grey_centers(sampler: PatchSampler, seed: tuple[int, ...], count: int) -> dict[str, Floats]:
    """Return centers (count, c) of clusters of grey values over their windows.

    Raises:
        ShapeError: no pixel has data.
    """
    samples = []
    for patches, rng in _drawn(sampler, (*seed, CENTERS)):
        rows = rows_of(patches.grey)
        samples.append(_some(rows[~np.isnan(rows).any(axis=1)], rng))
    held = np.concatenate(samples)
    if not len(held):
        raise ShapeError("no pixel has data: there is nothing to learn from")
    with warnings.catch_warnings():  # a cluster that stays empty keeps its first center
        warnings.simplefilter("ignore", UserWarning)
        centers, _ = kmeans2(held, count, iter=20, minit="++", rng=np.random.default_rng(seed))
    return {"centers": centers.astype(np.float32)}


def own_nodes(
    backbone: Backbone, sampler: PatchSampler, seed: tuple[int, ...], count: int, device: str
) -> dict[str, Floats]:
    """Return a map of an encoder's planes, standardised, as it sees patches without masks.

    Args:
        backbone: the encoder, for inference.
        sampler: of its pieces.
        seed: of the draws.
        count: nodes.
        device: where it computes.

    Returns:
        mean (p,), deviation (p,) and nodes (count, p), float32.
    """
    samples = []
    with torch.inference_mode():
        for patches, rng in _drawn(sampler, (*seed, NODES)):
            planes = backbone(torch.from_numpy(patches.inputs).to(device)).float().cpu().numpy()
            samples.append(_some(rows_of(planes)[patches.known.reshape(-1)], rng))
    held = np.concatenate(samples).astype(np.float64)
    if not len(held):
        raise ShapeError("no pixel has data: there is nothing to learn from")
    mean, deviation = held.mean(axis=0), held.std(axis=0)
    deviation[deviation < 1e-6] = 1.0  # a plane that is the same everywhere tells nothing
    scaled = np.ascontiguousarray((held - mean) / deviation, dtype=np.float32)
    codebook = fit(scaled, grid_of(count), seed[0])
    return {
        "mean": mean.astype(np.float32),
        "deviation": deviation.astype(np.float32),
        "nodes": codebook.weights,
    }


def settle_statistics(
    backbone: Backbone, sampler: PatchSampler, seed: tuple[int, ...], group: ProcessGroup
) -> None:
    """Give normalisations the statistics of patches without masks, in place; others have none.

    An encoder is used on whole images. Means over a few batches in a row, as in Izmailov et al., "Averaging weights
    leads to wider optima", 2018.
    """
    norms = [
        part for part in backbone.modules() if isinstance(part, nn.BatchNorm2d | nn.BatchNorm3d)
    ]
    backbone.eval()
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    with torch.no_grad():
        for patches, _ in _drawn(sampler, (*seed, STATISTICS)):
            backbone(torch.from_numpy(patches.inputs).to(group.device))
    backbone.eval()
    held = [t for norm in norms for t in (norm.running_mean, norm.running_var) if t is not None]
    average_over(held, group)


def first_of(arrays: Mapping[str, Floats], group: ProcessGroup) -> dict[str, Floats]:
    """Return the first worker's arrays on every worker."""
    if group.average is None:
        return dict(arrays)
    flat = np.concatenate([array.reshape(-1) for array in arrays.values()])
    own = torch.from_numpy(flat if group.rank == 0 else np.zeros_like(flat)).to(group.device)
    told = (group.average(own) * group.world).cpu().numpy()
    sizes = np.cumsum([array.size for array in arrays.values()])[:-1]
    return {
        name: part.reshape(array.shape)
        for (name, array), part in zip(arrays.items(), np.split(told, sizes), strict=True)
    }


def grid_of(count: int) -> tuple[int, int]:
    """Return rows and columns of a map with so many nodes, as square as can be."""
    rows = next(n for n in range(int(count**0.5), 0, -1) if count % n == 0)
    return rows, count // rows


def _drawn(
    sampler: PatchSampler, seed: tuple[int, ...]
) -> Iterator[tuple[Patches, np.random.Generator]]:
    """Draw patches of pieces that are chosen anew several times."""
    for draw in range(DRAWS):
        sampler.begin((*seed, draw))
        for _ in range(PATCHES // 4):
            yield sampler.draw(4), sampler.rng


def _some(rows: Floats, rng: np.random.Generator) -> Floats:
    return rows[rng.permutation(len(rows))[: 4 * PIXELS]]
