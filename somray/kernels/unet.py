"""The student's network: a compact U-Net, whole in this file.

It eats a stack of per-pixel inputs (`kernels/student_inputs.py`), batch first: (b, d, y, x). NaN means
no data. The standardisation of the inputs is part of the network, so its weights are all there is
to keep. The logit of a pixel is the sum of two parts:

    * the *prototypes*: log-sum-exp of linear scores of the target's prototypes minus that of the
      others'. A codebook's classes are unions of Voronoi cells, which is this form exactly; on small
      slices it carries over to neighbours better than a multilayer perceptron (bench_student);
    * the *U-Net*: context, which is what sees through noise. It starts at zero.

Full resolution is left to 1×1 convolutions, because the features already carry each pixel's
neighbourhood and full-resolution 3×3 layers cost most of a U-Net's time. No layer normalises over the
batch or the image: a logit depends on its receptive field alone, so tiles equal whole slices.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from somray.errors import ShapeError

__all__ = ["UNet", "build_unet", "new_unet", "unet_weights"]

CLAMP_STD = 8.0
"""Standardised inputs are clipped here: metal and values never seen must not drive the logits."""


class Prototypes(nn.Module):
    """Scores of learned prototypes: one logit per pixel, target against the rest.

    Args:
        inputs: planes d.
        target: number of prototypes of the target.
        rest: number of prototypes of everything else.
    """

    def __init__(self, inputs: int, target: int, rest: int) -> None:
        super().__init__()
        self.target = target
        self.scores = nn.Conv2d(inputs, target + rest, 1)

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        """Return logits (b, 1, y, x) of standardised inputs (b, d, y, x)."""
        scores = self.scores(plane)
        inside = scores[:, : self.target].logsumexp(dim=1, keepdim=True)
        outside = scores[:, self.target :].logsumexp(dim=1, keepdim=True)
        logits: torch.Tensor = inside - outside
        return logits


class UNet(nn.Module):
    """Prototypes plus a U-Net of `levels` halvings; one logit per pixel.

    Args:
        inputs: planes d of the input stack.
        width: planes of the U-Net at full resolution; each halving adds half as many.
        levels: number of halvings, at least 1.
        prototypes: prototypes of the target; the rest gets twice as many.

    Attributes:
        multiple: slices are padded to a multiple of this (2 ** levels) and cropped again.
        halo: pixels round a tile that its inner pixels can see, rounded up to `multiple`.
    """

    center: torch.Tensor
    scale: torch.Tensor

    def __init__(self, inputs: int, width: int = 16, levels: int = 3, prototypes: int = 12) -> None:
        super().__init__()
        if min(inputs, width, levels, prototypes) < 1:
            raise ShapeError(
                "inputs, width, levels and prototypes must be positive, got "
                f"{inputs}, {width}, {levels}, {prototypes}"
            )
        widths = [width + level * (width // 2) for level in range(levels + 1)]
        self.multiple = 2**levels
        self.halo = 4 * self.multiple
        self.register_buffer("center", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.prototypes = Prototypes(inputs, prototypes, 2 * prototypes)
        self.stem = nn.Sequential(
            nn.Conv2d(inputs, widths[0], 1),
            nn.ReLU(),
            nn.Conv2d(widths[0], widths[0], 1),
            nn.ReLU(),
        )
        self.down = nn.ModuleList(
            _down_block(widths[level], widths[level + 1]) for level in range(levels)
        )
        self.up = nn.ModuleList(
            _up_block(widths[level + 1] + widths[level], widths[level], 3 if level else 1)
            for level in reversed(range(levels))
        )
        self.head = nn.Conv2d(widths[0], 1, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def standardised(self, stack: torch.Tensor) -> torch.Tensor:
        """Return (stack - center) / scale, clipped, 0 where there is no data."""
        plane = (stack - self.center[:, None, None]) / self.scale[:, None, None]
        return torch.nan_to_num(plane, nan=0.0).clamp(-CLAMP_STD, CLAMP_STD)

    def pointwise(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the prototypes' part of the logits (b, y, x), which knows no neighbours."""
        logits: torch.Tensor = self.prototypes(self.standardised(stack))[:, 0]
        return logits

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        """Return logits (b, y, x) of a stack (b, d, y, x) of any size."""
        rows, columns = stack.shape[-2:]
        plane = self.standardised(stack)
        extra = (0, -columns % self.multiple, 0, -rows % self.multiple)
        plane = nn.functional.pad(plane, extra, mode="replicate")
        logits: torch.Tensor = self.prototypes(plane)
        plane = self.stem(plane)
        skips = []
        for down in self.down:
            skips.append(plane)
            plane = down(plane)
        for up in self.up:
            plane = up(torch.cat([_doubled(plane), skips.pop()], dim=1))
        logits = (logits + self.head(plane))[:, 0, :rows, :columns]
        return logits


def _down_block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 2, stride=2),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )


def _up_block(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, padding=size // 2), nn.ReLU())


def _doubled(plane: torch.Tensor) -> torch.Tensor:
    """Repeat every pixel twice along y and x; written out since its gradient is deterministic."""
    b, c, y, x = plane.shape
    twice = plane[:, :, :, None, :, None].expand(b, c, y, 2, x, 2)
    return twice.reshape(b, c, 2 * y, 2 * x)


def new_unet(network: Mapping[str, int | float | str], seed: int) -> UNet:
    """Build a network with seeded initial weights; torch's global generator is left as it was.

    Args:
        network: `inputs`, `width`, `levels`, `prototypes`; other keys are not looked at.
        seed: decides the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(
            int(network["inputs"]),
            int(network["width"]),
            int(network["levels"]),
            int(network["prototypes"]),
        )


def build_unet(
    network: Mapping[str, int | float | str], weights: Mapping[str, NDArray[np.generic]]
) -> UNet:
    """Build a network and fill it with kept weights, ready to predict.

    Raises:
        ShapeError: if the weights are not those of this network.
    """
    module = new_unet(network, 0)
    state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ShapeError(f"the weights do not fit the network {dict(network)}: {error}") from error
    module.eval()
    return module


def unet_weights(module: nn.Module) -> dict[str, NDArray[np.generic]]:
    """Copy a network's parameters and buffers to numpy, by name."""
    return {
        name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()
    }
