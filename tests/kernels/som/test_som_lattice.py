import numpy as np
import pytest
from minisom import MiniSom

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som import arrays
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.maps import hit_map, quantization_error, topographic_error, u_matrix


def cloud(count=2000, features=4, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (6, features))
    return (centers[rng.integers(0, 6, count)] + rng.normal(0, 0.4, (count, features))).astype("f4")


def test_a_rectangular_node_has_eight_neighbours_and_a_corner_three():
    near = Lattice((4, 5)).neighbours
    assert near[7].sum() == 8
    assert np.flatnonzero(near[0]).tolist() == [1, 5, 6]


def test_a_hexagonal_node_has_six_neighbours_all_one_step_away():
    lattice = Lattice((5, 5), "hexagonal")
    assert lattice.neighbours[12].sum() == 6
    assert np.allclose(lattice.squared_distances[lattice.neighbours], 1.0)
    # Row 2 stands flush, rows 1 and 3 half a step to the right: left and upper left are 6 and 16.
    assert np.flatnonzero(lattice.neighbours[12]).tolist() == [6, 7, 11, 13, 16, 17]


@pytest.mark.parametrize(("topology", "count"), [("rectangular", 8), ("hexagonal", 6)])
def test_every_node_of_a_torus_has_all_its_neighbours(topology, count):
    lattice = Lattice((4, 6), topology, wraps=True)
    assert (lattice.neighbours.sum(1) == count).all()


@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
def test_a_torus_looks_the_same_from_every_node(topology):
    distances = Lattice((4, 6), topology, wraps=True).squared_distances
    for row in distances:
        assert np.allclose(np.sort(row), np.sort(distances[0]))
    assert np.allclose(distances, distances.T)


@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("grid", [(4, 5), (2, 7), (6, 1)])
def test_spreading_adds_the_neighbourhood_node_by_node(topology, wraps, grid):
    lattice = Lattice(grid, topology, wraps)
    values = np.random.default_rng(0).normal(size=(lattice.nodes, 3))
    found = lattice.spread(values, 0.8)
    bell = np.exp(-lattice.squared_distances / (2 * 0.8**2))
    for node in range(lattice.nodes):
        assert np.allclose(found[node], (bell[node][:, None] * values).sum(0), rtol=1e-12)


@pytest.mark.parametrize(
    ("grid", "topology", "wraps", "words"),
    [
        ((0, 3), "rectangular", False, "rows and columns"),
        ((3, 3), "triangular", False, "known: rectangular, hexagonal"),
        ((3, 4), "hexagonal", True, "even number of rows"),
    ],
)
def test_a_lattice_that_does_not_exist_is_refused(grid, topology, wraps, words):
    with pytest.raises(ShapeError, match=words):
        Lattice(grid, topology, wraps)


def twin(book):
    """Return minisom with the same nodes; its hexagons lie the other way round: (column, row)."""
    rows, columns = book.grid
    flipped = book.topology == "hexagonal"
    shape = (columns, rows) if flipped else (rows, columns)
    other = MiniSom(*shape, book.weights.shape[1], topology=book.topology)
    nodes = book.weights.astype(float).reshape(rows, columns, -1)
    other._weights = nodes.transpose(1, 0, 2).copy() if flipped else nodes
    return other


@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
def test_topographic_error_is_minisoms(topology):
    # minisom shifts every other row counted from the last: with an odd number of rows the lattice is
    # ours (with an even number its distances contradict its own U-matrix).
    samples = cloud()
    book = arrays.fit(samples, (5, 6), epochs=4, training=arrays.Training(topology=topology))
    expected = twin(book).topographic_error(samples.astype(float))
    assert book.topographic_error == pytest.approx(expected, abs=1e-3)
    assert topographic_error(samples, book) == book.topographic_error
    assert quantization_error(samples, book) == book.quantization_error


@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
def test_u_matrix_is_minisoms_but_for_its_scale(topology):
    book = arrays.fit(cloud(), (5, 6), epochs=4, training=arrays.Training(topology=topology))
    expected = twin(book).distance_map(scaling="mean")
    if topology == "hexagonal":
        expected = expected.T
    found = u_matrix(book)
    assert found.shape == (5, 6)
    assert np.allclose(found / found.max(), expected, atol=1e-6)


def test_u_matrix_of_a_ramp_is_its_step_and_of_a_lone_node_nothing():
    nodes = np.arange(5, dtype="f4")[:, None] * np.array([3.0, 4.0], "f4")
    book = arrays.measure(nodes, nodes, (1, 5))
    assert np.allclose(u_matrix(book), 5.0)
    assert u_matrix(arrays.fit(nodes, (1, 1))).tolist() == [[0.0]]


def test_hits_lie_as_the_grid_does():
    samples = cloud()
    book = arrays.fit(samples, (3, 4))
    assert hit_map(book).shape == (3, 4)
    assert hit_map(book)[1, 2] == (arrays.assign(samples, book) == 6).sum()


def test_a_codebook_without_hits_has_no_hit_map():
    with pytest.raises(ShapeError, match="holds no hits"):
        hit_map(Codebook(np.zeros((4, 2), "f4"), (2, 2)))


@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
@pytest.mark.parametrize("wraps", [False, True])
def test_every_topology_is_fitted_and_told(topology, wraps):
    book = arrays.fit(cloud(), (4, 4), training=arrays.Training(topology=topology, wraps=wraps))
    assert (book.topology, book.wraps) == (topology, wraps)
    assert book.quantization_error < 1.5
    assert np.isfinite(book.weights).all()


def test_a_torus_meets_a_ring_without_a_seam():
    # A ring of samples: on a planar chain the two ends are no neighbours, on a torus they are.
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1).astype("f4")
    start = ring[:: len(ring) // 12][:12]
    training = {wraps: arrays.Training(start, 0.6, wraps=wraps) for wraps in (False, True)}
    planar, torus = (arrays.fit(ring, (1, 12), training=training[w]) for w in (False, True))
    assert torus.topographic_error == 0.0
    assert planar.topographic_error > 0.04
    sides = np.linalg.norm(torus.weights - np.roll(torus.weights, 1, 0), axis=1)
    assert sides.max() < 1.02 * sides.min()
