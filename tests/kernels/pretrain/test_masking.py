"""Masks: how much they hide, and that nothing of what they hide reaches a network."""

import numpy as np
import pytest
import torch

from somray.errors import ShapeError
from somray.kernels.pretrain.masking import MaskedReader, block_mask
from somray.kernels.pretrain.networks.backbone import new_backbone
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.spec import ENCODERS
from tests.kernels.pretrain.textures import spec_of


@pytest.mark.parametrize("sizes", [(24, 24), (16, 8, 12)])
def test_a_share_of_whole_blocks_is_hidden(sizes):
    masked = block_mask(sizes, 4, 0.6, np.random.default_rng(0))
    blocks = masked
    for axis in range(len(sizes)):
        parts = np.stack(np.split(blocks, blocks.shape[axis] // 4, axis), -1)
        assert (parts.any(axis) == parts.all(axis)).all() or axis < len(sizes)
    grid = masked[tuple(slice(None, None, 4) for _ in sizes)]
    assert np.array_equal(np.kron(grid, np.ones([4] * len(sizes), dtype=bool)), masked)
    assert grid.sum() == round(0.6 * grid.size)


def test_masks_are_the_seeds_and_never_hide_all_or_nothing():
    first, second, other = (
        block_mask((24, 24), 4, 0.5, np.random.default_rng(n)) for n in (1, 1, 2)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    for share in (0.01, 0.99):
        masked = block_mask((8, 8), 4, share, np.random.default_rng(0))
        assert masked.sum() in (16, 48)
    assert block_mask((10, 7), 4, 0.5, np.random.default_rng(0)).shape == (10, 7)


@pytest.mark.parametrize(("share", "sizes"), [(0.0, (8, 8)), (1.0, (8, 8)), (0.5, (4, 4))])
def test_masks_that_hide_all_or_nothing_are_refused(share, sizes):
    with pytest.raises(ShapeError, match="can be masked"):
        block_mask(sizes, 4, share, np.random.default_rng(0))


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_is_hidden_changes_nothing_also_where_sides_are_filled_up(kind, dimensions):
    network = network_of_spec(spec_of(kind, dimensions=dimensions))
    reader = MaskedReader(new_backbone(network, 0), (5, 3), 0)
    sizes = (14, 10, 9)[:dimensions]
    inputs = torch.randn(2, 5, *sizes)
    masked = torch.zeros(2, *sizes, dtype=torch.bool)
    masked[..., -4:] = True  # at the edge that is filled up
    masked[:, :4] = True
    places = torch.arange(0, masked.numel(), 3)
    others = torch.where(masked[:, None], 1e4 * torch.randn_like(inputs), inputs)
    one, two = reader(inputs, masked, places), reader(others, masked, places)
    assert [part.shape for part in one] == [(len(places), 5), (len(places), 3)]
    for first, second in zip(one, two, strict=True):
        assert torch.equal(first, second)
    sum(part.square().sum() for part in one).backward()
    assert (
        reader.token.grad.abs().min() > 0
    )  # what stands in the place of what is hidden is learned
