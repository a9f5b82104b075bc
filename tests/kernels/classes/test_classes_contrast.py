import numpy as np
import pytest

from somray.domain.teacher import FURTHER
from somray.kernels.classes.names import name_nodes
from somray.kernels.classes.profiles import NodeProfile
from somray.kernels.classes.rule import NodeView

BACKGROUND, NORMAL, LESION, BOUNDARY = 1, 2, 3, 4
FAT, LUNG, DENSE, DARK, BRIGHT = (FURTHER[n] for n in ("fat", "lung", "dense", "dark", "bright"))
HU = (-300.0, 500.0)


def named(kind, window, levels, share, edge=None, spread=0.0):
    """Name nodes of given values (in the image's unit) and standardised edges."""
    low, high = window
    grey = (np.asarray(levels, float) - low) / (high - low)
    steep = np.zeros(len(share)) if edge is None else np.asarray(edge, float)
    mean = np.stack([grey, steep], 1)
    std = np.full_like(mean, spread)
    profile = NodeProfile(np.asarray(share, float), mean, std, np.zeros(2), np.ones(2))
    return name_nodes(NodeView(profile, (kind,), ("mean5", "edge"), (window,)))


def classes(*arguments, **options):
    return named(*arguments, **options).node_classes.tolist()


def on_ct(levels, share, edge=None, window=HU):
    return named("CT", window, levels, share, edge)


def test_on_ct_calcium_stands_out_from_soft_tissue_and_is_doubtful():
    found = on_ct(
        [-1000, -100, 50, 60, 400, -60], [0.4, 0.1, 0.3, 0.1, 0.02, 0.08], [0, 0, 0, 0, 0, 3]
    )
    assert found.node_classes.tolist() == [BACKGROUND, FAT, NORMAL, NORMAL, LESION, BOUNDARY]
    assert "reader" in found.doubtful["lesion"]
    assert "brighter" in found.reasons["lesion"]


def test_on_mr_the_doubt_names_fat():
    found = named("MR", (0.0, 1000.0), [10, 300, 700], [0.4, 0.55, 0.05])
    assert "fat" in found.doubtful["lesion"]


def test_fat_is_never_the_measure_of_normal_on_ct():
    found = on_ct([-1000, -100, 50, 400], [0.2, 0.5, 0.25, 0.05])
    assert found.node_classes.tolist() == [BACKGROUND, FAT, NORMAL, LESION]
    assert found.names[5] == "fat"
    assert "-200 to -30 HU" in found.reasons["fat"]


def test_what_stands_out_most_comes_before_what_stands_out_a_little():
    assert on_ct([50, 170, 450], [0.8, 0.1, 0.1]).node_classes.tolist() == [NORMAL, DENSE, LESION]
    assert on_ct([50, 170], [0.9, 0.1]).node_classes.tolist() == [NORMAL, LESION]


def test_a_lesion_ends_at_half_its_height():
    found = on_ct([50, 160, 290, 450, 450], [0.83, 0.02, 0.02, 0.06, 0.07], [0, 3, 3, 0, 0])
    assert found.node_classes.tolist() == [NORMAL, BOUNDARY, LESION, LESION, LESION]
    assert "half of its own 0.50" in found.reasons["lesion"]


def test_rims_do_not_lower_a_regimes_height():
    found = on_ct([50, 260, 255, 450], [0.85, 0.02, 0.01, 0.12], [0, 3, 3, 0])
    assert found.node_classes.tolist() == [NORMAL, LESION, LESION, LESION]
    found = on_ct([50, 240, 240, 450], [0.85, 0.02, 0.01, 0.12], [0, 3, 3, 0])
    assert found.node_classes.tolist() == [NORMAL, BOUNDARY, BOUNDARY, LESION]


def test_a_steep_node_at_normals_own_level_is_normal():
    found = on_ct([-1000, 50, 30, -150, 450], [0.3, 0.5, 0.05, 0.05, 0.1], [0, 0, 3, 3, 0])
    assert found.node_classes.tolist() == [BACKGROUND, NORMAL, NORMAL, BOUNDARY, LESION]


def test_a_regime_too_large_or_too_small_is_no_lesion():
    large = on_ct([50, 100, 300], [0.5, 0.1, 0.4])
    assert large.node_classes.tolist() == [NORMAL, LESION, DENSE]
    small = on_ct([50, 120, 450], [0.909, 0.09, 0.001])
    assert small.node_classes[1] == LESION


def test_where_nothing_stands_out_the_furthest_node_is_taken_and_it_is_said():
    found = on_ct([50, 60, 40], [0.5, 0.3, 0.2])
    assert (found.node_classes == LESION).sum() == 1
    assert "no regime stands out" in found.doubtful["lesion"]


def test_lung_is_told_from_air_only_where_the_window_reaches_it():
    levels, share = [-1000, -850, 50, 400], [0.3, 0.3, 0.3, 0.1]
    wide = on_ct(levels, share, window=(-1024.0, 500.0))
    assert wide.node_classes.tolist() == [BACKGROUND, LUNG, NORMAL, LESION]
    narrow = on_ct(np.maximum(levels, -300), share)
    assert narrow.node_classes.tolist() == [BACKGROUND, BACKGROUND, NORMAL, LESION]
    assert "lung" not in narrow.names.values()
    assert "air or lung" in narrow.reasons["background"]


def test_pores_are_the_defects_of_a_material():
    found = named("XCT", (0.0, 100.0), [5, 60, 62, 95], [0.05, 0.5, 0.35, 0.1])
    assert found.node_classes.tolist() == [LESION, NORMAL, NORMAL, BRIGHT]
    assert "darker" in found.reasons["lesion"]


def test_rare_inclusions_far_above_the_material_are_defects_too():
    levels = [5, 40, 42, 100]
    found = named("XCT", (0.0, 100.0), levels, [0.05, 0.5, 0.44, 0.01])
    assert found.node_classes.tolist() == [LESION, NORMAL, NORMAL, LESION]
    assert "inclusions" in found.reasons["lesion"]
    assert classes("XCT", (0.0, 100.0), levels, [0.05, 0.5, 0.35, 0.1])[3] == BRIGHT


def test_the_air_around_a_sample_is_not_a_pore():
    assert classes("XCT", (0.0, 100.0), [2, 60, 30], [0.6, 0.35, 0.05]) == [
        BACKGROUND, NORMAL, LESION,
    ]  # fmt: skip


def test_an_enhancing_regime_is_the_lesion_on_mr():
    found = classes("MR", (0.0, 1000.0), [10, 300, 330, 700], [0.4, 0.3, 0.25, 0.05])
    assert found == [BACKGROUND, NORMAL, NORMAL, LESION]


@pytest.mark.parametrize("kind", ["MR", "other"])
def test_regimes_apart_from_normal_are_classes_of_their_own(kind):
    levels, share = [10, 200, 500, 690, 930], [0.2, 0.2, 0.4, 0.16, 0.04]
    found = classes(kind, (0.0, 1000.0), levels, share, spread=0.02)
    assert found == [BACKGROUND, DARK, NORMAL, BRIGHT, LESION]


def test_levels_that_run_into_one_another_are_one_class():
    levels = [10, *range(350, 660, 20), 930]
    share = [0.2, *[0.75 / 16] * 16, 0.05]
    found = classes("MR", (0.0, 1000.0), levels, share, spread=0.02)
    assert found == [BACKGROUND, *[NORMAL] * 16, LESION]


def test_nodes_that_won_nothing_take_no_part():
    found = on_ct([50, 450, -1000, 500], [0.9, 0.1, 0.0, 0.0])
    assert found.node_classes.tolist()[:2] == [NORMAL, LESION]
    assert LESION not in found.node_classes.tolist()[2:]
