import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.classes.names import name_nodes
from somray.kernels.classes.profiles import NodeProfile
from somray.kernels.classes.rule import NodeView

BACKGROUND, NORMAL, LESION, BOUNDARY = 1, 2, 3, 4
PHYSIOLOGICAL = 10
HU = (-300.0, 500.0)


def view(kinds, windows, levels, share, edge=None, level=None):
    """Nodes with given values per channel (in the image's unit) and given standardised edges."""
    columns = []
    for channel, (low, high) in enumerate(windows):
        columns += [(np.asarray(levels[channel], float) - low) / (high - low)]
        columns += [np.zeros(len(share)) if edge is None else np.asarray(edge, float)]
    mean = np.stack(columns, 1)
    unit = (np.zeros(mean.shape[1]), np.ones(mean.shape[1]))
    profile = NodeProfile(np.asarray(share, float), mean, np.zeros_like(mean), *unit)
    return NodeView(profile, kinds, ("mean5", "edge"), windows, level)


def on_ct(levels, share, edge=None, **options):
    return name_nodes(view(("CT",), (HU,), [levels], share, edge), **options)


PETCT = (("CT", "PET"), ((-160.0, 180.0), (0.0, 6.0)))


def test_in_petct_hot_soft_tissue_is_lesion_and_a_hot_bladder_is_not():
    nodes = view(*PETCT, [[-160, -100, 50, 50, 2, 150], [0, 1, 1, 4, 6, 4]], [1 / 6] * 6, level=2.0)
    found = name_nodes(nodes)
    expected = [BACKGROUND, NORMAL, NORMAL, LESION, PHYSIOLOGICAL, PHYSIOLOGICAL]
    assert found.node_classes.tolist() == expected
    assert found.names[PHYSIOLOGICAL] == "physiological"
    assert set(found.doubtful) == {"physiological"}
    assert "urine" in found.doubtful["physiological"]
    assert "lesion level of 2" in found.reasons["lesion"]
    assert "brain, heart" in found.reasons["lesion"]


def test_the_physiological_class_is_named_only_where_something_is_of_it():
    nodes = view(*PETCT, [[-160, 50, 50], [0, 1, 4]], [0.4, 0.4, 0.2], level=2.0)
    found = name_nodes(nodes)
    assert PHYSIOLOGICAL not in found.names
    assert not found.doubtful


def test_uptake_that_spills_into_air_is_no_uptake():
    nodes = view(*PETCT, [[-150, 50, 50], [5, 1, 4]], [0.4, 0.4, 0.2], level=2.0)
    assert name_nodes(nodes).node_classes.tolist() == [BACKGROUND, NORMAL, LESION]


def test_in_petct_without_a_hot_node_the_hottest_is_taken_and_doubted():
    nodes = view(*PETCT, [[50, 50, -160], [1.0, 1.5, 0]], [0.4, 0.4, 0.2], level=2.0)
    found = name_nodes(nodes)
    assert found.node_classes.tolist() == [NORMAL, LESION, BACKGROUND]
    assert "0.75 levels" in found.doubtful["lesion"]


def test_hot_steep_tissue_is_still_lesion_and_cold_steep_tissue_a_boundary():
    nodes = view(*PETCT, [[50, 50], [4, 1]], [0.5, 0.5], edge=[3, 3], level=2.0)
    assert name_nodes(nodes).node_classes.tolist() == [LESION, BOUNDARY]


def test_pet_alone_is_doubtful_because_organs_are_hot_too():
    nodes = view(("PET",), ((0.0, 6.0),), [[0.05, 1, 5]], [0.6, 0.3, 0.1], level=2.0)
    found = name_nodes(nodes)
    assert found.node_classes.tolist() == [BACKGROUND, NORMAL, LESION]
    assert "bladder" in found.doubtful["lesion"]


def test_pet_needs_a_level():
    with pytest.raises(ShapeError, match="lesion level"):
        name_nodes(view(("PET",), ((0.0, 6.0),), [[1.0]], [1.0]))


def test_a_windows_end_is_no_limit_to_soft_tissue():
    narrow = view(
        ("CT", "PET"), ((20.0, 90.0), (0.0, 6.0)), [[20, 90], [4, 4]], [0.5, 0.5], level=2
    )
    assert name_nodes(narrow).node_classes.tolist() == [LESION, LESION]


def test_the_persons_word_beats_the_rule_and_ends_the_doubt():
    found = on_ct([50, 60, 400], [0.5, 0.4, 0.1], override={"lesion": [0], "normal": [2]})
    assert found.node_classes.tolist() == [LESION, NORMAL, NORMAL]
    assert "lesion" not in found.doubtful
    assert "configuration" in found.reasons["lesion"]


def test_a_persons_own_classes_are_numbered_after_the_rules_in_alphabetical_order():
    found = on_ct(
        [50, 60, 400], [0.5, 0.4, 0.1], override={"rib": [2], "muscle": [1]}, target="rib"
    )
    assert found.names[11] == "muscle"
    assert found.names[12] == "rib"
    assert found.node_classes.tolist() == [NORMAL, 11, 12]


def test_a_person_who_names_a_class_of_the_rules_gets_its_number():
    found = on_ct([50, 60, 400], [0.5, 0.4, 0.1], override={"fat": [1], "alloy": [0]})
    assert {5: "fat", 11: "alloy"}.items() <= found.names.items()
    assert found.node_classes.tolist() == [11, 5, LESION]


def test_a_class_without_nodes_is_named_as_such():
    found = on_ct([50, 60, 400], [0.5, 0.4, 0.1])
    assert "no node" in found.reasons["background"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"override": {"lesion": [9]}}, "nodes are 0 to 2"),
        ({"override": {"lesion": [1], "normal": [1]}}, "named both"),
        ({"target": "tumour"}, "no class of this teacher"),
    ],
)
def test_a_wrong_word_of_the_person_is_refused(options, words):
    with pytest.raises(ShapeError, match=words):
        on_ct([50, 60, 400], [0.5, 0.4, 0.1], **options)
