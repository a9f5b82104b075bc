import os
import subprocess
import sys

import numpy as np
import pytest

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som import arrays
from somray.kernels.som.arrays import Training
from somray.kernels.som.nearest import LARGEST, TILE
from somray.kernels.som.passes import nearest_nodes, nodes_and_distances
from somray.kernels.som.table import node_table
from tests.kernels import naive_som


def cloud(count=3000, features=4, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (6, features))
    return (centers[rng.integers(0, 6, count)] + rng.normal(0, 0.4, (count, features))).astype("f4")


TRAININGS = {
    "plain": Training(),
    "rare": Training(final_radius=0.15, rare=True),
    "drawn": Training("samples", topology="hexagonal"),
    "torus": Training(wraps=True),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_five_runs_on_one_and_two_threads_give_the_same_bytes(name):
    samples = cloud(30_000, 7)
    found = set()
    for threads in (1, 2, 1, 2, 2):
        book = arrays.fit(samples, (4, 5), 3, 8, TRAININGS[name], threads)
        labels = arrays.assign(samples, book, threads)
        found.add((book.weights.tobytes(), book.hits.tobytes(), labels.tobytes()))
    assert len(found) == 1


@pytest.mark.parametrize("nodes", [1, 4, 5, 6, 11, 26])
@pytest.mark.parametrize("count", [1, 15, 16, 17, TILE, TILE + 1, 700])
def test_any_number_of_nodes_and_samples_is_searched_whole(nodes, count):
    samples, weights = cloud(count, 3), cloud(nodes, 3, seed=1)
    assert np.array_equal(nearest_nodes(samples, weights), naive_som.nearest(samples, weights))


def test_a_samples_node_does_not_depend_on_where_it_stands():
    samples, weights = cloud(40_000, 5), cloud(25, 5, seed=1)
    whole = nearest_nodes(samples, weights)
    for start in (1, 7, 16, 8191, 8193):
        assert np.array_equal(nearest_nodes(samples[start:], weights), whole[start:])
    for one in (0, 8191, 8192, 39_999):
        assert nearest_nodes(samples[one : one + 1], weights)[0] == whole[one]


def test_the_shift_of_nodes_rounds_nothing_where_they_lie_far_away():
    weights = cloud(9, 3) + np.float32(2**20)
    table = node_table(weights)
    assert np.array_equal(table.nodes + table.shift, weights)
    assert np.abs(table.nodes).max() < 30


def test_a_constant_feature_does_not_disturb_the_search():
    samples, weights = cloud(500, 3), cloud(6, 3, seed=1)
    samples[:, 1], weights[:, 1] = 1e6, 1e6
    expected = naive_som.nearest(samples[:, [0, 2]], weights[:, [0, 2]])
    assert np.array_equal(nearest_nodes(samples, weights), expected)


def test_samples_that_cannot_be_written_to_and_other_floats_are_read():
    samples, book = cloud(500), Codebook(cloud(6, seed=1), (2, 3))
    expected = arrays.assign(samples, book)
    locked = samples.copy()
    locked.flags.writeable = False
    assert np.array_equal(arrays.assign(locked, book), expected)
    assert np.array_equal(arrays.assign(samples.astype(">f8"), book), expected)
    assert np.array_equal(arrays.assign(np.round(samples).astype("i8"), book).shape, (500,))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 300, 8192, 8999])
def test_a_value_that_is_no_number_is_found_wherever_it_stands(bad, row):
    samples = cloud(9000)
    samples[row, 2] = bad
    for work in (
        lambda: arrays.fit(samples, (2, 2)),
        lambda: arrays.assign(samples, Codebook(cloud(4), (2, 2))),
    ):
        with pytest.raises(ShapeError, match=f"1 of 9000 samples .* the first is row {row}"):
            work()


def test_values_too_large_for_float32_arithmetic_are_refused():
    samples = cloud(100)
    samples[7, 1] = 1e30
    with pytest.raises(ShapeError, match=r"beyond .*scale them"):
        arrays.fit(samples, (2, 2))
    assert float(LARGEST) == pytest.approx(1e15)


def test_a_warm_start_keeps_the_nodes_where_they_were():
    samples = cloud()
    first = arrays.fit(samples, (3, 3))
    again = arrays.fit(samples, (3, 3), training=Training(first))
    moved = np.linalg.norm(again.weights - first.weights, axis=1)
    assert moved.max() < 0.5
    assert again.quantization_error <= first.quantization_error * 1.001
    nodes = arrays.fit(samples, (3, 3), training=Training(first.weights))
    assert np.array_equal(nodes.weights, again.weights)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        (Training("centre"), "unknown start 'centre'"),
        (Training(np.zeros((4, 4), "f4")), r"must be \(9, 4\) finite nodes"),
        (Training(np.full((9, 4), np.nan)), "finite nodes"),
        (Training(final_radius=0.0), "not usable"),
        (Training(tolerance=-1.0), "not usable"),
        (Training(topology="round"), "unknown topology"),
    ],
)
def test_a_training_that_cannot_be_is_refused(training, words):
    with pytest.raises(ShapeError, match=words):
        arrays.fit(cloud(), (3, 3), training=training)


def test_a_fit_ends_when_nothing_moves_and_tells_after_how_many_epochs():
    samples = cloud()
    long = arrays.fit(samples, (3, 3), epochs=200)
    assert 180 <= long.epochs_run < 200  # the radius shrinks over nine tenths of the epochs
    still = arrays.fit(samples, (3, 3), epochs=200, training=Training(long))
    assert still.epochs_run < 20
    restless = arrays.fit(samples, (3, 3), epochs=12, training=Training(tolerance=0.0))
    assert restless.epochs_run == 12


def test_a_small_far_regime_gets_a_node_only_with_care_for_the_rare():
    rng = np.random.default_rng(0)
    body, lesion = rng.normal(0, 1, (20_000, 3)), rng.normal(30, 0.3, (60, 3))
    samples = np.concatenate([body, lesion]).astype("f4")
    book = arrays.fit(samples, (3, 3), epochs=20, training=Training(final_radius=0.15, rare=True))
    node = arrays.assign(samples, book)
    assert set(node[-60:]).isdisjoint(node[:-60])
    assert np.abs(book.weights[node[-1]] - 30).max() < 0.5


@pytest.mark.parametrize("grid", [(1, 1), (3, 3), (4, 6)])
@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
def test_tiny_constant_and_repeated_samples_are_fitted(grid, training):
    for samples in (
        np.array([[1.0]], "f4"),
        np.full((9, 2), 3.0, "f4"),
        np.repeat(cloud(3, 2), 50, axis=0),
        cloud(9, 1),
    ):
        book = arrays.fit(samples, grid, training=training)
        assert np.isfinite(book.weights).all()
        assert book.hits.sum() == len(samples)
        if np.ptp(samples) == 0.0:
            assert book.quantization_error == 0.0


def test_single_feature_nodes_lie_in_order():
    samples = np.random.default_rng(0).uniform(0, 1, (5000, 1)).astype("f4")
    book = arrays.fit(samples, (1, 10))
    assert (np.diff(book.weights[:, 0]) > 0).all()
    assert book.topographic_error == 0.0


def test_the_map_takes_the_start_that_the_seed_draws_whatever_the_threads():
    samples = cloud(20_000)
    first, second = (
        arrays.fit(samples, (3, 3), 5, training=Training("samples"), threads=t) for t in (1, 2)
    )
    assert np.array_equal(first.weights, second.weights)


def test_distances_come_with_the_nodes():
    samples, weights = cloud(9000, 3), cloud(7, 3, seed=1)
    nodes, distances = nodes_and_distances(samples, weights, threads=2)
    assert np.array_equal(nodes, nearest_nodes(samples, weights))
    assert np.allclose(distances, np.linalg.norm(samples - weights[nodes], axis=1), atol=1e-5)
    assert [len(part) for part in nodes_and_distances(samples[:0], weights)] == [0, 0]
    assert len(nearest_nodes(samples[:0], weights)) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_no_infinite_value_slips_past_the_scores(bad, column):
    # Nodes that are alike, all above or all below the shift in the bad feature.
    weights = np.array([[0, 5, 1], [0, 6, 2], [0, -9, 3]], "f4")
    samples = np.zeros((300, 3), "f4")
    samples[200, column] = bad
    with pytest.raises(ShapeError, match="first is row 200"):
        nearest_nodes(samples, weights)
    with pytest.raises(ShapeError, match="first is row 200"):
        arrays.assign(samples, Codebook(weights, (1, 3)))


ROUNDING_DECIDES = """
import hashlib
import numpy as np
from somray.kernels.som.passes import nearest_nodes

rng = np.random.default_rng(0)
nodes = rng.normal(0, 1, (2, 7))
across = nodes[1] - nodes[0]
samples = rng.normal(0, 3, (20_000, 7))
samples -= np.outer(samples @ across, across) / (across @ across)  # in the plane between the nodes
found = nearest_nodes((samples + nodes.mean(axis=0)).astype("f4"), nodes.astype("f4"))
digest = hashlib.sha256(found.tobytes()).hexdigest()
"""


def test_a_processor_without_fused_multiply_add_finds_the_same_nodes(tmp_path):
    here = {}
    exec(ROUNDING_DECIDES, here)
    assert 0.1 < here["found"].mean() < 0.9
    plain = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    code = ROUNDING_DECIDES + "print(digest)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=os.environ | plain, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == here["digest"]
