"""What is asked of each pixel under the masks: a class per head, or numbers.

    nodes     the node of the map, a head for each codebook
    shuffled  the same, but numbers mean something else in every patch: what cannot be learned (control)
    kmeans    which of as many clusters of grey values (control)
    nodes2    which node of a map of the first encoder's planes, as it sees the patch without masks
    features  the map's features, over the mean and deviation of their patch: level and contrast of a scan drop
              out, what differs between its blocks stays
    pixels    the inputs, over the mean and deviation of their block (control)

Losses know the pixels that they are given, and those are masked ones with data.

Sources: Hsu et al., "HuBERT", 2021 (clusters, masked alone, own features); Wei et al., "MaskFeat", 2022 (local
normalisation); He et al., "Masked autoencoders", 2022 (normalised pixels).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from somray.kernels.pretrain.networks.backbone import Backbone
from somray.kernels.pretrain.patches import Patches
from somray.kernels.pretrain.piece import NO_NODE

__all__ = [
    "ClusterTarget",
    "FeatureTarget",
    "NodeTarget",
    "OwnTarget",
    "PixelTarget",
    "Question",
    "class_loss",
    "nearest",
    "number_loss",
    "rows_of",
]

FLOOR = 0.05
"""Least deviation that a patch or a block is divided by: on the scale of features and of inputs, where there is
nothing but noise, nothing is asked."""


Scalar = TypeVar("Scalar", bound=np.generic)


class Question(Protocol):
    """What is asked of pixels."""

    @property
    def heads(self) -> tuple[int, ...]:
        """Numbers that each head says of a pixel."""

    @property
    def is_class(self) -> bool:
        """Whether answers are classes, one a head, else the numbers of the only head."""

    def answers(self, patches: Patches, rng: np.random.Generator) -> torch.Tensor:
        """Return (b × pixels, n): int64 classes, `NO_NODE` where unknown; or float32 numbers, NaN where unknown."""


@dataclass(frozen=True)
class NodeTarget:
    """Nodes of the maps.

    Args:
        heads: nodes of each codebook.
        shuffled: whether numbers are exchanged anew in every patch.
    """

    heads: tuple[int, ...]
    shuffled: bool = False
    is_class: bool = True

    def answers(self, patches: Patches, rng: np.random.Generator) -> torch.Tensor:
        """Return the nodes."""
        nodes = patches.nodes
        if self.shuffled:
            nodes = nodes.copy()
            for patch in nodes:
                for plane, count in zip(patch, self.heads, strict=True):
                    known = plane != NO_NODE
                    plane[known] = rng.permutation(count)[plane[known]]
        return torch.from_numpy(rows_of(nodes))


@dataclass(frozen=True, eq=False)
class ClusterTarget:
    """Clusters of grey values.

    Args:
        centers: (k, c) float32, of values over their windows.
    """

    centers: NDArray[np.float32]
    is_class: bool = True

    @property
    def heads(self) -> tuple[int, ...]:
        """One: the clusters."""
        return (len(self.centers),)

    def answers(self, patches: Patches, rng: np.random.Generator) -> torch.Tensor:
        """Return the nearest clusters."""
        grey = torch.from_numpy(rows_of(patches.grey))
        found = nearest(grey.nan_to_num(), torch.from_numpy(self.centers))
        return found.where(~grey.isnan().any(1), NO_NODE)[:, None]


@dataclass(frozen=True, eq=False)
class OwnTarget:
    """Nodes of a map of an encoder's own planes.

    Args:
        backbone: the first encoder, for inference, on the gang's device.
        mean: (p,) of its planes.
        deviation: (p,) float32.
        nodes: (k, p) on standardised planes.
        device: where it computes.
    """

    backbone: Backbone
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    nodes: NDArray[np.float32]
    device: str = "cpu"
    is_class: bool = True

    @property
    def heads(self) -> tuple[int, ...]:
        """One: the nodes."""
        return (len(self.nodes),)

    def answers(self, patches: Patches, rng: np.random.Generator) -> torch.Tensor:
        """Return the nearest nodes; a pixel without data has one too, and is not asked."""
        with torch.inference_mode():
            planes = self.backbone(torch.from_numpy(patches.inputs).to(self.device)).float()
            told = planes.movedim(1, -1).flatten(0, -2)
            mean, deviation, nodes = (
                torch.from_numpy(part).to(self.device)
                for part in (self.mean, self.deviation, self.nodes)
            )
            found = nearest((told - mean) / deviation, nodes).cpu()[:, None]
        return found.clone()  # made in inference mode, a tensor could not be learned from


@dataclass(frozen=True)
class FeatureTarget:
    """Features of the map, normalised within their patch."""

    heads: tuple[int, ...]
    is_class: bool = False

    def answers(self, patches: Patches, rng: np.random.Generator) -> torch.Tensor:
        """Return the normalised features."""
        axes = tuple(range(2, patches.features.ndim))
        return torch.from_numpy(rows_of(_normal(patches.features, axes)))


@dataclass(frozen=True)
class PixelTarget:
    """The inputs, normalised within their block.

    Args:
        heads: one, as many numbers as there are inputs.
        block: side of a block.
    """

    heads: tuple[int, ...]
    block: int
    is_class: bool = False

    def answers(self, patches: Patches, rng: np.random.Generator) -> torch.Tensor:
        """Return the normalised inputs."""
        inputs = np.where(patches.known[:, None], patches.inputs, np.float32(np.nan))
        sizes = inputs.shape[2:]
        fill = [(0, 0), (0, 0), *((0, -size % self.block) for size in sizes)]
        filled = np.pad(inputs, fill, constant_values=np.nan)
        parts = [(side // self.block, self.block) for side in filled.shape[2:]]
        cut = filled.reshape(*filled.shape[:2], *(n for pair in parts for n in pair))
        found = _normal(cut, tuple(range(3, cut.ndim, 2))).reshape(filled.shape)
        return torch.from_numpy(rows_of(found[(slice(None), slice(None), *map(slice, sizes))]))


def rows_of(planes: NDArray[Scalar]) -> NDArray[Scalar]:
    """Turn planes (b, n, [z,] y, x) into a row for each pixel (b × pixels, n)."""
    return np.ascontiguousarray(np.moveaxis(planes, 1, -1)).reshape(-1, planes.shape[1])


def nearest(samples: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
    """Return the nearest of nodes (k, f) to each sample (n, f), int64 (n,)."""
    half = nodes.square().sum(1) / 2
    return torch.cat([(half - part @ nodes.T).argmin(1) for part in torch.split(samples, 2**16)])


def class_loss(
    said: Sequence[torch.Tensor], answers: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean cross-entropy over heads, and how many answers were right and asked (2,).

    Args:
        said: logits (n, k) of each head.
        answers: (n, heads) int64; `NO_NODE` is not asked.
    """
    losses, right = [], torch.zeros(2, device=answers.device)
    for logits, wanted in zip(said, answers.unbind(1), strict=True):
        asked = wanted != NO_NODE
        total = functional.cross_entropy(logits, wanted, ignore_index=NO_NODE, reduction="sum")
        losses.append(total / asked.sum().clamp_min(1))
        hits = (logits.detach().argmax(1) == wanted) & asked
        right += torch.stack([hits.sum(), asked.sum()])
    return torch.stack(losses).mean(), right


def number_loss(said: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Return the smooth L1 loss of numbers (n, f); NaN is not asked."""
    asked = ~answers.isnan()
    apart = functional.smooth_l1_loss(said, answers.nan_to_num(), reduction="none")
    return (apart * asked).sum() / asked.sum().clamp_min(1)


def _normal(planes: NDArray[np.float32], axes: tuple[int, ...]) -> NDArray[np.float32]:
    """Subtract the mean over axes and divide by the deviation; NaN counts in neither and stays."""
    known = ~np.isnan(planes)
    count = np.maximum(known.sum(axes, keepdims=True), 1)
    mean = np.where(known, planes, 0).sum(axes, keepdims=True, dtype=np.float64) / count
    apart = planes - mean
    square = np.where(known, apart**2, 0).sum(axes, keepdims=True) / count
    return np.asarray(apart / np.sqrt(square + FLOOR**2), dtype=np.float32)
