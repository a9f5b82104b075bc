"""The network: its sizes, how far a logit sees, and that folding changes nothing."""

import numpy as np
import pytest
import torch

from somray.errors import ShapeError
from somray.kernels.student.network import (
    build_unet,
    folded,
    new_unet,
    unet_weights,
)
from somray.kernels.student.shape import NetworkShape
from tests.student_fixtures import small_shape

SMALL = [small_shape(2), small_shape(3)]
USED = [NetworkShape(dimensions, 2) for dimensions in (2, 3)]


def lively(shape, seed=0):
    """A network whose normalisations do something."""
    module = new_unet(shape, seed)
    draw = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, tensor in (*module.named_buffers(), *module.named_parameters()):
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=draw))
            elif tensor.ndim == 1 and tensor.is_floating_point():
                tensor.add_(0.3 * torch.randn(tensor.shape, generator=draw))
    return module.eval()


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 16), (17, 30)])
def test_slices_of_any_size_give_logits_of_that_size(size):
    with torch.inference_mode():
        assert new_unet(SMALL[0], 0).eval()(drawn(2, 3, *size)).shape == (2, *size)


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 6, 9), (8, 8, 8)])
def test_volumes_of_any_size_give_logits_of_that_size(size):
    with torch.inference_mode():
        assert new_unet(SMALL[1], 0).eval()(drawn(2, 3, *size)).shape == (2, *size)


@pytest.mark.parametrize("shape", [*SMALL, *USED])
def test_a_logit_depends_on_nothing_beyond_the_halo_which_is_hardly_wider_than_that(shape):
    module, halo = lively(shape), shape.halo
    assert halo % shape.multiple == 0
    for axis in range(shape.dimensions):
        sizes = [2 * shape.multiple] * shape.dimensions
        sizes[axis] = 3 * halo
        first, other = drawn(1, shape.inputs, *sizes), drawn(1, shape.inputs, *sizes, seed=1)
        reached = []
        with torch.inference_mode():
            before = module(first)[0]
            for rows in range(halo - shape.multiple, halo):
                place = torch.arange(3 * halo) < rows
                place = place.view([-1 if n == axis else 1 for n in range(shape.dimensions)])
                found = module(torch.where(place, 50 * other, first))[0]
                differs = ((found - before).abs() > 1e-3).transpose(0, axis).flatten(1).any(1)
                reached.append(int(differs.nonzero().max()) - (rows - 1))
        assert halo - 2 * shape.multiple <= max(reached) <= halo


@pytest.mark.parametrize("shape", [*SMALL, *USED])
def test_a_folded_network_says_what_the_network_says(shape):
    module = lively(shape)
    image = drawn(1, shape.inputs, *[2 * shape.multiple + 1] * shape.dimensions)
    before = unet_weights(module)
    with torch.inference_mode():
        torch.testing.assert_close(folded(module)(image), module(image), rtol=1e-4, atol=1e-4)
    after = unet_weights(module)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert not any("running" in name for name, _ in folded(module).named_buffers())


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(1)
    first = unet_weights(new_unet(SMALL[0], 4))
    torch.manual_seed(2)
    second, other = unet_weights(new_unet(SMALL[0], 4)), unet_weights(new_unet(SMALL[0], 5))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("shape", [*SMALL, *USED])
def test_a_network_is_rebuilt_from_numbers_and_arrays(shape):
    numbers = shape.as_numbers()
    assert all(isinstance(value, int | str) for value in numbers.values())
    assert NetworkShape.of(numbers) == shape
    module = lively(shape)
    again = build_unet(numbers, unet_weights(module))
    image = drawn(1, shape.inputs, *[shape.multiple] * shape.dimensions)
    with torch.inference_mode():
        assert torch.equal(again(image), module(image))


def test_weights_of_another_network_are_refused():
    weights = unet_weights(new_unet(SMALL[0], 0))
    with pytest.raises(ShapeError, match="weights do not fit the network"):
        build_unet(NetworkShape(2, 4, widths=(4, 8)).as_numbers(), weights)
    with pytest.raises(ShapeError, match="weights do not fit the network"):
        build_unet(SMALL[0].as_numbers(), {k: v for k, v in weights.items() if "up" not in k})


@pytest.mark.parametrize(
    "changed",
    [{"dimensions": 4}, {"inputs": 0}, {"widths": (8,)}, {"widths": (8, 0)}, {"per": 0}],
)
def test_numbers_that_make_no_network_are_refused(changed):
    with pytest.raises(ShapeError, match="make no network"):
        NetworkShape(**{"dimensions": 2, "inputs": 1, **changed})
