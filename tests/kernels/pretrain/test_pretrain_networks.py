"""Networks: any sides in, planes of the same sides out; the student's U-Net is the student's."""

from dataclasses import replace

import pytest
import torch

from somray.domain.encoder import EncoderModel
from somray.errors import ShapeError
from somray.kernels.pretrain.networks.backbone import build_backbone, new_backbone, student_start
from somray.kernels.pretrain.networks.shapes import TransformerShape, network_of_spec, shape_of
from somray.kernels.pretrain.networks.transformer import _taps
from somray.kernels.pretrain.spec import ENCODERS
from somray.kernels.student.network import new_unet, started, unet_weights
from somray.kernels.student.rounds.spec import StudentSpec, new_unet_of
from somray.kernels.student.shape import NetworkShape
from tests.kernels.pretrain.textures import WINDOWS, same, spec_of

KINDS = pytest.mark.parametrize("kind", ENCODERS)
EITHER = pytest.mark.parametrize("dimensions", [2, 3])


def encoder(kind="unet", dimensions=2, seed=0, **changes):
    spec = spec_of(kind, dimensions=dimensions, **changes)
    network = network_of_spec(spec)
    weights = unet_weights(new_backbone(network, seed))
    return EncoderModel(weights, network, spec.channels, spec.kinds, spec.windows)


@KINDS
@EITHER
def test_planes_have_the_sides_of_the_image_whatever_they_are(kind, dimensions):
    module = new_backbone(encoder(kind, dimensions).network, 0).eval()
    for sides in ((24, 24, 24), (13, 9, 7), (1, 5, 2)):
        inputs = torch.randn(1, module.shape.inputs, *sides[:dimensions])
        found = module(inputs)
        assert found.shape == (1, module.planes, *sides[:dimensions])
        assert torch.isfinite(found).all()
        assert found.std() > 0.05  # new weights neither vanish nor blow up


@KINDS
def test_weights_come_from_the_seed_alone_and_go_through_numpy(kind):
    torch.manual_seed(7)
    model, again, other = encoder(kind), encoder(kind), encoder(kind, seed=1)
    assert same(model.weights, again.weights)
    assert not same(model.weights, other.weights)
    built = build_backbone(model.network, model.weights)
    assert same(unet_weights(built), model.weights)
    assert shape_of(model.network).as_numbers().items() <= dict(model.network).items()


@KINDS
def test_weights_of_another_network_are_refused(kind):
    model = encoder(kind)
    with pytest.raises(ShapeError, match="do not fit"):
        build_backbone(encoder(kind, channels=("CT",), kinds=("CT",)).network, model.weights)
    with pytest.raises(ShapeError, match="kind of network"):
        build_backbone({**model.network, "kind": "tree"}, model.weights)
    network = {name: value for name, value in model.network.items() if name != "inputs"}
    with pytest.raises((ShapeError, KeyError), match="inputs"):
        build_backbone(network, model.weights)


@pytest.mark.parametrize("kind", ["vit", "resenc"])
@EITHER
def test_sizes_grow_and_all_of_them_can_be_built(kind, dimensions):
    counts = []
    for size in ("small", "middle", "large"):
        shape = shape_of(network_of_spec(spec_of(kind, dimensions=dimensions, size=size)))
        counts.append(shape.planes)
        assert shape.halo >= shape.multiple
    assert counts == sorted(counts)


def test_numbers_that_make_no_network_are_refused():
    with pytest.raises(ShapeError, match="whole patches"):
        TransformerShape(2, 1, 10, 4, 32, 64, 1, 4, 8)
    with pytest.raises(ShapeError, match="whole patches"):
        TransformerShape(3, 1, 16, 4, 32, 64, 1, 4, 8)
    with pytest.raises(ShapeError, match="make no network"):
        TransformerShape(4, 1, 16, 4, 32, 64, 1, 4, 8)
    with pytest.raises(ShapeError, match="encoder must be"):
        network_of_spec(spec_of("tree"))


@EITHER
def test_the_u_net_is_the_students_up_to_its_last_layer(dimensions):
    model = encoder("unet", dimensions)
    shape = NetworkShape.of(model.network)
    student = new_unet(shape, 0)
    own = unet_weights(student)
    assert same(
        model.weights, {k: own[k] for k in own if not k.startswith("out.")}
    )  # one seed, one draw
    inputs = torch.randn(2, shape.inputs, *[12] * dimensions)
    planes = build_backbone(model.network, model.weights)(inputs)
    assert torch.equal(student.eval().out(planes)[:, 0], student(inputs))


def test_a_student_starts_from_an_encoder_of_its_own_shape():
    model = encoder("unet", seed=3)
    start = student_start(model, NetworkShape.of(model.network))
    spec = StudentSpec(model.channels, model.kinds, WINDOWS, seed=5)
    module = new_unet_of(spec, start)
    found, drawn = unet_weights(module), unet_weights(new_unet_of(spec))
    assert same({k: found[k] for k in start}, start)
    assert same(
        {k: found[k] for k in found if k not in start},
        {k: drawn[k] for k in drawn if k not in start},
    )
    with pytest.raises(ShapeError, match="all of its network's weights but"):
        started(module, {**start, "out.bias": found["out.bias"]})
    with pytest.raises(ShapeError, match="does not fit"):
        started(new_unet(NetworkShape(2, 3), 0), start)


def test_a_student_cannot_start_from_what_is_no_u_net_of_its_shape():
    shape = NetworkShape.of(encoder("unet").network)
    with pytest.raises(ShapeError, match="kind 'vit'"):
        student_start(encoder("vit"), shape)
    with pytest.raises(ShapeError, match="pretrain on the same"):
        student_start(encoder("unet", 3), shape)
    broken = encoder("unet")
    with pytest.raises(ShapeError, match="do not fit"):
        student_start(replace(broken, weights={}), shape)


def test_positions_are_interpolated_for_other_sides_and_kept_for_their_own():
    taps = _taps(4, 8)
    torch.testing.assert_close(taps.sum(1), torch.ones(8))
    torch.testing.assert_close(
        taps @ torch.arange(4.0), ((torch.arange(8) + 0.5) / 2 - 0.5).clamp(0, 3)
    )
    assert torch.equal(_taps(5, 5), torch.eye(5))
    embedding = new_backbone(encoder("vit").network, 0).vit.patch_embedding
    assert embedding._positions((6, 6)) is embedding.position_embeddings
    assert embedding._positions((3, 9)).shape == (1, 27, 96)
