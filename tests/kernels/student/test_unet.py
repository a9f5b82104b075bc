"""The network: any size, any number of channels, tiles equal to whole slices."""

import numpy as np
import pytest
import torch

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student.networks import network_of, student_of
from somray.kernels.student.noise_view import QUIET, SMOOTHINGS
from somray.kernels.student.predict import predict_student, probabilities
from somray.kernels.student.prototypes import Vote
from somray.kernels.student.spec import StudentSpec
from somray.kernels.student.start import start_constant, start_from
from somray.kernels.student.unet import NetworkShape, build_unet, new_unet, unet_weights

NETWORK = network_of(StudentSpec(("CT", "PET"), ((0.0, 1.0),) * 2, ("intensity", "mean3")))
RAW = network_of(StudentSpec(("CT", "PET"), ((0.0, 1.0),) * 2, ()))
VOTING = NetworkShape(inputs=4, channels=2, counts=(3, 2, 4), target=1, soft=False, vote=Vote(3.0))
NOISY_PLANES = (1 + len(SMOOTHINGS)) * 4 + 2


def _network(seed=0, network=NETWORK):
    """A network whose U-Net part says something, unlike a new one's."""
    module = new_unet(network, seed)
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


def _noisy(shape, excess=1.0, seed=2):
    """A stack (planes, y, x) of a noisy slice, in which nothing but the excess is smooth."""
    stack = np.random.default_rng(seed).normal(0, 1, (NOISY_PLANES, *shape)).astype(np.float32)
    stack[-2:] = excess
    return stack


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (7, 30), (33, 17)])
@pytest.mark.parametrize(("network", "planes"), [(NETWORK, 4), (NETWORK, NOISY_PLANES), (RAW, 2)])
def test_any_slice_size_gives_a_logit_per_pixel(shape, network, planes):
    assert _network(network=network)(torch.zeros(2, planes, *shape)).shape == (2, *shape)


def test_the_largest_default_network_is_compact():
    names = tuple(f"feature{n}" for n in range(10))
    spec = StudentSpec(("A", "B", "C", "D"), ((0.0, 1.0),) * 4, names)
    module = new_unet(network_of(spec), 0)
    assert sum(p.numel() for p in module.parameters()) <= 500_000


def test_a_quiet_slice_is_judged_by_the_prototypes_alone():
    """However the U-Net is trained, a slice like the labelled one keeps its logits."""
    module = _network()
    with torch.no_grad():
        module.prototypes.nodes.normal_(generator=torch.Generator().manual_seed(1))
        stack = torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(2))
        before = module(stack)
        assert torch.equal(before, module.prototypes.margin(module.pointwise(stack)))
        for name, parameter in module.named_parameters():
            if not name.startswith("prototypes."):
                parameter.normal_(generator=torch.Generator().manual_seed(3))
        assert torch.equal(module(stack), before)


@pytest.mark.parametrize("network", [NETWORK, VOTING.as_numbers()])
def test_the_unet_is_not_heard_before_a_slice_is_noisy(network):
    """From quiet to noisy the logits change without a step."""
    module = _network(network=network)
    quiet = probabilities(module, _noisy((30, 26))[:4])
    found = [probabilities(module, _noisy((30, 26), QUIET + more)) for more in (0.0, 1e-7, 1.0)]
    np.testing.assert_allclose(found[0], quiet, atol=1e-6)
    np.testing.assert_allclose(found[1], quiet, atol=1e-3)
    assert np.abs(found[2] - quiet).max() > 1e-2


def test_a_new_network_of_raw_channels_is_its_prototypes_alone():
    module = new_unet(RAW, 3)
    with torch.no_grad():
        module.prototypes.nodes.normal_(generator=torch.Generator().manual_seed(1))
        stack = torch.randn(1, 2, 16, 24, generator=torch.Generator().manual_seed(2))
        alone = module.prototypes.margin(module.pointwise(stack))
        torch.testing.assert_close(module(stack), alone)
        module.head.bias.fill_(1.0)
        torch.testing.assert_close(module(stack), alone + 1)


@pytest.mark.parametrize("planes", [4, NOISY_PLANES])
@pytest.mark.parametrize("network", [NETWORK, VOTING.as_numbers()])
def test_tiles_give_what_the_whole_slice_gives(network, planes):
    module = _network(network=network)
    stack = _noisy((90, 75))[:planes]
    stack[0, 20:24, 30:50] = np.nan
    whole = probabilities(module, stack)
    tiled = probabilities(module, stack, tile=32)
    np.testing.assert_allclose(tiled, whole, atol=5e-6)
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
        NetworkShape(inputs=0)
    with pytest.raises(ShapeError, match="another class"):
        NetworkShape(inputs=2, counts=(3,))
    with pytest.raises(ShapeError, match="a target"):
        NetworkShape(inputs=2, target=2)


def test_the_numbers_of_a_network_say_all_of_its_shape():
    assert NetworkShape.of(VOTING.as_numbers()) == VOTING


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
@pytest.mark.parametrize(
    ("network", "planes"),
    [(NETWORK, 4), (NETWORK, NOISY_PLANES), (RAW, 2), (VOTING.as_numbers(), NOISY_PLANES)],
)
def test_a_constant_network_is_certain_everywhere(inside, network, planes):
    module = _network(network=network)
    start_constant(module, inside=inside)
    found = probabilities(module, 9 * _noisy((9, 9))[:planes])
    # Other classes share the vote: each leads the target by a part of it.
    np.testing.assert_allclose(found, float(inside), atol=5e-3)


def test_the_start_already_separates_two_clear_kinds_of_pixels():
    rng = np.random.default_rng(0)
    target = np.zeros((24, 24), dtype=bool)
    target[6:14, 5:17] = True
    stack = rng.normal(0, 0.2, (4, 24, 24)).astype(np.float32)
    stack[1:3, target] += 2
    stack[:, 0, :5] = np.nan
    module = new_unet(NETWORK, 0)
    start_from(module, stack, np.where(target, 0, 1), ~np.isnan(stack[0]), 0)
    found = probabilities(module, stack)
    assert ((found > 0.5) == target).mean() > 0.99
    np.testing.assert_allclose(module.center.numpy(), np.nanmean(stack, axis=(1, 2)), atol=1e-6)


def test_a_plane_that_never_varies_is_not_blown_up():
    stack = np.random.default_rng(0).normal(0, 1, (4, 12, 12)).astype(np.float32)
    stack[3] = 7.0
    module = new_unet(NETWORK, 0)
    start_from(module, stack, np.where(stack[0] > 0, 0, 1), np.ones((12, 12), dtype=bool), 0)
    assert module.scale[3] == 1.0


def test_prototypes_stay_in_float32_where_the_rest_is_in_bfloat16():
    module = _network()
    stack = torch.randn(1, 4, 5, 10, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        module.prototypes.sharpness.fill_(2.0)
        expected = module(stack)
        with torch.autocast("cpu", torch.bfloat16):
            found = module(stack)
            assert module.head(torch.zeros(1, 16)).dtype == torch.bfloat16
    assert torch.equal(found, expected)
