"""Segmenters: the start is all that differs; what they learn; tiles."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from somray.domain.encoder import EncoderModel
from somray.errors import ShapeError, StoreError
from somray.kernels.pretrain import segmenter as module
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.segmenter import (
    SegmenterAtWork,
    SegmenterSpec,
    alone_on,
    new_segmenter,
    segmenter_of,
    train_segmenter,
)
from somray.kernels.pretrain.spec import ENCODERS
from somray.kernels.student.network import unet_weights
from somray.kernels.student.training.packing import fit_packed, fit_unpacked, packed, unpacked
from somray.kernels.student.training.patches import Example
from somray.kernels.student.training.schedule import ProcessGroup, TrainingHooks
from tests.kernels.pretrain.test_pretrain_networks import encoder
from tests.kernels.pretrain.textures import WINDOWS, piece, same, spec_of

KINDS = pytest.mark.parametrize("kind", ENCODERS)


def spec_for(kind, dimensions=2, steps=2, **changes):
    own = spec_of(kind, dimensions=dimensions)
    sizes = {"patch": 24 if dimensions == 2 else 16, "batch": 2, **changes}
    return SegmenterSpec(network_of_spec(own), own.channels, own.kinds, WINDOWS, steps, **sizes)


def examples(spec, count=2):
    shape = (48, 40) if spec.network["dimensions"] == 2 else (16, 18, 20)
    found = []
    for number in range(count):
        own = piece(number, shape)
        target = (own.nodes[0] >= 3).astype(np.float32)
        found.append(Example(own.values, target, np.ones_like(target), spec.views(own.windows)))
    return found


def part(network, prefix):
    """The weights of a part of a network."""
    own = unet_weights(network).items()
    return {name.removeprefix(prefix): array for name, array in own if name.startswith(prefix)}


@KINDS
def test_the_start_is_all_that_differs(kind):
    start = encoder(kind, seed=9)
    plain, begun = new_segmenter(start.network, 4), new_segmenter(start.network, 4, start)
    one, two = (part(module, "head.") for module in (plain, begun))
    assert same(one, two)
    assert same(part(begun, "backbone."), start.weights)
    with pytest.raises(ShapeError, match="cannot start from"):
        new_segmenter(encoder(kind, 3).network, 4, start)


@KINDS
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_segmenter_learns_what_is_bright(kind, dimensions):
    spec = spec_for(kind, dimensions, steps=40 if dimensions == 2 else 15)
    model = train_segmenter(examples(spec), spec)
    unseen = examples(spec, 3)[-1]
    chance = SegmenterAtWork(model).chance(unseen.values)
    assert chance.dtype == np.float32
    inside, outside = chance[unseen.target == 1], chance[unseen.target == 0]
    assert inside.mean() > outside.mean() + 0.15
    assert model.history["start"] == "scratch"
    assert model.patch == spec.patch


def test_the_same_training_gives_the_same_bits_also_resumed_from_bytes():
    spec = replace(spec_for("unet"), steps=45)  # three epochs
    states = []
    start = encoder("unet", seed=3)
    first = train_segmenter(examples(spec), spec, start, hooks=TrainingHooks(save=states.append))
    assert first.history["start"] == "nodes"
    assert len(states) == 3
    stored = packed(*fit_packed(states[0]))
    held = fit_unpacked(*unpacked(stored))
    again = train_segmenter(examples(spec), spec, start, hooks=TrainingHooks(resume=held))
    assert same(first.weights, again.weights)
    assert not same(first.weights, train_segmenter(examples(spec), spec).weights)
    with pytest.raises(StoreError, match="cannot be read"):
        unpacked(stored[:-3])


def model_of(kind, dimensions=2, patch=16):
    spec = spec_for(kind, dimensions, patch=patch)
    return module.SegmenterModel(
        unet_weights(new_segmenter(spec.network, 1)),
        spec.network,
        spec.channels,
        spec.kinds,
        WINDOWS,
        patch,
    )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_tiles_of_a_u_net_are_the_whole_image(dimensions, monkeypatch):
    model, values = (
        model_of("unet", dimensions),
        piece(0, (80, 90) if dimensions == 2 else (44, 20, 21)).values,
    )
    whole = SegmenterAtWork(model).chance(values)
    monkeypatch.setattr(module, "TILES", {2: 32, 3: 16})
    np.testing.assert_allclose(SegmenterAtWork(model).chance(values), whole, atol=1e-5)


@KINDS
def test_chances_do_not_depend_on_threads_and_are_none_without_data(kind):
    model, values = model_of(kind), piece(0, (50, 37)).values.copy()
    values[1, :20, :9] = np.nan
    segmenter = SegmenterAtWork(model)
    one, two = segmenter.chance(values), segmenter.chance(values, threads=2)
    assert np.array_equal(one, two)
    assert one.shape == (50, 37)
    assert (one[:20, :9] == 0).all()
    assert (one[20:] > 0).all()


@pytest.mark.parametrize("size", [1, 7, 16, 17, 61])
def test_tiles_cover_an_axis_once_and_show_a_whole_patch_wherever_there_is_one(size):
    shape = segmenter_of(model_of("vit")).backbone.shape
    seen = np.zeros(size, dtype=int)
    for own, shown in module._tiles(size, shape, 16):
        seen[own] += 1
        assert shown.start <= own.start
        assert shown.stop >= own.stop
        assert shown.stop - shown.start == min(size, 16)
    assert (seen == 1).all()


def test_a_small_image_of_one_tile_is_the_networks_own_answer():
    model, values = model_of("resenc"), piece(0, (12, 16)).values
    views = spec_for("resenc").views().inputs(values)
    with torch.no_grad():
        wanted = torch.sigmoid(segmenter_of(model)(torch.from_numpy(views)[None]))[0].numpy()
    np.testing.assert_allclose(SegmenterAtWork(model).chance(values), wanted, atol=1e-6)


def test_what_does_not_fit_is_refused():
    spec = spec_for("unet")
    with pytest.raises(ShapeError, match="examples in as many"):
        train_segmenter([], spec)
    with pytest.raises(ShapeError, match="examples in as many"):
        train_segmenter(examples(spec), spec_for("unet", 3))
    with pytest.raises(ShapeError, match="the network eats 5"):
        train_segmenter(examples(spec), replace(spec, kinds=("CT", "CT")))
    with pytest.raises(ShapeError, match="an image must be"):
        SegmenterAtWork(model_of("unet")).chance(np.zeros((1, 8, 8), np.float32))
    other = EncoderModel({}, spec.network, spec.channels, spec.kinds, WINDOWS)
    with pytest.raises(ShapeError, match="do not fit"):
        train_segmenter(examples(spec), spec, other)


def test_a_cpu_is_trained_on_as_ever():
    assert alone_on("cpu") == ProcessGroup()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@KINDS
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_gpu_gives_the_same_bits_twice_and_learns_what_a_cpu_learns(
    kind, dimensions, monkeypatch
):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    spec = spec_for(kind, dimensions, steps=30)
    one, two, there = (
        train_segmenter(examples(spec), spec, None, alone_on(device))
        for device in ("cuda", "cuda", "cpu")
    )
    assert same(one.weights, two.weights)
    assert one.history["last_loss"] < there.history["last_loss"] + 0.1
    unseen = examples(spec, 3)[-1].values
    near = SegmenterAtWork(one, "cuda").chance(unseen) - SegmenterAtWork(one).chance(unseen)
    assert np.abs(near).max() < 0.05
