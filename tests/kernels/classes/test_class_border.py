import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from somray.kernels.classes.border import part_at_border
from somray.kernels.classes.profiles import NodeProfile
from somray.kernels.classes.rule import LevelBorder, NodeView
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher

NORMAL, LESION, BOUNDARY = 2, 3, 4
FEATURES = ("intensity", "mean3", "mean5", "edge")
WEIGHTS = np.array([1.0, 1.0, 2.0, 0.5], "f4")
CENTER, SCALE = np.array([0.4, 0.4, 0.4, 1.0]), np.array([0.2, 0.2, 0.1, 2.0])


def view(level, spread, share, edge=None):
    """Nodes of given levels (all three alike) in a window of 0 to 1, as a rule sees them."""
    level, spread = np.asarray(level, float), np.asarray(spread, float)
    raw = np.stack([level, level, level, np.zeros(len(level)) if edge is None else edge], axis=1)
    std = np.stack([spread, spread, spread, np.ones(len(level))], axis=1) / SCALE
    profile = NodeProfile(np.asarray(share, float), (raw - CENTER) / SCALE, std, CENTER, SCALE)
    return NodeView(profile, ("XCT",), FEATURES, ((0.0, 1.0),))


def parted(seen, classes, border=0.6):
    nodes = np.nan_to_num(seen.profile.mean * WEIGHTS).astype("f4")
    found = part_at_border(
        seen, LevelBorder((0,), border), np.array(classes, np.uint8), nodes, WEIGHTS
    )
    return nodes, found


def levels_of(nodes):
    return nodes[:, :3] / WEIGHTS[:3] * SCALE[:3] + CENTER[:3]


RIM = {
    "level": [0.20, 0.21, 0.40, 0.90, 0.55],
    "spread": [0.01, 0.01, 0.01, 0.01, 0.10],
    "share": [0.05, 0.05, 0.80, 0.05, 0.05],
}
CLASSES = [NORMAL, NORMAL, NORMAL, LESION, BOUNDARY]


def test_a_node_astride_the_border_becomes_one_on_each_side_as_far_from_it():
    nodes, found = parted(view(**RIM, edge=np.array([0, 0, 0, 0, 7.0])), CLASSES)
    above, below = levels_of(found)[4], levels_of(found)[1]
    assert np.allclose(above, 0.68, atol=1e-6)
    assert np.allclose(below, 0.52, atol=1e-6)
    assert found[4, 3] == found[1, 3] == nodes[4, 3]  # what is no level stays
    assert np.allclose(0.5 * (levels_of(found)[4] + levels_of(found)[1]), 0.6)


def test_its_place_is_made_by_joining_the_two_nodes_that_lose_least():
    nodes, found = parted(view(**RIM), CLASSES)
    assert np.allclose(levels_of(found)[0], 0.205, atol=1e-6)
    assert np.array_equal(found[[2, 3]], nodes[[2, 3]])


def test_an_empty_node_is_spared_first():
    seen = view([0.2, 0.3, np.nan, 0.9, 0.55], RIM["spread"], [0.05, 0.05, 0.0, 0.05, 0.05])
    nodes, found = parted(seen, [NORMAL, NORMAL, NORMAL, LESION, BOUNDARY])
    assert np.array_equal(found[[0, 1, 3]], nodes[[0, 1, 3]])
    assert np.allclose(levels_of(found)[2], 0.52, atol=1e-6)


def test_the_neighbour_of_a_large_node_keeps_its_place():
    seen = view([0.2, 0.2, 0.3, 0.35, 0.9, 0.55], [0.01] * 5 + [0.1], [0.7, 0.05] + [0.0625] * 4)
    nodes, found = parted(seen, [1, 1, NORMAL, NORMAL, LESION, BOUNDARY])
    assert np.array_equal(found[:2], nodes[:2])
    assert np.allclose(levels_of(found)[3], 0.52, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"spread": [0.01] * 5},  # all on one side
        {"share": [0.05, 0.05, 0.8495, 0.05, 0.0005]},  # too rare to be worth a node
        {"level": [0.2, 0.21, 0.4, 0.9, 0.75]},  # its tail is thin
    ],
)
def test_nodes_that_are_not_worth_it_are_left_alone(change):
    assert parted(view(**RIM | change), CLASSES)[1] is None


def test_no_node_is_taken_from_the_lesion_or_joined_with_another_class():
    assert parted(view(**RIM), [LESION, LESION, NORMAL, LESION, BOUNDARY])[1] is None
    assert parted(view(**RIM), [1, NORMAL, 5, LESION, BOUNDARY])[1] is None
    assert parted(view([0.5], [0.2], [1.0]), [NORMAL])[1] is None


def blurred_pore(size=64, seed=0):
    """A material with one round pore and noise (1, 1, y, x), and the pore."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    pore = np.hypot(y - 25.3, x - 30.6) < 6.2
    clean = np.where(pore, 5000.0, 30000.0)
    image = gaussian_filter(clean, 1.0) + rng.normal(0, 900, clean.shape)
    return image[None, None].astype("f4"), pore


@pytest.mark.parametrize("seed", range(4))
def test_a_rare_pores_border_lies_where_half_its_height_is(seed):
    image, pore = blurred_pore(seed=seed)
    model = fit_teacher(image, TeacherSpec("XCT", ("XCT",)), (1.0, 1.0)).model
    lesion = apply_teacher(model, image, (1.0, 1.0)).labels[0] == LESION
    assert 2 * (lesion & pore).sum() / (lesion.sum() + pore.sum()) > 0.95
    assert model.codebook.hits.sum() == pore.size
