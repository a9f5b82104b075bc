import pickle

import numpy as np
import pytest
from minisom import MiniSom

from somray.errors import ShapeError
from somray.kernels.som import passes
from somray.kernels.som.fit import Training, fit_passes, update
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.passes import ArrayPasses, NodeQuery, NodeSums
from tests.kernels import naive_som


def cloud(count=3000, features=4, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (6, features))
    return (centers[rng.integers(0, 6, count)] + rng.normal(0, 0.4, (count, features))).astype("f4")


class Cohort:
    """Passes over several items, each by itself, joined in their order."""

    def __init__(self, items):
        self.items = items

    def moments(self):
        return passes.merge_moments([passes.moments_of(i) for i in self.items])

    def rows(self, numbers):
        return np.concatenate(self.items)[numbers]

    def node_sums(self, query):
        parts = [passes.node_sums_of(i, query) for i in self.items]
        return passes.merge_sums(parts, query.worst)

    def errors(self, weights, lattice):
        return passes.merge_errors([passes.errors_of(i, weights, lattice) for i in self.items])


def assert_alike(first, second):
    for name in ("sums", "errors", "tail_sums", "tail_errors", "worst", "worst_errors"):
        assert np.allclose(getattr(first, name), getattr(second, name), rtol=1e-6), name
    for name in ("counts", "tail_counts"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


def test_one_epoch_moves_the_nodes_as_the_oracle_does():
    samples, weights = cloud(), cloud(12, seed=3)
    total = passes.node_sums_of(samples, NodeQuery(weights))
    found = update(weights, total, Lattice((3, 4)), 0.8)
    assert np.abs(found - naive_som.update(samples, weights, (3, 4), 0.8)).max() < 1e-5


def test_one_epoch_equals_minisoms():
    samples, weights = cloud(400), cloud(12, seed=3)
    other = MiniSom(3, 4, 4, sigma=0.8, learning_rate=1.0)
    other._weights = weights.astype(float).reshape(3, 4, 4).copy()
    other.train_batch_offline(samples.astype(float), 1)
    found = update(weights, passes.node_sums_of(samples, NodeQuery(weights)), Lattice((3, 4)), 0.8)
    assert np.abs(found - other.get_weights().reshape(-1, 4)).max() < 1e-5


def test_a_node_out_of_everyones_reach_stays_where_it_is():
    weights = np.array([[0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [9.0]], "f4")
    total = NodeSums.empty(7, 1)
    total.counts[0] = 5
    assert update(weights, total, Lattice((1, 7)), 0.3)[6, 0] == 9.0


def test_moments_are_those_of_all_samples_however_they_are_cut():
    samples = cloud(9000) + np.float32(1000)
    found = passes.merge_moments([passes.moments_of(p) for p in np.array_split(samples, 7)])
    exact = samples.astype(float)
    assert found.count == 9000
    assert np.allclose(found.mean, exact.mean(0), rtol=1e-12)
    assert np.allclose(found.covariance, np.cov(exact.T, bias=True), rtol=1e-9, atol=1e-9)
    assert np.allclose(found.deviation, exact.std(0), rtol=1e-9)


def test_tails_and_worst_samples_are_the_oracles():
    samples, weights = cloud(20_000), cloud(9, seed=4)
    tail = np.linspace(0.5, 20, 9)
    found = passes.node_sums_of(samples, NodeQuery(weights, tail, worst=5))
    squared = ((samples[:, None].astype(float) - weights[None]) ** 2).sum(2)
    node, error = squared.argmin(1), squared.min(1)
    far = error > tail[node]
    for k in range(9):
        assert np.allclose(found.sums[k], samples[node == k].sum(0), rtol=1e-5, atol=1e-3)
        assert found.errors[k] == pytest.approx(error[node == k].sum(), rel=1e-5)
        assert found.tail_counts[k] == (far & (node == k)).sum()
        assert found.tail_errors[k] == pytest.approx(error[far & (node == k)].sum(), rel=1e-5)
        assert np.allclose(found.tail_sums[k], samples[far & (node == k)].sum(0), atol=1e-2)
    assert np.array_equal(found.worst, samples[np.argsort(-error, kind="stable")[:5]])


def test_of_equally_bad_samples_the_earlier_is_worse():
    items = [np.array([[1.0, 0.0], [0.0, 2.0]], "f4"), np.array([[2.0, 0.0], [0.0, -2.0]], "f4")]
    query = NodeQuery(np.zeros((1, 2), "f4"), worst=2)
    found = passes.merge_sums([passes.node_sums_of(i, query) for i in items], 2)
    assert found.worst.tolist() == [[0.0, 2.0], [2.0, 0.0]]


def test_merging_equals_one_pass_over_everything():
    samples, weights = cloud(), cloud(9, seed=4)
    query = NodeQuery(weights, np.full(9, 3.0), worst=4)
    parts = [passes.node_sums_of(p, query) for p in np.array_split(samples, 7)]
    assert_alike(passes.merge_sums(parts, 4), passes.node_sums_of(samples, query))
    nested = [passes.merge_sums(parts[:3], 4), passes.merge_sums(parts[3:], 4)]
    assert_alike(passes.merge_sums(nested, 4), passes.node_sums_of(samples, query))


def test_merging_ignores_empty_items():
    samples, query = cloud(200), NodeQuery(cloud(9, seed=4), worst=2)
    whole = passes.node_sums_of(samples, query)
    merged = passes.merge_sums([passes.node_sums_of(samples[:0], query), whole], 2)
    assert np.array_equal(merged.sums, whole.sums)
    assert np.array_equal(merged.worst, whole.worst)


def test_partials_travel_and_are_small():
    query = NodeQuery(cloud(25, 10, seed=1), np.full(25, 1.0), worst=3)
    part = passes.node_sums_of(cloud(50_000, 10), query)
    stored = pickle.dumps(part)
    assert len(stored) < 10_000
    assert np.array_equal(pickle.loads(stored).sums, part.sums)


@pytest.mark.parametrize("training", [Training(), Training("samples"), Training(rare=True)])
def test_a_cohort_cut_into_items_gives_the_same_map_but_for_rounding(training):
    samples = cloud(20_000)
    whole = fit_passes(ArrayPasses(samples), (4, 4), epochs=6, training=training)
    cut = Cohort([samples[:700], samples[700:12_345], samples[12_345:]])
    parts = fit_passes(cut, (4, 4), epochs=6, training=training)
    assert np.abs(whole.weights - parts.weights).max() < 1e-3
    assert whole.quantization_error == pytest.approx(parts.quantization_error, rel=1e-4)


def test_one_item_gives_the_bits_of_the_array():
    samples = cloud(20_000)
    whole = fit_passes(ArrayPasses(samples), (4, 4), epochs=6)
    alone = fit_passes(Cohort([samples]), (4, 4), epochs=6)
    assert whole.weights.tobytes() == alone.weights.tobytes()


def test_what_cannot_be_passed_over_is_refused():
    weights = np.zeros((2, 3), "f4")
    with pytest.raises(ShapeError, match="do not fit"):
        passes.node_sums_of(np.zeros((4, 2), "f4"), NodeQuery(weights))
    for merge in (passes.merge_sums, passes.merge_moments, passes.merge_errors):
        with pytest.raises(ShapeError, match="no partial"):
            merge([])
