"""Nodes change places on the lattice: what that may alter, and what it must not."""

import numpy as np
import pytest

from somray.kernels.som import arrays, fit, passes
from somray.kernels.som.arrays import Training
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.partials import MOST_PAIRED
from somray.kernels.som.placement import LIKENESS, arranged
from somray.kernels.som.torch_passes import TorchPasses

MOVED = Training(final_radius=0.15, rare=True)
LATTICES = [Lattice((4, 4)), Lattice((4, 3), "hexagonal"), Lattice((4, 3), wraps=True)]


def cloud(count=3000, features=4, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (6, features))
    return (centers[rng.integers(0, 6, count)] + rng.normal(0, 0.4, (count, features))).astype("f4")


def two_nearest(samples, weights):
    apart = ((samples[:, None].astype(float) - weights[None].astype(float)) ** 2).sum(2)
    return np.argsort(apart, axis=1, kind="stable")[:, :2].T


def worth(weights, pairs, lattice):
    """What an order is worth: samples whose two nearest nodes are neighbours, less what neighbours lie apart."""
    apart = np.linalg.norm(weights[:, None].astype(float) - weights[None], axis=2)
    likeness = LIKENESS / len(weights) * apart / apart.mean()
    return (((pairs + pairs.T) / pairs.sum() - likeness) * lattice.neighbours).sum() / 2


def slice_with_air(count=4000):
    """Features of a slice that is air for the most part: one sample again and again, beside a body of many kinds."""
    air = np.zeros((2 * count, 4), "f4")
    body = cloud(count) + np.float32(4)
    rare = np.full((40, 4), 25, "f4") + cloud(40, seed=1) / 10
    return np.concatenate([air, body, rare.astype("f4")])


@pytest.mark.parametrize("threads", [1, 3])
def test_pairs_count_the_two_nearest_nodes_of_every_sample(threads):
    samples, weights = cloud(20_000), cloud(12, seed=3)
    first, second = two_nearest(samples, weights)
    expected = np.zeros((12, 12), int)
    np.add.at(expected, (first, second), 1)
    found = passes.errors_of(samples, weights, Lattice((3, 4)), threads)
    assert np.array_equal(found.pairs, expected)
    assert np.array_equal(found.pairs.sum(1), found.hits)
    parts = [
        passes.errors_of(part, weights, Lattice((3, 4))) for part in (samples[:9], samples[9:])
    ]
    assert np.array_equal(passes.merge_errors(parts).pairs, expected)
    assert np.array_equal(
        TorchPasses(samples, "cpu").errors(weights, Lattice((3, 4))).pairs, expected
    )


def test_lone_nodes_and_very_large_maps_are_left_as_they_are():
    for nodes in (1, MOST_PAIRED + 1):
        weights, lattice = cloud(nodes, seed=2), Lattice((1, nodes))
        errors = passes.errors_of(cloud(), weights, lattice)
        assert errors.pairs.shape == (0, 0)
        same, still = arranged(weights, errors, lattice)
        assert same is weights
        assert still is errors


@pytest.mark.parametrize("lattice", LATTICES)
def test_an_arranged_map_has_the_same_nodes_and_no_exchange_of_two_betters_it(lattice):
    samples, weights = cloud(), cloud(lattice.nodes, seed=5)
    before = passes.errors_of(samples, weights, lattice)
    moved, errors = arranged(weights, before, lattice)
    assert sorted(map(tuple, moved.tolist())) == sorted(map(tuple, weights.tolist()))
    assert np.array_equal(
        moved[arrays.assign(samples, arrays.measure(samples, moved, lattice))],
        weights[arrays.assign(samples, arrays.measure(samples, weights, lattice))],
    )
    again = passes.errors_of(samples, moved, lattice)
    for name in ("hits", "misses", "pairs"):
        assert np.array_equal(getattr(errors, name), getattr(again, name)), name
    assert np.allclose(errors.distances, again.distances, rtol=1e-12)
    assert errors.topographic_error < before.topographic_error
    best = worth(moved, errors.pairs, lattice)
    for one in range(lattice.nodes):
        for two in range(one):
            order = np.arange(lattice.nodes)
            order[[one, two]] = two, one
            other = worth(moved[order], errors.pairs[np.ix_(order, order)], lattice)
            assert other <= best + 1e-9


def test_the_node_most_like_airs_comes_back_to_it_and_with_it_two_thirds_of_the_slice():
    samples, lattice = slice_with_air(), Lattice((5, 5))
    book = arrays.fit(samples, (5, 5), training=MOVED)
    air = int(np.argmax(book.hits))
    apart = np.linalg.norm(book.weights - book.weights[air], axis=1)
    second = int(np.argsort(apart)[1])
    far = int(np.argmax(lattice.squared_distances[air]))
    weights = book.weights.copy()
    weights[[second, far]] = weights[[far, second]]  # as where a node was moved among the samples
    errors = passes.errors_of(samples, weights, lattice)
    assert errors.topographic_error > 0.5
    _, mended = arranged(weights, errors, lattice)
    assert mended.topographic_error < 0.1
    assert mended.quantization_error == pytest.approx(book.quantization_error, rel=1e-12)


def test_a_fit_that_moves_nodes_ends_better_ordered_with_the_nodes_it_would_have_had(monkeypatch):
    samples = slice_with_air()
    book = arrays.fit(samples, (5, 5), training=MOVED)
    monkeypatch.setattr(fit, "arranged", lambda weights, errors, lattice: (weights, errors))
    plain = arrays.fit(samples, (5, 5), training=MOVED)
    assert book.topographic_error < plain.topographic_error / 2
    first, second = (sorted(map(tuple, b.weights.tolist())) for b in (book, plain))
    assert first == second


def test_only_maps_whose_nodes_are_moved_are_arranged_and_never_those_that_are_gone_on_from(
    monkeypatch,
):
    calls = []

    def spied(weights, errors, lattice):
        calls.append(len(weights))
        return arranged(weights, errors, lattice)

    monkeypatch.setattr(fit, "arranged", spied)
    samples = cloud()
    first = arrays.fit(samples, (3, 3))
    assert not calls
    arrays.fit(samples, (3, 3), training=MOVED)
    assert calls == [9]
    arrays.fit(samples, (3, 3), training=Training(first, final_radius=0.15, rare=True))
    assert calls == [9]
