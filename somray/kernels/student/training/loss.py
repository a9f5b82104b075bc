"""What the student minimises: cross-entropy, pixel by pixel, plus soft Dice over the whole batch."""

import torch
from torch import nn

__all__ = ["student_loss"]


def student_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return weighted cross-entropy plus soft Dice loss; pixels of weight 0 do not exist.

    Args:
        logits: of any shape.
        target: in [0, 1], same shape.
        weight: how much a pixel counts, same shape.

    Source of the sum: Isensee et al., "nnU-Net", 2021; of soft Dice: Milletari et al., 2016.
    """
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    chance = torch.sigmoid(logits) * weight
    wanted = target * weight
    overlap = (chance * target).sum()
    dice = (2 * overlap + 1) / (chance.sum() + wanted.sum() + 1)
    return (entropy * weight).sum() / weight.sum().clamp_min(1e-6) + 1 - dice
