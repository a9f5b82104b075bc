"""The student's network: prototypes that judge features, and a compact U-Net that sees through noise.

It eats a stack of per-pixel inputs (`kernels/student/inputs.py`), batch first: (b, d, y, x). NaN means
no data. The standardisation of the inputs is part of the network, so its weights are all there is
to keep.

    quiet slice   features -> prototypes -> logit
    noisy slice   U-Net: at every pixel, how much to believe the slice as it is and each smoothing of it,
                  and what features to add -> the features behind the noise -> prototypes -> logit
    raw student   channels -> prototypes + U-Net -> logit

How far the U-Net is heard rises from nothing with the slice's excess of noise. So a student loses nothing
on slices like the one it learned from, and what it learned of that slice's shapes cannot mislead it on
another's. Its correction is in features, not in the logit: features tell every pixel of a slice what is
right, a mask only those at borders (benchmarks/LOG.md).

Full resolution is left to 1×1 convolutions, because the features already carry each pixel's
neighbourhood and full-resolution 3×3 layers cost most of a U-Net's time. No layer normalises over the
batch or the image: a logit depends on its receptive field alone, so tiles equal whole slices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from somray.errors import ShapeError
from somray.kernels.student.noise_view import QUIET, SMOOTHINGS
from somray.kernels.student.prototypes import Prototypes, Vote

__all__ = ["NetworkShape", "UNet", "build_unet", "new_unet", "share_heard", "unet_weights"]

CLAMP_STD = 30.0
"""Standardised inputs are clipped here: metal and values never seen must not drive the logits."""
CONTEXT_STD = 6.0
"""And here for the U-Net, whose layers are linear in them."""
STEEPNESS = 12.0
"""How fast the U-Net is heard beyond `QUIET`: nine tenths after a fifth of an octave
(bench_student_noise)."""

Network = Mapping[str, int | float | str]


@dataclass(frozen=True)
class NetworkShape:
    """What decides the layers; a student's `network` holds the same as plain numbers and text.

    Args:
        inputs: planes that the prototypes judge.
        channels: of the image.
        beside: planes of neighbouring slices.
        width: planes of the U-Net at full resolution; each halving adds half as many.
        levels: number of halvings, at least 1.
        counts: prototypes of each class.
        target: place of the target among the classes.
        soft: whether a class scores by all its prototypes together.
        raw: whether inputs are channels, not features.
        vote: of the class map.
    """

    inputs: int
    channels: int = 1
    beside: int = 0
    width: int = 16
    levels: int = 2
    counts: tuple[int, ...] = (2, 24)
    target: int = 0
    soft: bool = True
    raw: bool = False
    vote: Vote = field(default_factory=Vote)

    def __post_init__(self) -> None:
        """Refuse numbers that make no network."""
        if min(self.inputs, self.channels, self.width, self.levels, *self.counts) < 1:
            raise ShapeError(f"a network's numbers must be positive, got {self}")
        if len(self.counts) < 2 or not 0 <= self.target < len(self.counts):
            raise ShapeError(f"a network needs a target and another class, got {self}")

    @classmethod
    def of(cls, network: Network) -> "NetworkShape":
        """Read the numbers that are kept with a student."""
        vote = Vote(
            float(network["vote_mm"]),
            (float(network["vote_spacing_y_mm"]), float(network["vote_spacing_x_mm"])),
        )
        return cls(
            inputs=int(network["inputs"]),
            channels=int(network["channels"]),
            beside=int(network["beside"]),
            width=int(network["width"]),
            levels=int(network["levels"]),
            counts=tuple(int(count) for count in str(network["prototypes"]).split(",")),
            target=int(network["target"]),
            soft=bool(network["soft"]),
            raw=bool(network["raw"]),
            vote=vote,
        )

    def as_numbers(self) -> dict[str, int | float | str]:
        """Return what `of` reads."""
        return {
            "inputs": self.inputs,
            "channels": self.channels,
            "beside": self.beside,
            "width": self.width,
            "levels": self.levels,
            "prototypes": ",".join(map(str, self.counts)),
            "target": self.target,
            "soft": int(self.soft),
            "raw": int(self.raw),
            "vote_mm": self.vote.radius_mm,
            "vote_spacing_y_mm": self.vote.spacing_mm[0],
            "vote_spacing_x_mm": self.vote.spacing_mm[1],
        }

    @property
    def views(self) -> int:
        """Ways in which a noisy slice is seen."""
        return 1 if self.raw else 1 + len(SMOOTHINGS)

    @property
    def planes(self) -> int:
        """Planes of a noisy slice's stack."""
        return self.views * self.inputs + (0 if self.raw else self.channels) + self.beside


class UNet(nn.Module):
    """Prototypes and a U-Net of `levels` halvings; one logit per pixel.

    Args:
        shape: what decides the layers.

    Attributes:
        multiple: slices are padded to a multiple of this (2 ** levels) and cropped again.
        halo: pixels round a tile that its inner pixels can see, rounded up to `multiple`.
        noise: (c, 6) noise of the labelled slice, for `Look`.
    """

    center: torch.Tensor
    scale: torch.Tensor
    noise: torch.Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        width, levels = shape.width, shape.levels
        widths = [width + level * (width // 2) for level in range(levels + 1)]
        self.shape = shape
        self.multiple = 2**levels
        votes = -(-max(shape.vote.reach) // self.multiple) * self.multiple
        self.halo = 4 * self.multiple + votes
        self.register_buffer("center", torch.zeros(shape.inputs))
        self.register_buffer("scale", torch.ones(shape.inputs))
        self.register_buffer("noise", torch.ones(shape.channels, 6, dtype=torch.float64))
        self.prototypes = Prototypes(
            shape.inputs, shape.counts, shape.target, shape.vote, soft=shape.soft
        )
        self.stem = nn.Sequential(
            nn.Linear(shape.planes, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.down = nn.ModuleList(Down(widths[n], widths[n + 1]) for n in range(levels))
        self.up = nn.ModuleList(
            Up(widths[n + 1], widths[n], 3 if n else 1) for n in reversed(range(levels))
        )
        self.head = nn.Linear(width, 1 if shape.raw else shape.views + shape.inputs)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def standardised(self, stack: torch.Tensor) -> torch.Tensor:
        """Return (stack - center) / scale of one view (b, d, y, x), clipped, 0 without data, planes last."""
        plane = (stack.permute(0, 2, 3, 1) - self.center) / self.scale
        return torch.nan_to_num(plane, nan=0.0).clamp(-CLAMP_STD, CLAMP_STD).contiguous()

    def pointwise(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the prototypes' evidence (k, b, y, x) of pixels, which know no neighbours."""
        return self.prototypes.pointwise(self.standardised(stack[:, : self.shape.inputs]))

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        """Return logits (b, y, x) of a stack (b, d, y, x) of any size, quiet or noisy."""
        return self.prototypes.margin(self.judged(stack)[0])

    def judged(
        self, stack: torch.Tensor, *, learning: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return evidence (k, b, y, x) and the standardised features (b, y, x, inputs) behind it."""
        known = ~torch.isnan(stack[:, 0])
        if not self.shape.raw and stack.shape[1] > self.shape.inputs:
            plane = self._behind_noise(stack)
        else:
            plane = self.standardised(stack[:, : self.shape.inputs])
        # Nearness to prototypes is a small difference of large sums: never in half precision.
        with torch.autocast(plane.device.type, enabled=False):
            evidence: torch.Tensor = self.prototypes(plane, known, learning=learning)
        if self.shape.raw:
            context = self._context(stack)[..., 0].float()
            target = torch.arange(len(evidence), device=plane.device) == self.shape.target
            evidence = evidence + target[:, None, None, None] * context
        return evidence, plane

    def _behind_noise(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the features (b, y, x, inputs) that the U-Net sees behind a noisy slice."""
        count, views = self.shape.inputs, self.shape.views
        found = self._context(stack).float()
        first = views * count
        excess = stack[:, first : first + self.shape.channels].nan_to_num(nan=0.0).amax(dim=1)
        heard = share_heard(excess)[..., None]
        belief = torch.softmax(found[..., :views], dim=-1) * heard
        plane = found[..., views:] * heard + self.standardised(stack[:, :count]) * (1 - heard)
        for view in range(views):
            seen = self.standardised(stack[:, view * count : (view + 1) * count])
            plane = plane + belief[..., view : view + 1] * seen
        return plane

    def _context(self, stack: torch.Tensor) -> torch.Tensor:
        """Return what the U-Net says of every pixel: (b, y, x, outputs)."""
        rows, columns = stack.shape[-2:]
        extra = (0, -columns % self.multiple, 0, -rows % self.multiple)
        wide = nn.functional.pad(stack, extra, mode="replicate") if any(extra) else stack
        plane = self.stem(self._seen(wide))
        skips = []
        for down in self.down:
            skips.append(plane)
            plane = down(plane)
        for up in self.up:
            plane = up(plane, skips.pop())
        said: torch.Tensor = self.head(plane)
        return said[:, :rows, :columns]

    def _seen(self, stack: torch.Tensor) -> torch.Tensor:
        """Standardise every view and join what else there is, planes last."""
        first = self.shape.views * self.shape.inputs
        views, columns = stack[:, :first], self.shape.views
        center, scale = self.center.repeat(columns), self.scale.repeat(columns)
        plane = (views.permute(0, 2, 3, 1) - center) / scale
        plane = plane.clamp(-CONTEXT_STD, CONTEXT_STD)
        if stack.shape[1] > first:
            plane = torch.cat([plane, stack[:, first:].permute(0, 2, 3, 1)], dim=-1)
        return torch.nan_to_num(plane, nan=0.0)


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


def share_heard(excess: torch.Tensor) -> torch.Tensor:
    """Return how far the U-Net is heard, in [0, 1], at an excess of noise in octaves."""
    return 1 - torch.exp(-STEEPNESS * (excess - QUIET).clamp_min(0.0))


def _planes_last(layer: nn.Conv2d, plane: torch.Tensor) -> torch.Tensor:
    """Convolve planes-last data; to torch this is the layout channels_last."""
    return layer(plane.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()  # type: ignore[no-any-return]


def new_unet(network: Network, seed: int) -> UNet:
    """Build a network with seeded initial weights; torch's global generator is left as it was.

    Args:
        network: numbers of a `NetworkShape`; others are not looked at.
        seed: decides the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(NetworkShape.of(network))


def build_unet(network: Network, weights: Mapping[str, NDArray[np.generic]]) -> UNet:
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
