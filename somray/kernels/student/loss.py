"""What the student minimises: cross-entropy, pixel by pixel, plus soft Dice over the whole batch.

Behind noise it also learns what the features of the clean slice are.
"""

import torch
from torch import nn

__all__ = ["classes_loss", "features_loss", "student_loss"]


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
    return _mean(entropy, weight) + 1 - dice


def classes_loss(
    evidence: torch.Tensor, classes: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Return the weighted cross-entropy of several classes at once.

    Args:
        evidence: (k, b, y, x) logits of the classes.
        classes: (b, y, x) int64 places of the right ones, below 0 where none is known.
        weight: (b, y, x).
    """
    known = classes >= 0
    entropy = nn.functional.cross_entropy(
        evidence.movedim(0, 1), classes.clamp_min(0), reduction="none"
    )
    return _mean(entropy, weight * known)


def features_loss(
    found: torch.Tensor,
    clean: torch.Tensor,
    noisy: torch.Tensor,
    factors: torch.Tensor,
    weight: torch.Tensor,
) -> torch.Tensor:
    """Return the share of what noise did to features that is left, patch by patch.

    A share, so that light noise is learned as eagerly as heavy noise.

    Args:
        found: (b, y, x, d) standardised features.
        clean: the clean slice's.
        noisy: the noisy slice's as it is.
        factors: (d,) of each feature in the metric that prototypes judge by.
        weight: (b, y, x).
    """
    left, done = (
        ((((plane - clean) * factors) ** 2).sum(dim=-1) * weight).sum(dim=(1, 2))
        for plane in (found, noisy)
    )
    return (left / done.clamp_min(1e-6)).mean()


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)
