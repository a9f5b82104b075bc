"""Hot objects of drawn bodies: what is found, where it ends, what it is called."""

import numpy as np
import pytest
from scipy import ndimage

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL
from somray.kernels.objects.uptake.find import stands_out, uptake_scene
from somray.kernels.objects.uptake.rule import find_hot_objects
from tests.kernels.objects.drawn_body import SPACING, at, ball, scan

BRAIN = (at(-0.22, 0.0), 11, 9.0, 40.0)
BLADDER = (at(0.85, 0.0, 0.4), 6, 25.0, 5.0)
KIDNEYS = [(at(0.46, side * 60.0, 0.65), 5, 8.0, 35.0) for side in (-1, 1)]
NODE = (at(0.3, -45.0, 0.4), 4, 7.0, 42.0)


def objects_of(hot, with_ct=True, oriented=True):
    pet, ct = scan(hot)
    scene = uptake_scene(pet, ct if with_ct else None, SPACING, oriented)
    return find_hot_objects(scene)


def at_place(labels, objects, place):
    number = labels[place]
    return objects[number - 1] if number else None


@pytest.mark.parametrize("with_ct", [True, False])
def test_organs_are_physiological_and_a_node_is_a_lesion(with_ct):
    labels, objects = objects_of([BRAIN, BLADDER, *KIDNEYS, NODE], with_ct)
    names = {at_place(labels, objects, hot[0]).name for hot in (BRAIN, BLADDER, *KIDNEYS)}
    assert names == {"brain", "urinary_bladder", "kidney_left", "kidney_right"}
    lesion = at_place(labels, objects, NODE[0])
    assert lesion.called == LESION
    assert [o.called for o in objects if o is not lesion] == [PHYSIOLOGICAL] * (len(objects) - 1)


def test_a_body_without_anything_hot_has_no_objects():
    labels, objects = objects_of([])
    assert not labels.any()
    assert objects == []


def test_a_lesion_keeps_about_its_true_extent():
    labels, _ = objects_of([NODE])
    true = ball(*NODE[:2])
    found = labels > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.85


def test_uptake_in_any_unit_gives_the_same_objects():
    pet, ct = scan([BRAIN, NODE])
    first = find_hot_objects(uptake_scene(pet, ct, SPACING, True))
    second = find_hot_objects(uptake_scene(pet * np.float32(4096.0), ct, SPACING, True))
    assert np.array_equal(first[0], second[0])
    assert [o.called for o in first[1]] == [o.called for o in second[1]]


def test_without_directions_no_organ_is_named():
    labels, objects = objects_of([BRAIN, NODE], oriented=False)
    assert at_place(labels, objects, BRAIN[0]).called == LESION
    assert at_place(labels, objects, BRAIN[0]).height_fraction is None


def test_a_second_pelvic_object_is_no_bladder():
    node = (at(0.88, 60.0, 0.5), 3, 7.0, 42.0)
    labels, objects = objects_of([BLADDER, node])
    assert at_place(labels, objects, BLADDER[0]).name == "urinary_bladder"
    assert at_place(labels, objects, node[0]).called == LESION


@pytest.mark.parametrize(("radius", "off", "uptake"), [(3, 8, 9.0), (4, 9, 12.0), (5, 10, 9.0)])
def test_a_tumour_at_the_bladders_wall_is_a_lesion_where_ct_shows_the_urine(radius, off, uptake):
    bladder = (at(0.85, 0.0, 0.4), 6, 40.0, 5.0)
    z, y, x = bladder[0]
    tumour = ((z, y, x + off), radius, uptake, 45.0)
    pet, ct = scan([tumour, bladder])
    pet = ndimage.gaussian_filter(pet, 0.6)
    labels, objects = find_hot_objects(uptake_scene(pet, ct, SPACING, True))
    assert [(o.called, o.name) for o in objects] == [
        (PHYSIOLOGICAL, "urinary_bladder"),
        (LESION, None),
    ]
    true = ball(*tumour[:2]) & ~ball(*bladder[:2])
    assert np.count_nonzero((labels == 2) & true) > 0.75 * np.count_nonzero(true)
    assert np.count_nonzero((labels == 2) & ~true) < 0.15 * np.count_nonzero(true)


@pytest.mark.parametrize("uptake", [12.0, 40.0, 120.0])
def test_a_bladder_alone_leaves_nothing_beside_it(uptake):
    pet, ct = scan([(at(0.85, 0.0, 0.4), 6, uptake, 5.0)])
    pet = ndimage.gaussian_filter(pet, 0.6)
    _, objects = find_hot_objects(uptake_scene(pet, ct, SPACING, True))
    assert [o.name for o in objects] == ["urinary_bladder"]


def test_a_ball_before_the_heart_is_no_heart():
    _, objects = objects_of([(at(0.2, 40.0, 0.35), 4, 9.0, 42.0)])
    assert [o.called for o in objects] == [LESION]


def test_what_looks_like_water_in_the_neck_is_no_urine():
    _, objects = objects_of([(at(-0.2, 48.0, 0.5), 3, 12.0, 5.0)])
    assert "urine" not in {o.name for o in objects}


LIVER = (at(0.4, -70.0, 0.4), 12, 2.6, 55.0)


def test_a_diffuse_liver_is_named():
    labels, objects = objects_of([LIVER])
    assert at_place(labels, objects, LIVER[0]).name == "liver"


@pytest.mark.parametrize("uptake", [4.6, 5.5, 8.0])
def test_a_lesion_inside_the_liver_is_seen(uptake):
    inside = (at(0.38, -72.0, 0.4), 4, uptake, 55.0)
    labels, objects = objects_of([LIVER, inside])
    assert at_place(labels, objects, inside[0]).called == LESION
    assert np.count_nonzero(labels == labels[inside[0]]) < 2 * ball(*inside[:2]).sum()


def test_hot_water_is_urine_and_hot_bone_like_all_bone_is_marrow():
    spine = [(at(h, 0.0, 0.85), 3, 3.0, 250.0) for h in (0.1, 0.2, 0.3, 0.5, 0.6, 0.7)]
    urine = (at(0.2, 110.0, 0.5), 4, 15.0, 3.0)
    metastasis = (at(0.4, 0.0, 0.85), 3, 12.0, 250.0)
    labels, objects = objects_of([*spine, urine, metastasis])
    assert at_place(labels, objects, urine[0]).name == "urine"
    assert {at_place(labels, objects, one[0]).name for one in spine} == {"marrow"}
    assert at_place(labels, objects, metastasis[0]).called == LESION


def test_glands_in_pairs_are_physiological_and_a_lone_node_of_the_neck_is_not():
    pair = [(at(-0.2, side * 48.0, 0.5), 3, 4.0, 40.0) for side in (-1, 1)]
    node = (at(-0.08, 40.0, 0.55), 3, 6.0, 40.0)
    labels, objects = objects_of([*pair, node])
    assert {at_place(labels, objects, one[0]).name for one in pair} == {"pair"}
    assert at_place(labels, objects, node[0]).called == LESION


def test_what_is_cut_by_the_scans_end_is_in_doubt():
    pet, ct = scan([NODE])
    z = NODE[0][0]
    scene = uptake_scene(pet[z:], ct[z:], SPACING, True)
    labels, objects = find_hot_objects(scene)
    assert at_place(labels, objects, (0, *NODE[0][1:])).called == DOUBT


def crop_of(hot):
    """A trunk without landmarks: no head, no legs."""
    pet, ct = scan(hot)
    labels, objects = find_hot_objects(uptake_scene(pet[50:150], ct[50:150], SPACING, True))
    return [at_place(labels, objects, (z - 50, y, x)) for (z, y, x), *_ in hot]


def test_what_is_large_and_faint_beside_several_far_hotter_lesions_is_in_doubt():
    small = (at(0.5, 90.0), 2, 2.6, 42.0)
    nodes = [(at(h, side * 70.0), 4, 7.0, 42.0) for h, side in ((0.2, 1), (0.2, -1), (0.6, -1))]
    liver, faint, *found = crop_of([LIVER, small, *nodes])
    assert (liver.called, liver.name) == (DOUBT, "faint")
    assert {one.called for one in found} == {LESION}
    assert faint.called == LESION  # blurred: its peak tells little
    tumour, *organs = crop_of(
        [LIVER, *nodes[:2]]
    )  # two hot organs beside a faint tumour look like this
    assert {one.called for one in (tumour, *organs)} == {LESION}


def test_a_faint_tumour_that_nothing_is_hotter_than_is_a_lesion_also_where_it_is_most_of_the_crop():
    (alone,) = crop_of([LIVER])
    assert alone.called == LESION
    z, y, x = LIVER[0]
    pet, ct = scan([(LIVER[0], 10, 4.5, 42.0), ((z + 12, y, x + 8), 2, 30.0, 42.0)])
    window = tuple(slice(c - 16, c + 17) for c in LIVER[0])
    labels, objects = find_hot_objects(uptake_scene(pet[window], ct[window], SPACING, True))
    assert at_place(labels, objects, (16, 16, 16)).called == LESION


def test_nothing_scanned_or_nothing_taken_up_is_no_scene():
    empty = np.full((4, 4, 4), np.nan, dtype=np.float32)
    assert uptake_scene(empty, None, SPACING, True) is None
    assert uptake_scene(np.zeros((4, 4, 4), dtype=np.float32), None, SPACING, True) is None


def test_standing_out_grows_with_peak_salience_and_roundness():
    one = np.array([1.0])
    base = stands_out(6 * one, 8 * one, 0.7 * one)
    assert stands_out(7 * one, 8 * one, 0.7 * one) > base
    assert stands_out(6 * one, 9 * one, 0.7 * one) > base
    assert stands_out(6 * one, 8 * one, 0.75 * one) > base
