"""A residual encoder U-Net with nnU-Net's layout of stages, up to its segmentation layers.

Names and shapes are those of `dynamic_network_architectures`' `ResidualEncoderUNet` where it holds a weight once;
what it holds again under other names is added where weights go out (`pretrain.foreign`). Convolutions 3×3(×3) with
a bias, instance normalisation that learns scale and offset, leaky ReLU; a stage begins with a strided block, whose
shortcut is averaged and widened.

Source: Isensee et al., "nnU-Net revisited", 2024; the shortcut: He et al., "Bag of tricks", 2019.
"""

import itertools

import torch
from torch import nn

from somray.kernels.pretrain.networks.shapes import ResidualShape
from somray.kernels.student.network import cut_back, fill_up

__all__ = ["ResidualPlanes"]


class _NormedConv(nn.Module):
    """A convolution, its normalisation, and a leaky ReLU where one is asked for."""

    def __init__(
        self, dims: int, sizes: tuple[int, int], stride: int = 1, *, is_last: bool
    ) -> None:
        super().__init__()
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        norm = nn.InstanceNorm2d if dims == 2 else nn.InstanceNorm3d
        self.conv = conv(*sizes, 3, stride, padding=1)
        self.norm = norm(sizes[1], affine=True)
        self.nonlin = nn.Identity() if is_last else nn.LeakyReLU(inplace=True)

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.nonlin(self.norm(self.conv(plane)))
        return found


class _Halved(nn.Module):
    """Means over 2×2(×2) pixels; by reshaping, since torch's own has no deterministic gradient on a GPU."""

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        for axis in range(2, plane.ndim):
            sizes = plane.shape
            plane = plane.reshape(*sizes[:axis], -1, 2, *sizes[axis + 1 :]).mean(axis + 1)
        return plane


class _Widened(nn.Module):
    """A shortcut's 1×1(×1) convolution and its normalisation."""

    def __init__(self, dims: int, sizes: tuple[int, int]) -> None:
        super().__init__()
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        norm = nn.InstanceNorm2d if dims == 2 else nn.InstanceNorm3d
        self.conv, self.norm = conv(*sizes, 1, bias=False), norm(sizes[1], affine=True)

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.norm(self.conv(plane))
        return found


class _ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, dims: int, sizes: tuple[int, int], stride: int) -> None:
        super().__init__()
        self.conv1 = _NormedConv(dims, sizes, stride, is_last=False)
        self.conv2 = _NormedConv(dims, (sizes[1], sizes[1]), is_last=True)
        self.nonlin2 = nn.LeakyReLU(inplace=True)
        halved = [_Halved()] if stride > 1 else []
        widened = [_Widened(dims, sizes)] if sizes[0] != sizes[1] else []
        self.skip = nn.Sequential(*halved, *widened)

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.nonlin2(self.conv2(self.conv1(plane)) + self.skip(plane))
        return found


class _Blocks(nn.Module):
    """Residual blocks of one resolution."""

    def __init__(self, dims: int, sizes: tuple[int, int], stride: int, count: int) -> None:
        super().__init__()
        first = _ResidualBlock(dims, sizes, stride)
        rest = (_ResidualBlock(dims, (sizes[1], sizes[1]), 1) for _ in range(count - 1))
        self.blocks = nn.Sequential(first, *rest)

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.blocks(plane)
        return found


class _Convs(nn.Module):
    """Plain convolutions of one resolution."""

    def __init__(self, dims: int, sizes: tuple[int, int], count: int) -> None:
        super().__init__()
        pairs = itertools.pairwise((sizes[0], *[sizes[1]] * count))
        self.convs = nn.Sequential(*(_NormedConv(dims, pair, is_last=False) for pair in pairs))

    def forward(self, plane: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.convs(plane)
        return found


class _Descent(nn.Module):
    """What goes down: the planes of every stage."""

    def __init__(self, shape: ResidualShape) -> None:
        super().__init__()
        dims, features = shape.dimensions, shape.features
        self.stem = _Convs(dims, (shape.inputs, features[0]), 1)
        sizes = itertools.pairwise((features[0], *features))
        self.stages = nn.ModuleList(
            _Blocks(dims, pair, 2 if level else 1, count)
            for level, (pair, count) in enumerate(zip(sizes, shape.blocks, strict=True))
        )

    def forward(self, plane: torch.Tensor) -> list[torch.Tensor]:
        plane, seen = self.stem(plane), []
        for stage in self.stages:
            plane = stage(plane)
            seen.append(plane)
        return seen


class _Ascent(nn.Module):
    """What comes up: planes of full resolution."""

    def __init__(self, shape: ResidualShape) -> None:
        super().__init__()
        dims = shape.dimensions
        turned = nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d
        steps = list(itertools.pairwise(reversed(shape.features)))
        self.stages = nn.ModuleList(
            _Convs(dims, (2 * fine, fine), shape.upper) for _, fine in steps
        )
        self.transpconvs = nn.ModuleList(turned(coarse, fine, 2, 2) for coarse, fine in steps)

    def forward(self, seen: list[torch.Tensor]) -> torch.Tensor:
        plane = seen[-1]
        for stage, turned, beside in zip(
            self.stages, self.transpconvs, reversed(seen[:-1]), strict=True
        ):
            plane = stage(torch.cat((turned(plane), beside), 1))
        return plane


class ResidualPlanes(nn.Module):
    """The network: (b, inputs, [z,] y, x) float32 to planes (b, planes, [z,] y, x).

    Args:
        shape: what decides the layers.
    """

    def __init__(self, shape: ResidualShape) -> None:
        super().__init__()
        self.shape, self.planes = shape, shape.planes
        self.encoder, self.decoder = _Descent(shape), _Ascent(shape)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the planes; sides that are no multiple are filled up by their last plane."""
        # The coarsest planes need two pixels a side: one alone has no deviation to be divided by.
        filled = fill_up(inputs, self.shape.multiple, 2 * self.shape.multiple)
        return cut_back(self.decoder(self.encoder(filled)), inputs.shape[2:])
