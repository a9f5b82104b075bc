"""What is asked: nodes as they are or shuffled, clusters, normalised features and pixels; and what is not."""

import itertools

import numpy as np
import pytest
import torch

from somray.kernels.pretrain.lessons import MaskedLessons
from somray.kernels.pretrain.masking import MaskedReader
from somray.kernels.pretrain.networks.backbone import new_backbone
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.patches import PatchSampler
from somray.kernels.pretrain.piece import NO_NODE, TaughtPiece
from somray.kernels.pretrain.prepare import grey_centers, grid_of
from somray.kernels.pretrain.targets import (
    FLOOR,
    ClusterTarget,
    FeatureTarget,
    NodeTarget,
    OwnTarget,
    PixelTarget,
    class_loss,
    nearest,
    number_loss,
)
from somray.kernels.student.training.schedule import ProcessGroup
from tests.kernels.pretrain.textures import CLASSES, WINDOWS, Pieces, piece, pieces, spec_of

RNG = np.random.default_rng(0)


def patches_of(source=None, count=3, **changes):
    sampler = PatchSampler(source or pieces(), spec_of(**changes))
    sampler.begin((0,))
    return sampler.draw(count)


def test_nodes_are_asked_as_they_are():
    patches = patches_of()
    found = NodeTarget((CLASSES,)).answers(patches, RNG)
    assert np.array_equal(found[:, 0].numpy(), patches.nodes.reshape(-1))


def test_shuffled_nodes_keep_their_regions_but_mean_something_else_in_every_patch():
    patches = patches_of(count=8)
    before = patches.nodes.copy()
    found = NodeTarget((CLASSES,), shuffled=True).answers(patches, np.random.default_rng(3)).numpy()
    tables = set()
    for own, asked in zip(before.reshape(8, -1), found.reshape(8, -1), strict=True):
        table = {node: np.unique(asked[own == node]) for node in np.unique(own)}
        assert all(len(meant) == 1 for meant in table.values())
        assert len({int(meant[0]) for meant in table.values()}) == len(table)
        tables.add(tuple((node, int(meant[0])) for node, meant in table.items()))
    assert len(tables) > 4
    assert np.array_equal(patches.nodes, before)  # what is held is left alone


def test_features_are_asked_without_level_and_contrast():
    own = piece(0)
    other = TaughtPiece(own.values, own.nodes, (3 * own.features + 7).astype(np.float16), WINDOWS)
    one, two = (
        FeatureTarget((2,)).answers(patches_of(Pieces([p]), target="features"), RNG)
        for p in (own, other)
    )
    assert (one - two).abs().max() < 0.06  # half precision, and the floor under deviations
    rows = one.reshape(3, -1, 2)
    assert rows.mean(1).abs().max() < 1e-3
    assert (rows.std(1) > 0.8).all()


def test_pixels_are_asked_over_their_block():
    patches = patches_of()
    found = PixelTarget((5,), 4).answers(patches, RNG).numpy().reshape(3, 24, 24, 5)
    for number, y, x in itertools.product(range(3), (0, 8, 20), (0, 4)):
        block = patches.inputs[number, :, y : y + 4, x : x + 4].astype(float)
        mean, square = block.mean((1, 2), keepdims=True), block.var((1, 2), keepdims=True)
        wanted = (block - mean) / np.sqrt(square + FLOOR**2)
        np.testing.assert_allclose(
            found[number, y : y + 4, x : x + 4], np.moveaxis(wanted, 0, -1), atol=1e-5
        )


@pytest.mark.parametrize("target", [FeatureTarget((2,)), PixelTarget((5,), 4)])
def test_pixels_without_data_are_asked_nothing(target):
    patches = patches_of(Pieces([piece(0, (10, 64))]), target="features")
    found = target.answers(patches, RNG).numpy()
    assert np.array_equal(np.isnan(found).any(1), ~patches.known.reshape(-1))


def test_clusters_of_grey_values_are_found_where_they_are():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, (64, 64))
    levels = np.array([[-100.0, 0.1], [50.0, 0.9], [200.0, 0.3]])
    values = np.moveaxis(levels[kinds], -1, 0) + rng.normal(0, 0.01, (2, 64, 64))
    values[:, :20] = np.nan
    own = TaughtPiece(values.astype(np.float32), piece().nodes, piece().features, WINDOWS)
    sampler = PatchSampler(Pieces([own]), spec_of(target="kmeans"))
    centers = grey_centers(sampler, (0, 1), 3)["centers"]
    wanted = (levels - [-150, 0]) / [400, 1]
    assert np.abs(centers[:, None] - wanted[None]).max(2).min(0).max() < 0.01
    assert np.array_equal(centers, grey_centers(sampler, (0, 1), 3)["centers"])
    sampler.begin((0,))
    patches = sampler.draw(2)
    found = ClusterTarget(centers).answers(patches, RNG).numpy()
    assert np.array_equal(found[:, 0] == NO_NODE, ~patches.known.reshape(-1))


def test_the_nearest_node_is_the_nearest():
    samples, nodes = torch.randn(500, 3), torch.randn(7, 3)
    assert torch.equal(nearest(samples, nodes), torch.cdist(samples, nodes).argmin(1))


@pytest.mark.parametrize(
    ("count", "grid"), [(100, (10, 10)), (25, (5, 5)), (12, (3, 4)), (7, (1, 7))]
)
def test_own_maps_have_as_many_nodes_as_the_teachers(count, grid):
    assert grid_of(count) == grid


def test_own_nodes_are_those_of_planes_without_masks():
    patches = patches_of()
    backbone = new_backbone(network_of_spec(spec_of()), 0).eval()
    nodes = np.random.default_rng(0).normal(size=(6, backbone.planes)).astype(np.float32)
    mean, deviation = np.full(8, 0.1, np.float32), np.full(8, 2.0, np.float32)
    found = OwnTarget(backbone, mean, deviation, nodes).answers(patches, RNG)
    with torch.no_grad():
        planes = backbone(torch.from_numpy(patches.inputs)).movedim(1, -1).reshape(-1, 8)
    wanted = torch.cdist((planes - 0.1) / 2.0, torch.from_numpy(nodes)).argmin(1)
    assert torch.equal(found[:, 0], wanted)


def test_losses_are_the_textbooks_and_leave_out_what_is_unknown():
    logits, wanted = torch.randn(6, 4), torch.tensor([0, 3, NO_NODE, 1, 2, NO_NODE])
    loss, right = class_loss([logits, 2 * logits], torch.stack([wanted, wanted], 1))
    known = wanted != NO_NODE
    each = [
        torch.nn.functional.cross_entropy(scale * logits[known], wanted[known]) for scale in (1, 2)
    ]
    assert loss == pytest.approx(float(sum(each)) / 2)
    hits = int((logits.argmax(1) == wanted)[known].sum())
    assert right.tolist() == [2 * hits, 8]
    said, numbers = (
        torch.tensor([[0.5, 9.0], [3.0, 0.0]]),
        torch.tensor([[0.0, float("nan")], [1.0, 0.0]]),
    )
    assert number_loss(said, numbers) == pytest.approx((0.125 + 1.5 + 0.0) / 3)
    nothing, _ = class_loss([logits], torch.full((6, 1), NO_NODE))
    assert nothing == 0


@pytest.mark.parametrize("target", ["nodes", "features", "pixels"])
def test_only_masked_pixels_with_data_are_learned_from(target):
    spec = spec_of(target=target)
    asked = {
        "nodes": NodeTarget((CLASSES,)),
        "features": FeatureTarget((2,)),
        "pixels": PixelTarget((5,), 4),
    }[target]
    reader = MaskedReader(new_backbone(network_of_spec(spec), 0), asked.heads, 0).eval()
    lessons = MaskedLessons(reader, asked, PatchSampler(pieces(), spec), spec, ProcessGroup())
    lessons.begin((0,))
    patches = lessons.sampler.draw(4)
    answers = asked.answers(patches, RNG)
    masked = torch.from_numpy((patches.masked & patches.known).reshape(-1))
    places = lessons._places(patches, answers)
    assert torch.equal(places, masked.nonzero()[:, 0])

    def loss(told):
        said = reader(torch.from_numpy(patches.inputs), torch.from_numpy(patches.masked), places)
        wanted = told[places]
        return class_loss(said, wanted)[0] if asked.is_class else number_loss(said[0], wanted)

    seen, hidden = answers.clone(), answers.clone()
    seen[~masked] = (seen[~masked] + 1) % CLASSES
    hidden[masked] = (hidden[masked] + 1) % CLASSES
    assert loss(seen) == loss(answers)
    assert loss(hidden) != loss(answers)
