import itertools

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.objects.organs import (
    HOT_AS_A_WHOLE,
    PHYSIOLOGICAL,
    OrganVerdict,
    add_shares,
    canonical,
    named_by_organ,
    organ_shares,
    side_of,
    unmatched,
)

NAMES = {1: "kidney_left", 2: "kidney_right", 3: "liver", 4: "urinary_bladder", 5: "Left ventricle"}


@pytest.mark.parametrize(
    ("organ", "names"),
    [
        ("kidney", ["kidney_left", "Kidneys", "Kidney_L", "Left kidney", "right_kidney", "KIDNEY",
                    "kidney-right", "KidneyR", "Kidney structure (body structure)", "Both kidneys"]),
        ("urinary_bladder", ["urinary_bladder", "Bladder", "bladder", "Urinary bladder"]),
        ("heart", ["heart", "heart_myocardium", "heart_atrium_left", "Left ventricle of heart",
                   "Left ventricle", "atrial_appendage_left", "Myocardium"]),
        ("brain", ["Brain", "brainstem", "Left-Cerebral-Cortex", "frontal_lobe", "Brain-Stem"]),
        ("parotid_gland", ["parotid_gland_left", "Parotid R", "parotids", "Glnd_Parotid_L"]),
        ("small_bowel", ["small_bowel", "Small intestine"]),
        ("thyroid", ["thyroid_gland", "thyroid_left", "Thyroid"]),
        ("vertebrae_l5", ["vertebrae_L5"]),
        ("organ_5", ["organ 5"]),
    ],
)  # fmt: skip
def test_names_of_several_tools_mean_one_organ(organ, names):
    assert {name: canonical(name) for name in names} == dict.fromkeys(names, organ)


@pytest.mark.parametrize(
    "name",
    ["kidney_cyst_left", "kidney tumor", "liver_tumor", "Left-Lateral-Ventricle", "gallbladder",
     "brain_tumor", "heart failure device", "ventricle", "adrenal_gland_left", "brachiocephalic_vein_left"],
)  # fmt: skip
def test_what_only_holds_an_organs_name_is_not_that_organ(name):
    assert canonical(name) not in HOT_AS_A_WHOLE


def test_every_vocabulary_name_is_its_own_canonical_name():
    assert set(PHYSIOLOGICAL) >= HOT_AS_A_WHOLE
    assert [name for name in PHYSIOLOGICAL if canonical(name) != name] == []
    assert all(PHYSIOLOGICAL.values())


def test_sides_are_told_apart_from_names_without_one():
    told = [side_of(n) for n in ("kidney_left", "Kidney_R", "Kidneys", "left and right kidney")]
    assert told == ["left", "right", "", ""]


def volumes(seed=0):
    rng = np.random.default_rng(seed)
    objects = rng.integers(0, 6, (12, 9, 8)) * (rng.random((12, 9, 8)) < 0.6)
    return objects.astype(np.int32), rng.choice([0, 0, 3, 70_000, 117], (12, 9, 8)).astype(np.int32)


def test_shares_count_voxels_of_each_object_in_each_organ():
    objects, organs = volumes()
    slow = {}
    for one, value in zip(objects.ravel().tolist(), organs.ravel().tolist(), strict=True):
        if one:
            slow.setdefault(one, {}).setdefault(value, 0)
            slow[one][value] += 1
    assert organ_shares(objects, organs, 5) == slow


@pytest.mark.parametrize("cuts", [(1,), (4, 5), tuple(range(1, 12))])
def test_slabs_cut_anywhere_and_added_in_any_order_make_the_whole(cuts):
    objects, organs = volumes()
    ends = [0, *cuts, 12]
    parts = [organ_shares(objects[a:b], organs[a:b], 5) for a, b in itertools.pairwise(ends)]
    whole = organ_shares(objects, organs, 5)
    for order in (parts, parts[::-1]):
        added = add_shares(order)
        assert added == whole
        assert [(k, list(v)) for k, v in added.items()] == [(k, list(v)) for k, v in whole.items()]


def test_no_object_has_no_shares():
    zeros = np.zeros((2, 3, 4), np.int32)
    assert organ_shares(zeros, zeros, 0) == {}
    assert add_shares([]) == {}


def test_arrays_that_do_not_fit_are_refused():
    zeros = np.zeros((2, 3, 4), np.int32)
    with pytest.raises(ShapeError, match="differ in shape"):
        organ_shares(zeros, zeros[:1], 0)
    with pytest.raises(ShapeError, match=r"1 to 2, got 3\.\.3"):
        organ_shares(zeros + 3, zeros, 2)


def verdict(counts, exclude=(), has_fdg=True, names=NAMES):
    return named_by_organ({1: counts}, names, exclude, has_fdg)[1]


def test_an_object_in_an_organ_that_is_hot_throughout_is_physiological():
    found = verdict({0: 2, 4: 8})
    assert found == OrganVerdict(
        "urinary_bladder", 0.8, "physiological", "lies in urinary_bladder: urine holds FDG"
    )


def test_a_lesion_of_the_liver_stays_a_lesion_with_its_place():
    assert verdict({3: 10}) == OrganVerdict("liver", 1.0, None)


def test_half_of_an_object_is_enough_and_less_is_not():
    assert verdict({0: 5, 4: 5}).verdict == "physiological"
    assert verdict({0: 6, 4: 5}).verdict is None


def test_both_sides_of_an_organ_count_together():
    assert verdict({0: 4, 1: 3, 2: 3}) == OrganVerdict(
        "kidney", 0.6, "physiological", "lies in kidney: FDG leaves the body through the kidneys"
    )


def test_without_fdg_only_exclusions_act():
    assert verdict({4: 10}, has_fdg=False) == OrganVerdict("urinary_bladder", 1.0, None)
    found = verdict({3: 10}, exclude=["Liver"], has_fdg=False)
    assert found.verdict == "physiological"
    assert found.reason == "lies in liver, which the configuration excludes"


def test_an_exclusion_with_a_side_means_that_side_alone():
    assert verdict({1: 10}, exclude=["left kidney"], has_fdg=False).verdict == "physiological"
    assert verdict({2: 10}, exclude=["left kidney"], has_fdg=False).verdict is None
    assert verdict({2: 10}, exclude=["Kidneys"], has_fdg=False).verdict == "physiological"


def test_a_value_without_a_name_can_be_excluded_by_its_number_alone():
    assert verdict({9: 10}, names={}) == OrganVerdict("organ_9", 1.0, None)
    assert verdict({9: 10}, exclude=["organ 9"], names={}).verdict == "physiological"
    assert verdict({9: 10}, exclude=["organ 8"], names={}).verdict is None


def test_an_object_outside_all_organs_has_none():
    assert verdict({0: 10}) == OrganVerdict(None, 0.0, None)


def test_a_tie_between_organs_goes_to_the_first_by_name():
    assert verdict({0: 9, 3: 1, 4: 1}).organ == "liver"


def test_an_exclusion_that_no_organ_bears_is_told_with_the_nearest_names():
    found = unmatched(["urinary_bladdr", "Kidneys", "organ 9", "organ 3", "left liver"], NAMES)
    assert found == {
        "urinary_bladdr": ("urinary_bladder",),
        "organ 3": (),
        "left liver": ("liver",),
    }
