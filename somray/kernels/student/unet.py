"""The student's network: a compact U-Net, whole in this file.

It eats a stack of per-pixel inputs (`kernels/student/inputs.py`), batch first: (b, d, y, x). NaN means
no data. The standardisation of the inputs is part of the network, so its weights are all there is
to keep. The logit of a pixel is the sum of two parts:

    * the *prototypes*: nearness to the target's prototypes against nearness to the others'. A
      teacher's classes are unions of its codebook's Voronoi cells, which is this form, softened; it
      carries over to neighbouring slices better than free linear scores (benchmarks/LOG.md);
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
LEAST_EXPONENT = -30.0
"""Less adds nothing to a sum of at least 1 in float32, but makes subnormals, which CPUs are slow at."""


class Prototypes(nn.Module):
    """Scores of learned prototypes: one logit per pixel, target against the rest.

    A pixel x scores sharpness · (x' · p - |p|² / 2) with prototype p, where x' is x with every input
    times its own factor: the nearer the higher, in a distance whose weights are learned too. Factors
    and sharpness are kept as logarithms.

    Args:
        inputs: planes d.
        target: number of prototypes of the target, first in `nodes`.
        rest: number of prototypes of everything else.

    Source: Hammer and Villmann, "Generalized relevance learning vector quantization", 2002, with
    log-sum-exp in place of the nearest.
    """

    def __init__(self, inputs: int, target: int, rest: int) -> None:
        super().__init__()
        self.target, self.rest = target, rest
        self.nodes = nn.Parameter(torch.zeros(target + rest, inputs))
        self.factors = nn.Parameter(torch.zeros(inputs))
        self.sharpness = nn.Parameter(torch.zeros(()))

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        """Return logits (..., 1) of standardised inputs (..., d)."""
        sharpness = self.sharpness.exp()
        weight = sharpness * self.factors.exp() * self.nodes
        offset = -0.5 * sharpness * (self.nodes * self.nodes).sum(dim=1)
        # One row per prototype: reductions over rows are several times faster than over columns.
        pixels = plane.reshape(-1, plane.shape[-1]).T
        # Nearness is a small difference of large numbers: bfloat16 would move logits by tenths.
        with torch.autocast(plane.device.type, enabled=False):
            scores = torch.addmm(offset[:, None], weight, pixels)
        target, rest = torch.split(scores, [self.target, self.rest])
        logits = _log_sum_exp(target) - _log_sum_exp(rest)
        return logits.reshape(*plane.shape[:-1], 1)


def _log_sum_exp(rows: torch.Tensor) -> torch.Tensor:
    """Return log(sum(exp(rows))) down the columns; the largest is taken out first."""
    largest = rows.detach().amax(dim=0)
    return (rows - largest).clamp_min(LEAST_EXPONENT).exp().sum(dim=0).log() + largest


class UNet(nn.Module):
    """Prototypes plus a U-Net of `levels` halvings; one logit per pixel.

    Args:
        inputs: planes d of the input stack.
        width: planes of the U-Net at full resolution; each halving adds half as many.
        levels: number of halvings, at least 1.
        prototypes: prototypes of the target, and of the rest.

    Attributes:
        multiple: slices are padded to a multiple of this (2 ** levels) and cropped again.
        halo: pixels round a tile that its inner pixels can see, rounded up to `multiple`.
    """

    center: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, inputs: int, width: int = 16, levels: int = 3, prototypes: tuple[int, int] = (12, 24)
    ) -> None:
        super().__init__()
        if min(inputs, width, levels, *prototypes) < 1:
            raise ShapeError(
                "inputs, width, levels and prototypes must be positive, got "
                f"{inputs}, {width}, {levels}, {prototypes}"
            )
        widths = [width + level * (width // 2) for level in range(levels + 1)]
        self.multiple = 2**levels
        self.halo = 4 * self.multiple
        self.register_buffer("center", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.prototypes = Prototypes(inputs, *prototypes)
        self.stem = nn.Sequential(
            nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.down = nn.ModuleList(Down(widths[n], widths[n + 1]) for n in range(levels))
        self.up = nn.ModuleList(
            Up(widths[n + 1], widths[n], 3 if n else 1) for n in reversed(range(levels))
        )
        self.head = nn.Linear(width, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def standardised(self, stack: torch.Tensor) -> torch.Tensor:
        """Return (stack - center) / scale, clipped, 0 where there is no data, planes last."""
        plane = (stack.permute(0, 2, 3, 1) - self.center) / self.scale
        return torch.nan_to_num(plane, nan=0.0).clamp(-CLAMP_STD, CLAMP_STD).contiguous()

    def pointwise(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the prototypes' part of the logits (b, y, x), which knows no neighbours."""
        logits: torch.Tensor = self.prototypes(self.standardised(stack))[..., 0]
        return logits

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        """Return logits (b, y, x) of a stack (b, d, y, x) of any size."""
        rows, columns = stack.shape[-2:]
        extra = (0, -columns % self.multiple, 0, -rows % self.multiple)
        plane = self.standardised(nn.functional.pad(stack, extra, mode="replicate"))
        # Nearness to prototypes is a small difference of large sums: never in half precision.
        with torch.autocast(plane.device.type, enabled=False):
            logits: torch.Tensor = self.prototypes(plane)
        plane = self.stem(plane)
        skips = []
        for down in self.down:
            skips.append(plane)
            plane = down(plane)
        for up in self.up:
            plane = up(plane, skips.pop())
        context: torch.Tensor = self.head(plane)
        return (logits + context)[:, :rows, :columns, 0]


class Down(nn.Module):
    """Halve y and x, then one 3×3 layer; planes are last: (b, y, x, c)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.halve = nn.Linear(4 * inputs, outputs)
        self.mix = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        """Return (b, y / 2, x / 2, outputs)."""
        b, y, x, c = plane.shape
        blocks = plane.view(b, y // 2, 2, x // 2, 2 * c).transpose(2, 3)
        half = nn.functional.relu(self.halve(blocks.reshape(b, y // 2, x // 2, 4 * c)))
        return nn.functional.relu(_planes_last(self.mix, half))


class Up(nn.Module):
    """Double y and x, add the skipped planes, then (but at full resolution) one 3×3 layer.

    Both sides are mixed before they meet, the coarse one while it is still small.
    """

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.coarse = nn.Linear(inputs, outputs)
        self.fine = nn.Linear(outputs, outputs)
        self.mix = nn.Conv2d(outputs, outputs, size, padding=size // 2) if size > 1 else None

    def forward(self, plane: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Return planes (b, 2y, 2x, outputs), the skipped ones' size."""
        b, y, x, _ = plane.shape
        # Broadcast rather than interpolated: its gradient is deterministic on every device. One axis
        # after the other: torch sums a gradient over two axes at once many times slower.
        twice = self.coarse(plane)[:, :, :, None].expand(b, y, x, 2, -1)
        joined = self.fine(skip).view(b, y, 2, x, 2, -1) + twice[:, :, None].expand(
            b, y, 2, x, 2, -1
        )
        wide = nn.functional.relu(joined).view(b, 2 * y, 2 * x, -1)
        return wide if self.mix is None else nn.functional.relu(_planes_last(self.mix, wide))


def _planes_last(layer: nn.Conv2d, plane: torch.Tensor) -> torch.Tensor:
    """Convolve planes-last data; to torch this is the layout channels_last."""
    return layer(plane.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()  # type: ignore[no-any-return]


def new_unet(network: Mapping[str, int | float | str], seed: int) -> UNet:
    """Build a network with seeded initial weights; torch's global generator is left as it was.

    Args:
        network: `inputs`, `width`, `levels`, `prototypes_target`, `prototypes_rest`; others are
            not looked at.
        seed: decides the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(
            int(network["inputs"]),
            int(network["width"]),
            int(network["levels"]),
            (int(network["prototypes_target"]), int(network["prototypes_rest"])),
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
