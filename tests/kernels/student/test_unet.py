"""The network: any size, any number of channels, tiles equal to whole slices."""

import numpy as np
import pytest
import torch

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student.predict import predict_student, probabilities
from somray.kernels.student.rounds import StudentSpec, network_of, student_of
from somray.kernels.student.start import start_constant, start_from
from somray.kernels.student.unet import Prototypes, UNet, build_unet, new_unet, unet_weights

NETWORK = network_of(StudentSpec(("CT", "PET"), ((0.0, 1.0),) * 2, ("intensity", "mean3")))


def _network(seed=0):
    """A network whose U-Net part says something, unlike a new one's."""
    module = new_unet(NETWORK, seed)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = rng.normal(0, 0.15, parameter.shape)
            parameter.copy_(torch.from_numpy(np.asarray(noise)))
    return module


def _model(module, names=("intensity", "mean3")):
    spec = StudentSpec(("CT", "PET"), ((-1.0, 2.0), (0.0, 3.0)), names)
    return student_of(spec, unet_weights(module), {})


def _images(count=3, shape=(21, 34)):
    return np.random.default_rng(5).normal(0, 1, (count, 2, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (7, 30), (33, 17)])
def test_any_slice_size_gives_a_logit_per_pixel(shape):
    assert _network()(torch.zeros(2, 4, *shape)).shape == (2, *shape)


def test_the_largest_default_network_is_compact():
    names = tuple(f"feature{n}" for n in range(10))
    spec = StudentSpec(("A", "B", "C", "D"), ((0.0, 1.0),) * 4, names)
    module = new_unet(network_of(spec), 0)
    assert sum(p.numel() for p in module.parameters()) <= 500_000


def test_a_new_network_is_its_prototypes_alone():
    module = new_unet(NETWORK, 3)
    with torch.no_grad():
        module.prototypes.nodes.normal_(generator=torch.Generator().manual_seed(1))
        stack = torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(2))
        torch.testing.assert_close(module(stack), module.pointwise(stack))


def test_prototypes_choose_the_nearest_node():
    layer = Prototypes(2, 1, 2)
    nodes = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    pixels = torch.tensor([[0.9, 0.0], [1.1, 0.0], [0.0, 1.4], [0.0, 1.6]])
    with torch.no_grad():
        layer.nodes.copy_(nodes)
        layer.sharpness.fill_(5.0)
    assert (layer(pixels)[:, 0] > 0).tolist() == [True, False, True, False]


def test_a_factor_weighs_its_input_in_the_distance():
    layer = Prototypes(2, 1, 1)
    with torch.no_grad():
        layer.nodes.copy_(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
        layer.factors[0] = np.log(0.5)
    assert layer(torch.tensor([[1.9, 0.0]])).item() > 0 > layer(torch.tensor([[2.1, 0.0]])).item()


def test_tiles_give_what_the_whole_slice_gives():
    module = _network()
    stack = np.random.default_rng(2).normal(0, 1, (4, 90, 75)).astype(np.float32)
    whole = probabilities(module, stack)
    tiled = probabilities(module, stack, tile=32)
    np.testing.assert_allclose(tiled, whole, atol=2e-6)
    assert whole.std() > 1e-3


def test_the_bits_of_a_slice_do_not_depend_on_the_others():
    model, images = _model(_network()), _images()
    together = predict_student(model, images, (1.0, 1.0))
    for index in (2, 0, 1):
        alone = predict_student(model, images[index : index + 1], (1.0, 1.0))
        np.testing.assert_array_equal(alone[0], together[index])


@pytest.mark.parametrize("names", [(), ("intensity", "mean3"), ("edge",)])
def test_pixels_without_data_have_probability_zero(names):
    spec = StudentSpec(("CT", "PET"), ((-1.0, 2.0), (0.0, 3.0)), names)
    module = new_unet(network_of(spec), 0)
    images = _images(1)
    images[0, 1, 4:9, 6:12] = np.nan
    found = predict_student(student_of(spec, unet_weights(module), {}), images, (1.0, 1.0))
    assert (found[0, 4:9, 6:12] == 0).all()
    assert (found[0, 10:] > 0).all()
    assert found.dtype == np.float32


def test_weights_survive_the_way_through_numpy():
    module = _network(4)
    again = build_unet(NETWORK, unet_weights(module))
    stack = torch.ones(1, 4, 9, 9)
    with torch.no_grad():
        assert torch.equal(again(stack), module(stack))


def test_weights_of_another_network_are_refused():
    weights = unet_weights(_network())
    with pytest.raises(ShapeError, match="do not fit"):
        build_unet({**NETWORK, "width": 8}, weights)


def test_a_network_without_planes_is_refused():
    with pytest.raises(ShapeError, match="positive"):
        UNet(0)


def test_images_with_other_channels_are_refused():
    model = _model(_network())
    with pytest.raises(ShapeError, match="CT"):
        predict_student(model, np.zeros((1, 1, 8, 8), np.float32), (1.0, 1.0))
    assert isinstance(model, StudentModel)


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    new_unet(NETWORK, 1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("inside", [True, False])
def test_a_constant_network_is_certain_everywhere(inside):
    module = _network()
    start_constant(module, inside=inside)
    found = probabilities(module, np.random.default_rng(0).normal(0, 9, (4, 9, 9)).astype("f4"))
    np.testing.assert_allclose(found, float(inside), atol=1e-6)


def test_the_start_already_separates_two_clear_kinds_of_pixels():
    rng = np.random.default_rng(0)
    target = np.zeros((24, 24), dtype=bool)
    target[6:14, 5:17] = True
    stack = rng.normal(0, 0.2, (4, 24, 24)).astype(np.float32)
    stack[1:3, target] += 2
    stack[:, 0, :5] = np.nan
    module = new_unet(NETWORK, 0)
    start_from(module, stack, target, ~np.isnan(stack[0]), 0)
    found = probabilities(module, stack)
    assert ((found > 0.5) == target).mean() > 0.99
    np.testing.assert_allclose(module.center.numpy(), np.nanmean(stack, axis=(1, 2)), atol=1e-6)


def test_a_plane_that_never_varies_is_not_blown_up():
    stack = np.random.default_rng(0).normal(0, 1, (4, 12, 12)).astype(np.float32)
    stack[3] = 7.0
    module = new_unet(NETWORK, 0)
    start_from(module, stack, stack[0] > 0, np.ones((12, 12), dtype=bool), 0)
    assert module.scale[3] == 1.0


def test_prototypes_stay_in_float32_where_the_rest_is_in_bfloat16():
    module = _network()
    plane = torch.randn(50, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        module.prototypes.sharpness.fill_(2.0)
        expected = module.prototypes(plane)
        with torch.autocast("cpu", torch.bfloat16):
            found = module.prototypes(plane)
            assert module.head(torch.zeros(1, 16)).dtype == torch.bfloat16
    torch.testing.assert_close(found, expected)
