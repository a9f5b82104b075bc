import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, ward

from somray.errors import ShapeError
from somray.kernels.classes.groups import group_nodes


def clusters(seed=0, sizes=(6, 5, 8)):
    """Nodes in well separated clusters (k, 4), what each stands for, and its cluster by level."""
    rng = np.random.default_rng(seed)
    middle = np.array([[0.0, 0, 0, 0], [6, 0, 3, 0], [12, 5, 0, 3]])
    truth = np.repeat(np.arange(3), sizes)
    return rng.normal(middle[truth], 0.4), rng.integers(1, 500, len(truth)), truth


def same_partition(a, b):
    return len(set(zip(a, b, strict=True))) == len(set(a)) == len(set(b))


def test_regimes_that_lie_apart_are_groups_numbered_from_the_darkest():
    points, hits, truth = clusters()
    assert np.array_equal(group_nodes(points, hits, points[:, 0], 0.9), truth)


@pytest.mark.parametrize("seed", range(4))
def test_equal_weights_give_wards_tree_of_scipy(seed):
    points = np.random.default_rng(seed).normal(size=(30, 3))
    for explained in (0.3, 0.6, 0.9):
        found = group_nodes(points, np.ones(30), points[:, 0], explained)
        expected = fcluster(ward(points), int(found.max()) + 1, "maxclust")
        assert same_partition(found, expected)


def test_a_node_that_weighs_as_three_counts_as_three_nodes():
    rng = np.random.default_rng(5)
    points, weight = rng.normal(size=(20, 2)), rng.integers(1, 4, 20)
    found = group_nodes(points, weight, points[:, 0], 0.7)
    many = np.repeat(points, weight, axis=0)
    expected = fcluster(ward(many), int(found.max()) + 1, "maxclust")
    assert same_partition(np.repeat(found, weight), expected)


def test_groups_are_the_fewest_that_keep_the_variance():
    points, hits, _ = clusters(3)
    level = points[:, 0]
    mass = hits / hits.sum()

    def kept(group):
        means = [np.average(points[group == g], axis=0, weights=hits[group == g]) for g in group]
        mean = mass @ points
        return (mass @ ((means - mean) ** 2).sum(1)) / (mass @ ((points - mean) ** 2).sum(1))

    for explained in (0.5, 0.8, 0.95, 0.99):
        assert kept(group_nodes(points, hits, level, explained)) >= explained - 1e-12


def test_the_order_of_the_nodes_does_not_matter():
    points, hits, _ = clusters(1)
    points = np.vstack([points, points[:3]])  # with ties
    hits = np.concatenate([hits, hits[:3]])
    order = np.random.default_rng(2).permutation(len(hits))
    found = group_nodes(points, hits, points[:, 0])
    assert np.array_equal(group_nodes(points[order], hits[order], points[order, 0]), found[order])


def test_the_unit_of_the_hits_does_not_matter():
    points, hits, _ = clusters(2)
    found = group_nodes(points, hits, points[:, 0])
    assert np.array_equal(group_nodes(points, hits / hits.sum(), points[:, 0]), found)


def test_nodes_that_won_nothing_belong_to_no_group():
    points, hits, truth = clusters()
    hits[[0, 7]] = 0
    points[7] = np.nan
    found = group_nodes(points, hits, np.nan_to_num(points[:, 0]), 0.9)
    assert found[[0, 7]].tolist() == [-1, -1]
    rest = hits > 0
    assert np.array_equal(found[rest], truth[rest])
    assert group_nodes(points, hits * 0, np.zeros(len(hits))).tolist() == [-1] * len(hits)


def test_equal_nodes_are_one_group():
    assert group_nodes(np.ones((5, 2)), np.ones(5), np.ones(5)).tolist() == [0] * 5


def test_what_does_not_fit_is_refused():
    points, hits, _ = clusters()
    with pytest.raises(ShapeError, match="do not fit"):
        group_nodes(points, hits[:-1], points[:, 0])
    with pytest.raises(ShapeError, match="not negative"):
        group_nodes(points, -hits, points[:, 0])
    points[0] = np.nan
    with pytest.raises(ShapeError, match="not finite"):
        group_nodes(points, hits, points[:, 1])
