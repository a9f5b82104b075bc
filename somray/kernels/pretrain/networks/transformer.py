"""A small vision transformer on blocks of pixels, and a light decoder of its tokens to planes of full resolution.

Names and shapes under `vit.` are those of MONAI's `ViT` with a learned position embedding; what MONAI holds and
never uses (`norm_cross_attn`) is left out. The position embedding starts from sines and cosines, and is
interpolated for images of other sides. The decoder lays each token's pixels out again, beside a convolution of the
inputs, which tells where borders run.

Sources: Dosovitskiy et al., "An image is worth 16×16 words", 2021; Shi et al., "Real-time single image
super-resolution" (pixels from planes), 2016.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional

from somray.kernels.pretrain.networks.shapes import TransformerShape
from somray.kernels.student.network import cut_back, fill_up

__all__ = ["TransformerPlanes"]

SPREAD = 0.02
"""Deviation of new linear weights, as in the source."""
LOWEST = 1e-4
"""Lowest frequency of the sines, relative to the highest."""


class _Attention(nn.Module):
    """Every token looks at every token."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.out_proj = nn.Linear(hidden, hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens (b, n, hidden), each a mean of all by how well they answer it."""
        batch, count, hidden = tokens.shape
        parts = self.qkv(tokens).view(batch, count, 3, self.heads, hidden // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        # Plain products: torch's fused attention has no deterministic gradient on every GPU.
        share = (query @ key.transpose(-1, -2) * (hidden // self.heads) ** -0.5).softmax(-1)
        seen = (share @ value).transpose(1, 2).reshape(batch, count, hidden)
        found: torch.Tensor = self.out_proj(seen)
        return found


class _Perceptron(nn.Module):
    """Two linear layers."""

    def __init__(self, hidden: int, mlp: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(hidden, mlp), nn.Linear(mlp, hidden)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.linear2(functional.gelu(self.linear1(tokens)))
        return found


class _TokenBlock(nn.Module):
    """Attention, then a perceptron, each on normalised tokens and added to what was."""

    def __init__(self, hidden: int, mlp: int, heads: int) -> None:
        super().__init__()
        self.mlp = _Perceptron(hidden, mlp)
        self.norm1 = nn.LayerNorm(hidden)
        self.attn = _Attention(hidden, heads)
        self.norm2 = nn.LayerNorm(hidden)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        found: torch.Tensor = tokens + self.mlp(self.norm2(tokens))
        return found


class _Embedding(nn.Module):
    """Blocks of pixels to tokens that know where they lie."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        conv = nn.Conv2d if shape.dimensions == 2 else nn.Conv3d
        self.side = shape.image // shape.patch
        count = self.side**shape.dimensions
        self.position_embeddings = nn.Parameter(torch.zeros(1, count, shape.hidden))
        self.patch_embeddings = conv(shape.inputs, shape.hidden, shape.patch, shape.patch)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        grid = self.patch_embeddings(inputs)
        tokens = grid.flatten(2).transpose(-1, -2)
        found: torch.Tensor = tokens + self._positions(tuple(grid.shape[2:]))
        return found

    def _positions(self, grid: tuple[int, ...]) -> torch.Tensor:
        """Return the embedding of a grid (1, n, h); one of another size is interpolated along each axis."""
        if all(size == self.side for size in grid):
            return self.position_embeddings
        found = self.position_embeddings.view(*[self.side] * len(grid), -1)
        for axis, size in enumerate(grid):
            taps = _taps(self.side, size).to(found)
            found = torch.tensordot(taps, found.movedim(axis, 0), 1).movedim(0, axis)
        return found.reshape(1, -1, found.shape[-1])


class _TokenEncoder(nn.Module):
    """Inputs to normalised tokens (b, n, h)."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.patch_embedding = _Embedding(shape)
        self.blocks = nn.ModuleList(
            _TokenBlock(shape.hidden, shape.mlp, shape.heads) for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(shape.hidden)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        tokens = self.patch_embedding(inputs)
        for block in self.blocks:
            tokens = block(tokens)
        found: torch.Tensor = self.norm(tokens)
        return found


class _TokenDecoder(nn.Module):
    """Tokens and inputs to planes of full resolution."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        conv = nn.Conv2d if shape.dimensions == 2 else nn.Conv3d
        self.patch, self.planes = shape.patch, shape.planes
        self.spread = nn.Linear(shape.hidden, shape.planes * shape.patch**shape.dimensions)
        self.skip = conv(shape.inputs, shape.planes, 3, padding=1)
        self.join = conv(shape.planes, shape.planes, 3, padding=1)

    def forward(self, tokens: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Spread tokens (b, n, hidden) over their patches and join them with the inputs: (b, planes, [z,] y, x)."""
        sizes = inputs.shape[2:]
        grid, dims = [size // self.patch for size in sizes], len(sizes)
        pixels = self.spread(tokens).view(-1, *grid, self.planes, *[self.patch] * dims)
        pairs = itertools.chain.from_iterable((1 + n, 2 + dims + n) for n in range(dims))
        coarse = pixels.permute(0, 1 + dims, *pairs).reshape(-1, self.planes, *sizes)
        found: torch.Tensor = self.join(functional.gelu(coarse + self.skip(inputs)))
        return functional.gelu(found)


class TransformerPlanes(nn.Module):
    """The network: (b, inputs, [z,] y, x) float32 to planes (b, planes, [z,] y, x).

    Args:
        shape: what decides the layers.
    """

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.shape, self.planes = shape, shape.planes
        self.vit = _TokenEncoder(shape)
        self.decoder = _TokenDecoder(shape)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the planes; sides that are no whole blocks are filled up by their last plane."""
        filled = fill_up(inputs, self.shape.patch)
        return cut_back(self.decoder(self.vit(filled), filled), inputs.shape[2:])

    def draw(self, seed: int) -> None:
        """Draw the weights in place, by a seed alone."""
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=SPREAD, generator=draw)
                elif isinstance(module, nn.Conv2d | nn.Conv3d):
                    spread = module.weight[0].numel() ** -0.5
                    module.weight.copy_(torch.randn(module.weight.shape, generator=draw) * spread)
                if (
                    isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d)
                    and module.bias is not None
                ):
                    module.bias.zero_()
            self.vit.patch_embedding.position_embeddings.copy_(_waves(self.shape))


def _taps(before: int, after: int) -> torch.Tensor:
    """Return the matrix (after, before) that interpolates linearly between centres."""
    at = ((torch.arange(after) + 0.5) * before / after - 0.5).clamp(0, before - 1)
    apart = (at[:, None] - torch.arange(before)[None]).abs()
    return (1 - apart).clamp_min(0)


def _waves(shape: TransformerShape) -> torch.Tensor:
    """Return sines and cosines of the places of a grid (1, n, h), as long as new weights are."""
    side, dims = shape.image // shape.patch, shape.dimensions
    each = shape.hidden // (2 * dims)
    rates = LOWEST ** (torch.arange(each) / each)
    axes = torch.meshgrid(*[torch.arange(side, dtype=torch.float32)] * dims, indexing="ij")
    angles = [axis.reshape(-1, 1) * rates for axis in axes]
    found = torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], 1)
    return found[None] * SPREAD
