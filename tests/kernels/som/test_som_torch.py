import numpy as np
import pytest
import torch

from somray.errors import ShapeError
from somray.kernels.som import arrays, passes
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.passes import NodeQuery
from somray.kernels.som.torch_passes import TorchPasses, fit_torch

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
        ],
    ),
]


def cloud(count=3000, features=4, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (6, features))
    return (centers[rng.integers(0, 6, count)] + rng.normal(0, 0.4, (count, features))).astype("f4")


@pytest.mark.parametrize("device", DEVICES)
def test_sums_tails_and_worst_samples_are_those_of_the_compiled_passes(device):
    samples, weights = cloud(90_000) + np.float32(50), cloud(9, seed=4) + np.float32(50)
    query = NodeQuery(weights, np.linspace(0.5, 20, 9), worst=7)
    found = TorchPasses(samples, device).node_sums(query)
    expected = passes.node_sums_of(samples, query)
    for name in ("counts", "tail_counts"):
        assert np.abs(getattr(found, name) - getattr(expected, name)).max() <= 1, name
    for name in ("sums", "errors", "tail_sums", "tail_errors", "worst_errors"):
        assert np.allclose(getattr(found, name), getattr(expected, name), rtol=1e-3), name
    assert np.allclose(found.worst, expected.worst)


@pytest.mark.parametrize("device", DEVICES)
def test_moments_and_rows_are_those_of_the_compiled_passes(device):
    samples = cloud(70_000)
    there, here = TorchPasses(samples, device), passes.ArrayPasses(samples)
    found, expected = there.moments(), here.moments()
    assert found.count == expected.count
    assert np.allclose(found.mean, expected.mean, rtol=1e-10)
    assert np.allclose(found.covariance, expected.covariance, rtol=1e-9)
    numbers = np.array([5, 69_999, 5])
    assert np.array_equal(there.rows(numbers), here.rows(numbers))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("grid", [(1, 1), (3, 4)])
def test_errors_are_those_of_the_compiled_passes(device, grid):
    samples, lattice = cloud(), Lattice(grid)
    weights = cloud(lattice.nodes, seed=5)
    found = TorchPasses(samples, device).errors(weights, lattice)
    expected = passes.errors_of(samples, weights, lattice)
    assert np.array_equal(found.hits, expected.hits)
    assert np.allclose(found.distances, expected.distances, rtol=1e-6)
    assert np.abs(found.misses - expected.misses).max() <= 1


@pytest.mark.parametrize("device", DEVICES)
def test_a_map_fitted_by_torch_is_ours_but_for_rounding(device):
    samples = cloud()
    for training in (arrays.Training(), arrays.Training(final_radius=0.15, rare=True)):
        found = fit_torch(samples, (4, 4), training=training, device=device)
        expected = arrays.fit(samples, (4, 4), training=training)
        assert found.quantization_error == pytest.approx(expected.quantization_error, rel=1e-2)
        assert found.epochs_run == expected.epochs_run


@pytest.mark.parametrize("device", DEVICES)
def test_torch_repeats_itself_to_the_bit(device):
    samples = cloud(70_000)
    first, second = (fit_torch(samples, (5, 5), epochs=3, device=device) for _ in range(2))
    assert first.weights.tobytes() == second.weights.tobytes()


@pytest.mark.parametrize("name", ["cuda:77", "no_such_device"])
def test_a_device_that_is_not_there_is_one_clear_error(name):
    with pytest.raises(ShapeError, match=f"{name}.*cannot be used here.*engine somray"):
        fit_torch(cloud(), (2, 2), device=name)


def test_torch_refuses_what_the_compiled_passes_refuse():
    with pytest.raises(ShapeError, match="NaN"):
        fit_torch(np.array([[np.nan, 1.0]], "f4"), (1, 1), device="cpu")
