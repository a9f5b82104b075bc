"""Which vote the masks were made with, where nobody tells: the radius that gives the labelled slices best.

Teachers of PET/CT vote over a disc. A student that learns from masks alone tries radii once its prototypes
are learned; no radius is taken unless it gains more than `GAIN`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from somray.kernels.metrics import agreement
from somray.kernels.student.prototypes import Prototypes, Vote
from somray.kernels.student.unet import UNet

__all__ = ["choose_vote"]

PIXELS = 2, 3, 4, 5, 6, 8
"""Radii tried, in pixels."""
GAIN = 0.002
"""Dice that a vote must gain."""


def choose_vote(
    module: UNet,
    stacks: Sequence[NDArray[np.float32]],
    targets: Sequence[NDArray[np.bool_]],
    known: Sequence[NDArray[np.bool_]],
    spacing_mm: tuple[float, float],
) -> Vote:
    """Choose a vote for learned prototypes.

    Args:
        module: the network with learned prototypes, on the CPU.
        stacks: per slice (inputs, y, x) of the quiet slice.
        targets: per slice (y, x) bool.
        known: per slice (y, x) bool, pixels that count.
        spacing_mm: (y, x) distance of pixel centres.

    Returns:
        The vote, of radius 0 where none gains.
    """
    step = max(spacing_mm)
    votes = [Vote(0.0, spacing_mm), *(Vote(n * step, spacing_mm) for n in PIXELS)]
    figures = []
    with torch.no_grad():
        planes = [module.standardised(torch.from_numpy(stack)[None]) for stack in stacks]
        for vote in votes:
            layer = _voting(module.prototypes, vote)
            said = [
                layer.margin(layer(plane, torch.from_numpy(here)[None]))[0].numpy() >= 0
                for plane, here in zip(planes, known, strict=True)
            ]
            dice = [
                agreement(mask[here], target[here])["dice"] or 0.0
                for mask, target, here in zip(said, targets, known, strict=True)
            ]
            figures.append(float(np.mean(dice)))
    best = int(np.argmax(figures))
    return votes[best] if figures[best] > figures[0] + GAIN else votes[0]


def _voting(layer: Prototypes, vote: Vote) -> Prototypes:
    """Return the same prototypes with another vote."""
    other = Prototypes(layer.nodes.shape[1], layer.counts, layer.target, vote, soft=layer.soft)
    other.load_state_dict(layer.state_dict())
    return other
