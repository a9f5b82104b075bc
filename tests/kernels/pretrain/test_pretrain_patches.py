"""Patches: where they come from, what turns with them, and how little is held."""

from dataclasses import fields

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.features.stack import feature_stack
from somray.kernels.pretrain import patches as module
from somray.kernels.pretrain.patches import PatchSampler, turns
from somray.kernels.pretrain.piece import NO_NODE, TaughtPiece
from somray.kernels.pretrain.spec import PretrainSpec
from tests.kernels.pretrain.textures import WINDOWS, Pieces, piece, pieces, spec_of

SIDE = 24


def drawn(source, spec, count=6, seed=(0,)):
    sampler = PatchSampler(source, spec)
    sampler.begin(seed)
    return sampler.draw(count)


def numbered(shape=(40, 50)):
    """A piece whose values, nodes and features all tell the number of their pixel."""
    number = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 10
    values, features = np.stack([number, number + 1]), np.stack([number, number]).astype(np.float16)
    nodes = np.arange(np.prod(shape), dtype=np.int16).reshape(1, *shape)
    return TaughtPiece(values, nodes, features, ((0.0, 1.0), (0.0, 1.0)))


class OwnViews:
    """The first channel as it is."""

    def inputs(self, values):
        return values[:1]


@pytest.mark.parametrize("target", ["nodes", "features", "kmeans"])
def test_everything_that_is_told_of_a_pixel_turns_with_it(target, monkeypatch):
    monkeypatch.setattr(PretrainSpec, "views", lambda spec, windows: OwnViews())
    found = drawn(Pieces([numbered()]), spec_of(target=target), 12)
    number = found.inputs[:, 0] * 10
    told = {"nodes": found.nodes, "features": 10 * found.features, "kmeans": 10 * found.grey}
    np.testing.assert_allclose(told.pop(target)[:, 0], number, rtol=1e-3, atol=0.01)
    assert all(not planes.shape[1] for planes in told.values())  # what is not asked is not made
    steps = {(round(float(p[1, 0] - p[0, 0])), round(float(p[0, 1] - p[0, 0]))) for p in number}
    half_turns = {(50, 1), (-50, -1)}
    assert steps <= half_turns if target == "features" else len(steps) > 4


@pytest.mark.parametrize("seed", range(12))
def test_features_of_a_turned_slice_are_the_turned_features(seed):
    """The law behind `is_bound`: anisotropies and the ratio of rows to columns are asked of a real slice."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 60, (1, 20, 20)).astype(np.float32)
    windows = ((-150.0, 250.0),)
    features = feature_stack(image, windows)

    def turned(array, steps):
        for step in steps:
            array = step(array)
        return np.ascontiguousarray(array)

    def apart(is_bound):
        steps = turns(2, np.random.default_rng(seed), is_bound=is_bound)
        return np.abs(turned(features, steps) - feature_stack(turned(image, steps), windows)).max()

    assert apart(True) < 1e-3
    steps = turns(2, np.random.default_rng(seed), is_bound=False)
    probe = np.arange(4.0).reshape(1, 2, 2)
    if not any(np.array_equal(turned(probe, steps), p) for p in (probe, probe[:, ::-1, ::-1])):
        assert apart(False) > 0.1


def test_volumes_keep_their_features_under_the_mirror_along_z():
    probe = np.arange(8.0).reshape(1, 2, 2, 2)
    seen = set()
    for seed in range(40):
        array = probe
        for step in turns(3, np.random.default_rng(seed), is_bound=True):
            array = step(array)
        seen.add(array.tobytes())
    half = probe[:, :, ::-1, ::-1]
    assert seen == {a.tobytes() for a in (probe, probe[:, ::-1], half, half[:, ::-1])}


def test_the_same_seed_gives_the_same_patches():
    first, second, other = (drawn(pieces(), spec_of(), seed=(n,)) for n in (1, 1, 2))
    sampler = PatchSampler(pieces(), spec_of(), threads=3)
    sampler.begin((1,))
    assert np.array_equal(sampler.draw(6).inputs, first.inputs)
    for part in fields(first):
        assert np.array_equal(*(getattr(p, part.name) for p in (first, second)), equal_nan=True)
    assert not np.array_equal(first.inputs, other.inputs)


def test_what_a_patch_reaches_beyond_its_piece_has_no_data():
    found, other = (
        drawn(Pieces([piece(0, (10, 64))]), spec_of(target=t)) for t in ("nodes", "features")
    )
    assert not found.known.all()
    assert found.known.any()
    empty = ~found.known
    assert (found.nodes[:, 0][empty] == NO_NODE).all()
    assert np.isnan(other.features[:, 0][~other.known]).all()
    assert (np.moveaxis(found.inputs, 1, -1)[empty] == -1).all()


def test_patches_look_for_data():
    values = piece(0).values.copy()
    values[:, :, :40] = np.nan
    holed = TaughtPiece(values, piece(0).nodes, piece(0).features, WINDOWS)
    assert drawn(Pieces([holed]), spec_of(), 20).known.mean() > 0.4


def test_few_pieces_are_held_and_others_each_time(monkeypatch):
    source = pieces(30)
    sampler = PatchSampler(source, spec_of())
    sampler.begin((0,))
    first = list(source.reads)
    sampler.begin((1,))
    assert len(first) == len(set(first)) == module.POOL_PIECES
    assert set(source.reads[len(first) :]) != set(first)
    each = piece(0).values.nbytes + piece(0).nodes.nbytes + piece(0).features.nbytes
    for room, count in ((3.5 * each, 3), (0.5 * each, 1)):
        monkeypatch.setattr(module, "POOL_BYTES", room)
        sampler.begin((2,))
        assert len(sampler._pool) == count


def test_pieces_that_are_not_what_was_asked_are_refused():
    with pytest.raises(ShapeError, match="no piece"):
        PatchSampler(Pieces([]), spec_of())
    for changes in ({"dimensions": 3}, {"classes": (5, 5)}, {"features": 3}):
        with pytest.raises(ShapeError, match="a piece must have"):
            drawn(pieces(1), spec_of(**changes))
    with pytest.raises(ShapeError, match="nodes and features alike"):
        TaughtPiece(np.zeros((1, 4, 4)), np.zeros((1, 4, 5)), np.zeros((0, 4, 4)), ((0, 1),))
    with pytest.raises(ShapeError, match="a window each"):
        TaughtPiece(np.zeros((1, 4, 4)), np.zeros((1, 4, 4)), np.zeros((0, 4, 4)), ())
