import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.classes import name_nodes
from somray.kernels.classes_profile import NodeProfile, profile_groups
from somray.kernels.classes_rule import NodeView
from somray.kernels.classes_uptake import uptake_histogram, uptake_of

BACKGROUND, NORMAL, LESION, BOUNDARY = 1, 2, 3, 4
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
    expected = [BACKGROUND, NORMAL, NORMAL, LESION, NORMAL, NORMAL]
    assert found.node_classes.tolist() == expected
    assert not found.doubtful
    assert "lesion level of 2" in found.reasons["lesion"]


def test_in_petct_without_a_hot_node_the_hottest_is_taken_and_doubted():
    nodes = view(*PETCT, [[50, 50, -160], [1.0, 1.5, 0]], [0.4, 0.4, 0.2], level=2.0)
    found = name_nodes(nodes)
    assert found.node_classes.tolist() == [NORMAL, LESION, BACKGROUND]
    assert "0.75 levels" in found.doubtful["lesion"]


def test_hot_steep_tissue_is_still_lesion_and_cold_steep_tissue_a_boundary():
    nodes = view(*PETCT, [[50, 50], [4, 1]], [0.5, 0.5], edge=[2, 2], level=2.0)
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


def test_profiles_are_the_means_and_spreads_of_each_group():
    rng = np.random.default_rng(0)
    values, group = rng.normal(size=(3, 500)).astype("f4"), rng.integers(0, 4, 500)
    found = profile_groups(values, group, 6, np.full(3, 2.0, "f4"), np.full(3, 4.0, "f4"))
    for g in range(4):
        assert np.allclose(found.mean[g], values[:, group == g].mean(1), atol=1e-6)
        assert np.allclose(found.std[g], values[:, group == g].std(1), atol=1e-6)
    assert np.isnan(found.mean[4:]).all()
    assert found.share.sum() == pytest.approx(1)
    assert np.allclose(found.raw(1)[:4], found.mean[:4, 1] * 4 + 2)


def test_uptake_is_read_from_background_and_peak_on_a_logarithmic_scale():
    pet = np.concatenate([np.full(99_000, 0.5), np.full(1000, 8.0)]).astype("f4")
    found = uptake_of(uptake_histogram(pet), has_air=False)
    assert found.background == pytest.approx(0.5, rel=0.012)
    assert found.peak == pytest.approx(8.0, rel=0.012)
    assert found.lesion == pytest.approx(2.0, rel=0.012)


def test_uptake_scales_with_the_unit():
    pet = np.random.default_rng(0).lognormal(0, 1, 50_000).astype("f4")
    small, large = (uptake_of(uptake_histogram(pet * f)).lesion for f in (1, 3000))
    assert large == pytest.approx(3000 * small, rel=0.03)


def test_parts_of_a_scan_count_as_the_whole_in_any_order():
    rng = np.random.default_rng(1)
    pet, ct = rng.lognormal(0, 1, (8, 20, 20)).astype("f4"), rng.normal(0, 500, (8, 20, 20))
    whole = uptake_histogram(pet, ct)
    parts = sum(uptake_histogram(pet[z : z + 1], ct[z : z + 1]) for z in (3, 1, 7, 0, 2, 6, 5, 4))
    assert np.array_equal(whole, parts)


def test_air_does_not_lower_the_level():
    rng = np.random.default_rng(2)
    body = rng.lognormal(np.log(0.6), 0.2, 20_000)
    body[:200] = 9.0
    air = np.abs(rng.normal(0, 0.01, 60_000))
    with_air = uptake_of(uptake_histogram(np.concatenate([body, air]).astype("f4")))
    without = uptake_of(uptake_histogram(body.astype("f4")), has_air=False)
    assert with_air.lesion == pytest.approx(without.lesion, rel=0.05)


def test_an_even_subject_has_no_lesion_at_its_own_background():
    found = uptake_of(uptake_histogram(np.full(1000, 2.0, "f4")))
    assert found.lesion == pytest.approx(3.0, rel=0.02)


def test_uptake_refuses_nothing_and_shapes_that_differ():
    with pytest.raises(ShapeError, match="no pixel"):
        uptake_of(uptake_histogram(np.full(5, np.nan, "f4")))
    with pytest.raises(ShapeError, match="different shapes"):
        uptake_histogram(np.zeros(5, "f4"), np.zeros(4, "f4"))
