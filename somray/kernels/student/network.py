"""The student's network: a compact U-Net on image values alone, in two dimensions or three.

Nothing of the teacher is in it. Planes are few at full resolution, where most of the time goes, and grow with
each halving; what comes back up is added to what went down, so that no plane is copied. Batch normalisation
makes few steps enough, and is folded into the convolutions once training is over: a logit then depends on its
receptive field alone, so tiles equal whole images.

Source: Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", 2015; sums for
concatenations as in Chaurasia and Culurciello, "LinkNet", 2017.
"""

import copy
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from somray.errors import ShapeError
from somray.kernels.student.shape import Network, NetworkShape

__all__ = [
    "UNet",
    "UNetPlanes",
    "build_unet",
    "cut_back",
    "drawn",
    "fill_up",
    "folded",
    "laid_out",
    "new_unet",
    "started",
    "unet_weights",
]


class _Layer(nn.Sequential):
    """A 3×3(×3) convolution, its normalisation, and what is above nothing."""

    def __init__(self, dimensions: int, inputs: int, outputs: int) -> None:
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if dimensions == 2 else (nn.Conv3d, nn.BatchNorm3d)
        super().__init__(
            conv(inputs, outputs, 3, padding=1, bias=False), norm(outputs), nn.ReLU(inplace=True)
        )


def _layers(dimensions: int, inputs: int, outputs: int, count: int) -> nn.Sequential:
    sizes = [inputs, *[outputs] * count]
    pairs = itertools.pairwise(sizes)
    return nn.Sequential(*(_Layer(dimensions, one, two) for one, two in pairs))


class UNetPlanes(nn.Module):
    """The network without its last layer: (b, inputs, [z,] y, x) float32 to planes (b, planes, [z,] y, x).

    Args:
        shape: what decides the layers.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.planes = shape.widths[0]
        dims, widths = shape.dimensions, shape.widths
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        self.down = nn.ModuleList([_layers(dims, shape.inputs, widths[0], shape.first)])
        self.narrow, self.up = nn.ModuleList(), nn.ModuleList()
        for fine, coarse in itertools.pairwise(widths):
            self.down.append(_layers(dims, fine, coarse, shape.per))
            self.narrow.append(conv(coarse, fine, 1))
            self.up.append(_layers(dims, fine, fine, shape.upper))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the planes; sides that are no multiple are filled up by their last plane."""
        return cut_back(self._run(fill_up(inputs, self.shape.multiple)), inputs.shape[2:])

    def _run(self, plane: torch.Tensor) -> torch.Tensor:
        pool = functional.max_pool2d if self.shape.dimensions == 2 else functional.max_pool3d
        seen = []
        for level, layers in enumerate(self.down):
            plane = layers(plane if level == 0 else pool(plane, 2))
            seen.append(plane)
        for level in reversed(range(len(self.up))):
            coarse = functional.interpolate(
                self.narrow[level](plane), scale_factor=2.0, mode="nearest"
            )
            plane = self.up[level](coarse.add_(seen[level]))
        return plane


class UNet(UNetPlanes):
    """The network: (b, inputs, [z,] y, x) float32 to logits (b, [z,] y, x).

    Args:
        shape: what decides the layers.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__(shape)
        conv = nn.Conv2d if shape.dimensions == 2 else nn.Conv3d
        self.out = conv(shape.widths[0], 1, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits; sides that are no multiple are filled up by their last plane."""
        sizes = inputs.shape[2:]
        filled = [-size % self.shape.multiple for size in sizes]
        plane = inputs
        if any(filled):
            edges = [side for more in reversed(filled) for side in (0, more)]
            plane = functional.pad(inputs, edges, mode="replicate")
        logits: torch.Tensor = self.out(self._run(plane))[:, 0]
        if any(filled):
            logits = logits[(slice(None), *(slice(0, size) for size in sizes))]
        return logits


def fill_up(inputs: torch.Tensor, multiple: int, least: int = 0) -> torch.Tensor:
    """Fill sides (b, d, [z,] y, x) up to a multiple, and to the least, by their last plane.

    By copies, since the gradient of torch's own replication has no deterministic form on a GPU.
    """
    for axis in range(2, inputs.ndim):
        size = inputs.shape[axis]
        more = max(size + -size % multiple, least) - size
        if more:
            last = inputs.narrow(axis, size - 1, 1)
            sizes = [more if n == axis else -1 for n in range(inputs.ndim)]
            inputs = torch.cat([inputs, last.expand(sizes)], axis)
    return inputs


def cut_back(planes: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Cut planes (b, p, [z,] y, x) that were filled up to the sizes of their image."""
    for axis, size in enumerate(sizes, start=2):
        if planes.shape[axis] != size:
            planes = planes.narrow(axis, 0, size)
    return planes


def new_unet(shape: NetworkShape, seed: int) -> UNet:
    """Build a network whose weights are drawn by a seed alone (He et al., 2015)."""
    module = UNet(shape)
    drawn(module, seed)
    return module


def drawn(module: nn.Module, seed: int) -> None:
    """Draw the weights of convolutions in place, by a seed alone (He et al., 2015); biases become 0."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if weight.ndim > 2:
                spread = (2.0 / weight[0].numel()) ** 0.5
                weight.copy_(torch.randn(weight.shape, generator=draw) * spread)
            elif name.endswith("bias"):
                weight.zero_()


def build_unet(network: Network, weights: Mapping[str, NDArray[np.generic]]) -> UNet:
    """Build the network of a student and fill in its weights.

    Raises:
        ShapeError: the weights are not those of such a network.
    """
    module = UNet(NetworkShape.of(network))
    held = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    try:
        module.load_state_dict(held)
    except RuntimeError as error:
        raise ShapeError(f"weights do not fit the network {dict(network)}: {error}") from error
    return module.eval()


def started(module: UNet, start: Mapping[str, NDArray[np.generic]]) -> UNet:
    """Fill the weights of an encoder into a new network, in place: all of its own but those of `out`.

    Raises:
        ShapeError: they are not those of such a network.
    """
    held = {name: torch.from_numpy(np.array(array)) for name, array in start.items()}
    try:
        missing = module.load_state_dict(held, strict=False)
    except RuntimeError as error:
        raise ShapeError(f"the start does not fit the student's network: {error}") from error
    wrong = [*missing.unexpected_keys, *missing.missing_keys]
    if wrong != ["out.weight", "out.bias"]:
        raise ShapeError(
            f"a student starts from all of its network's weights but those of 'out', got {sorted(start)}"
        )
    return module


def unet_weights(module: nn.Module) -> dict[str, NDArray[np.generic]]:
    """Copy every parameter and buffer to numpy, by name."""
    return {name: t.detach().cpu().numpy().copy() for name, t in module.state_dict().items()}


def folded(module: UNet) -> UNet:
    """Return a copy for inference: normalisations folded into convolutions, channels last in memory."""
    found = copy.deepcopy(module).eval()
    found.requires_grad_(requires_grad=False)
    for layer in [part for part in found.modules() if isinstance(part, _Layer)]:
        conv, norm = layer[0], layer[1]
        layer[0] = fuse_conv_bn_eval(conv, norm)  # type: ignore[type-var, arg-type]  # as built
        layer[1] = nn.Identity()
    laid_out(found, channels_last=True)
    return found


def laid_out(module: UNetPlanes, *, channels_last: bool) -> None:
    """Lay a network's weights out in memory, in place: channels last, or as they are declared."""
    last = torch.channels_last if module.shape.dimensions == 2 else torch.channels_last_3d
    order = last if channels_last else torch.contiguous_format
    module.to(memory_format=order)  # type: ignore[call-overload]  # torch's stubs leave it out
