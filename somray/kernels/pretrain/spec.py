"""What a pretraining is asked: which network, what for, how long."""

from dataclasses import dataclass
from typing import Literal

from somray.kernels.student.views import ImageViews, Window

__all__ = ["ENCODERS", "TARGETS", "Encoder", "PretrainSpec", "Size", "Target"]

Encoder = Literal["unet", "vit", "resenc"]
Size = Literal["small", "middle", "large"]
Target = Literal["nodes", "features", "pixels", "kmeans", "nodes2", "shuffled"]

ENCODERS: tuple[Encoder, ...] = ("unet", "vit", "resenc")
"""The student's own U-Net; a vision transformer; a residual encoder U-Net with nnU-Net's stages."""
TARGETS: tuple[Target, ...] = ("nodes", "features", "pixels", "kmeans", "nodes2", "shuffled")
"""Nodes of the map; its features; masked pixels; clusters of grey values; clusters of the encoder's own features
after a first training on nodes; nodes whose numbers mean something else in every patch."""


@dataclass(frozen=True)
class PretrainSpec:
    """What to pretrain.

    Args:
        encoder: kind of network.
        size: of it; the student's U-Net has one size.
        dimensions: 2 for slices, 3 for volumes.
        channels: names of the image channels.
        kinds: what each measures (`domain.channel`).
        windows: per channel (low, high) in the image's values; pieces have their own.
        target: what the network is asked for under the masks.
        classes: nodes of each codebook.
        features: number of features.
        steps: optimizer steps, of each iteration where there are two.
        batch: patches in a step, over all workers.
        patch: side of a patch in pixels.
        masked: share of a patch that is masked.
        block: side of a masked block in pixels.
        spacing_mm: (y, x) distance of pixel centres; of volumes, the block size twice.
        threads: CPU threads; part of what fixes the bits.
        seed: decides initial weights, masks and every draw.
    """

    encoder: Encoder
    size: Size
    dimensions: int
    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    windows: tuple[Window, ...]
    target: Target
    classes: tuple[int, ...]
    features: int
    steps: int
    batch: int = 4
    patch: int = 32
    masked: float = 0.6
    block: int = 4
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    threads: int = 1
    seed: int = 0

    def views(self, windows: tuple[Window, ...] | None = None) -> ImageViews:
        """Return how images are seen; `windows` where a piece has its own."""
        return ImageViews(self.kinds, windows or self.windows)
