"""What other subjects say, and mirror twins."""

from dataclasses import replace

import pytest

from somray.kernels.objects.prior import Landmark, mirrored, occurrence

BLADDER = Landmark(0.8, 2.0, 0.4, 150.0, 30.0)
BODY = (-0.4, 1.1)


def cohort(**subjects):
    return {name: [(BODY, hot)] for name, hot in subjects.items()}


def test_the_same_thing_in_all_others_is_common():
    near = replace(BLADDER, height=0.79, volume_ml=180.0)
    found = occurrence(BLADDER, "a", cohort(a=[BLADDER], b=[near], c=[near], d=[BLADDER]))
    assert found.subjects == 3
    assert found.fraction > 0.9


def test_a_subject_never_votes_for_itself():
    found = occurrence(BLADDER, "a", {"a": [(BODY, [BLADDER]), (BODY, [BLADDER])]})
    assert found.subjects == 0
    assert found.fraction == 0.0


def test_sessions_of_one_subject_are_one_voice():
    once = {"b": [(BODY, [BLADDER]), (BODY, [])], "c": [(BODY, [])]}
    found = occurrence(BLADDER, "a", once)
    assert found.subjects == 2
    assert found.fraction == pytest.approx(0.25)


def test_scans_that_do_not_show_the_place_are_not_asked():
    found = occurrence(BLADDER, "a", {"b": [((-0.4, 0.5), [])], "c": [(BODY, [BLADDER])]})
    assert found.subjects == 1
    assert found.fraction == pytest.approx(1.0)


def test_a_lesion_beside_an_organ_has_no_homologue():
    lesion = replace(BLADDER, left_mm=30.0, volume_ml=3.0, ratio=8.0)
    others = cohort(**{name: [BLADDER] for name in "bcdef"})
    assert occurrence(lesion, "a", others).fraction < 0.2


def test_the_order_of_subjects_changes_no_bit():
    hot = [replace(BLADDER, height=0.7 + 0.01 * n, ratio=20.0 + n) for n in range(7)]
    forward = {f"s{n}": [(BODY, [h])] for n, h in enumerate(hot)}
    backward = dict(reversed(list(forward.items())))
    assert occurrence(BLADDER, "x", forward) == occurrence(BLADDER, "x", backward)


def test_a_pair_of_glands_are_twins_and_a_lone_node_is_not():
    left, right = Landmark(-0.2, 50.0, 0.5, 18.0, 5.0), Landmark(-0.2, -51.0, 0.52, 20.0, 5.4)
    node = Landmark(-0.1, 38.0, 0.45, 2.4, 6.2)
    hot = [left, right, node]
    assert mirrored(left, hot) > 0.8
    assert mirrored(right, hot) > 0.8
    assert mirrored(node, hot) < 0.1


def test_what_lies_on_the_midline_is_its_own_twin_and_does_not_count():
    assert mirrored(replace(BLADDER, left_mm=3.0), [replace(BLADDER, left_mm=-3.0)]) == 0.0
