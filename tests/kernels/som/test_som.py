import numpy as np
import pytest

import somray
from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som import arrays
from somray.kernels.som.minisom_engine import fit_minisom
from tests.kernels import naive_som


def cloud(count=3000, features=4, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (6, features))
    return (centers[rng.integers(0, 6, count)] + rng.normal(0, 0.4, (count, features))).astype("f4")


@pytest.mark.parametrize("features", [1, 3, 5, 7, 10, 20])
def test_assign_finds_the_nearest_node_of_the_oracle(features):
    samples = cloud(700, features)
    weights = cloud(12, features, seed=1)
    found = arrays.assign(samples, Codebook(weights, (3, 4)))
    assert np.array_equal(found, naive_som.nearest(samples, weights))


def test_assign_far_from_the_origin_keeps_its_digits():
    samples = cloud(500, 3)
    weights = cloud(9, 3, seed=1)
    moved = Codebook(weights + np.float32(4096), (3, 3))
    near = arrays.assign((samples + np.float32(4096)).astype("f4"), moved)
    assert (near == arrays.assign(samples, Codebook(weights, (3, 3)))).mean() > 0.99


def test_ties_go_to_the_lower_node():
    book = Codebook(np.array([[0.0], [2.0], [0.0]], "f4"), (1, 3))
    assert arrays.assign(np.array([[0.0], [1.0]], "f4"), book).tolist() == [0, 0]


def test_any_strides_are_assigned_alike():
    samples = cloud(999, 6)
    book = Codebook(cloud(9, 6, seed=2), (3, 3))
    expected = arrays.assign(samples, book)
    assert np.array_equal(arrays.assign(np.asfortranarray(samples), book), expected)
    assert np.array_equal(arrays.assign(samples.T.copy().T, book), expected)
    assert np.array_equal(arrays.assign(samples[::3], book), expected[::3])
    assert np.array_equal(arrays.assign(samples.astype("f8"), book), expected)


@pytest.mark.parametrize("grid", [(3, 3), (5, 4), (1, 6)])
def test_quantization_and_topographic_error_are_the_oracles(grid):
    samples = cloud()
    book = arrays.fit(samples, grid, epochs=5)
    quantization, topographic = naive_som.errors(samples, book.weights, grid)
    assert book.quantization_error == pytest.approx(quantization, rel=1e-5)
    assert book.topographic_error == pytest.approx(topographic, abs=2e-3)
    assert book.hits.sum() == len(samples)


def test_the_same_bits_come_out_on_any_number_of_threads():
    samples = cloud(40_000)
    one, three = (arrays.fit(samples, (4, 4), epochs=4, threads=t) for t in (1, 3))
    assert np.array_equal(one.weights, three.weights)
    assert one.quantization_error == three.quantization_error


def test_the_same_bits_come_out_of_any_strides():
    samples = cloud(5000)
    assert np.array_equal(
        arrays.fit(samples, (3, 3)).weights, arrays.fit(np.asfortranarray(samples), (3, 3)).weights
    )


def test_a_fit_finds_the_groups_of_a_cloud():
    samples = cloud(6000)
    book = arrays.fit(samples, (4, 4))
    assert book.quantization_error < 0.9
    assert book.grid == (4, 4)
    assert book.topology == "rectangular"


def test_more_epochs_and_more_nodes_fit_better():
    samples = cloud()
    errors = [arrays.fit(samples, g).quantization_error for g in ((2, 2), (4, 4), (8, 8))]
    assert errors == sorted(errors, reverse=True)


def test_a_fit_is_as_good_as_minisoms():
    samples = cloud(800)
    ours = arrays.fit(samples, (4, 4), epochs=10)
    theirs = fit_minisom(samples, (4, 4), epochs=10)
    assert ours.quantization_error <= 1.02 * theirs.quantization_error


def test_minisom_repeats_itself_for_a_seed():
    samples = cloud(200)
    first, second = (fit_minisom(samples, (1, 5), seed=s, epochs=3) for s in (7, 7))
    assert np.array_equal(first.weights, second.weights)


def test_a_lone_node_lies_on_the_mean():
    samples = cloud(500)
    book = arrays.fit(samples, (1, 1))
    assert np.allclose(book.weights[0], samples.mean(0), atol=1e-5)
    assert book.topographic_error == 0.0


def test_no_node_is_left_without_samples_where_there_are_enough():
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.normal(0, 0.01, (3000, 2)), rng.normal(8, 0.01, (40, 2))])
    assert (arrays.fit(samples.astype("f4"), (4, 4)).hits > 0).mean() > 0.8


def test_equal_samples_give_a_map_of_equal_nodes():
    book = arrays.fit(np.full((50, 3), 2.0, "f4"), (2, 2))
    assert np.array_equal(book.weights, np.full((4, 3), 2.0, "f4"))
    assert book.quantization_error == 0.0


def test_fewer_samples_than_nodes_are_each_met():
    samples = cloud(5)
    assert arrays.fit(samples, (4, 4)).quantization_error < 0.5


def test_a_drawn_start_follows_the_seed():
    samples = cloud()
    first, second, third = (
        arrays.fit(samples, (3, 3), seed=s, epochs=1, training=arrays.Training(start="samples"))
        for s in (1, 1, 2)
    )
    assert np.array_equal(first.weights, second.weights)
    assert not np.array_equal(first.weights, third.weights)


@pytest.mark.parametrize("fit", [arrays.fit, fit_minisom])
@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        (np.zeros((0, 3)), {}, "n, f > 0"),
        (np.zeros(3), {}, "n, f > 0"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), {}, "1 of 2 samples .* row 1"),
        (np.array([[np.inf, 1.0]]), {}, "row 0"),
        (np.zeros((4, 2)), {"grid": (0, 3)}, "not usable"),
        (np.zeros((4, 2)), {"epochs": 0}, "not usable"),
    ],
)
def test_what_cannot_be_fitted_is_refused(fit, samples, options, words):
    with pytest.raises(ShapeError, match=words):
        fit(samples, **options)


def test_assign_refuses_other_features_and_no_threads():
    book = Codebook(np.zeros((1, 3), "f4"), (1, 1))
    with pytest.raises(ShapeError, match="2 features, the codebook has 3"):
        arrays.assign(np.zeros((4, 2), "f4"), book)
    with pytest.raises(ShapeError, match="threads"):
        arrays.assign(np.zeros((4, 3), "f4"), book, threads=0)


def test_the_public_names_give_what_the_kernels_do():
    samples = np.random.default_rng(0).normal(size=(300, 3))
    public, own = somray.som.fit(samples, (3, 3), 1, 4), arrays.fit(samples, (3, 3), 1, 4)
    assert public.weights.tobytes() == own.weights.tobytes()
    nodes = somray.som.assign(samples, public)
    assert nodes.tobytes() == arrays.assign(samples, own).tobytes()
