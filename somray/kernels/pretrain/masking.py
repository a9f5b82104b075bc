"""What is hidden from a network: blocks of a patch, drawn by a seed, in whose place stands a learned value.

The value is one a plane, learned with everything else: noise of the image's range looks like an image, and what a
U-Net must tell is first of all where nothing is to be seen. Inputs are replaced before the network and before its
sides are filled up, so that nothing of what is hidden reaches it. Positions are whole blocks from a patch's corner,
which is how a transformer cuts its tokens.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from somray.errors import ShapeError
from somray.kernels.pretrain.networks.backbone import Backbone

__all__ = ["MaskedReader", "block_mask"]


def block_mask(
    sizes: Sequence[int], block: int, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw which pixels ([z,] y, x) are hidden.

    Args:
        sizes: of the patch.
        block: side of a block; those at the far edges may be cut.
        share: of the blocks; at least one is hidden and one is seen.
        rng: decides which.

    Raises:
        ShapeError: no share between 0 and 1, or a single block.
    """
    grid = [-(-size // block) for size in sizes]
    count = int(np.prod(grid))
    if not 0 < share < 1 or count < 2:
        raise ShapeError(
            f"a share between 0 and 1 of two blocks or more can be masked, got {share} of {grid}"
        )
    hidden = np.zeros(count, dtype=bool)
    hidden[rng.permutation(count)[: min(count - 1, max(1, round(share * count)))]] = True
    found = hidden.reshape(grid)
    for axis in range(len(grid)):
        found = np.repeat(found, block, axis)
    return np.ascontiguousarray(found[tuple(map(slice, sizes))])


class MaskedReader(nn.Module):
    """A backbone that is asked under masks.

    Args:
        backbone: what is pretrained.
        heads: how many numbers each of its linear heads says of a pixel.
        seed: of the heads' weights.
    """

    def __init__(self, backbone: Backbone, heads: Sequence[int], seed: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.token = nn.Parameter(torch.zeros(backbone.shape.inputs))
        self.heads = nn.ModuleList(nn.Linear(backbone.planes, count) for count in heads)
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in self.heads.named_parameters():
                if name.endswith("bias"):
                    weight.zero_()
                else:
                    spread = backbone.planes**-0.5
                    weight.copy_(torch.randn(weight.shape, generator=draw) * spread)

    def forward(
        self, inputs: torch.Tensor, masked: torch.Tensor, places: torch.Tensor
    ) -> list[torch.Tensor]:
        """Say what lies at some places.

        Args:
            inputs: (b, d, [z,] y, x) float32.
            masked: (b, [z,] y, x) bool, what is hidden.
            places: (n,) int64 of pixels, counted over the whole batch.

        Returns:
            (n, m) for each head.
        """
        token = self.token.view(1, -1, *itertools.repeat(1, inputs.ndim - 2))
        covered = torch.where(masked[:, None], token.to(inputs), inputs)
        planes = self.backbone(covered).movedim(1, -1)
        told = planes.reshape(-1, planes.shape[-1]).index_select(0, places)
        return [head(told) for head in self.heads]
