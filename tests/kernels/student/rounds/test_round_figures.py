"""Figures and words of a round: names, copies of A, confident labels, verdicts."""

import numpy as np
import pytest

from somray.kernels.student.rounds.figures import copies_of_first, stage_name
from somray.kernels.student.rounds.history import verdict_of
from somray.kernels.student.rounds.pseudo_labels import pseudo_labels
from tests.kernels.student.round_cases import planes


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volumes_plane_is_copied_forward_along_whatever_axis_it_lies(axis):
    lying = planes((7, 8, 10), axis=axis)
    first, *copies = copies_of_first(lying)
    mask = np.moveaxis(lying[0].mask, axis, 0)
    np.testing.assert_array_equal(np.moveaxis(first, axis, 0), mask)
    for copy, at in zip(copies, (8, 10), strict=True):
        found = np.moveaxis(copy, axis, 0)
        np.testing.assert_array_equal(found[at], mask[7])
        assert found.sum() == mask.sum()


def test_many_slices_are_named_beyond_the_alphabet():
    assert stage_name(3) == "A+B+C"
    assert stage_name(28).endswith("Z+S27+S28")


def test_only_confident_pixels_become_labels():
    chance = np.array([0.0, 0.05, 0.4, 0.6, 0.95, 1.0], dtype=np.float32)
    known = np.array([True, True, True, True, True, False])
    target, weight = pseudo_labels(chance, known)
    assert target.tolist() == [False, False, False, True, True, True]
    np.testing.assert_allclose(weight, [1, 0.9, 0, 0, 0.9, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ({"delta_iou": None, "round": 1}, "one round has nothing to be compared with"),
        ({"delta_iou": None, "mean_iou": None}, "no IoU exists"),
        ({"converged": True}, "ΔIoU +0.0010 in round 2 within ±0.002: the student may replace"),
        ({"delta_iou": 0.05}, "not converged, ΔIoU +0.0500 in round 2 beyond ±0.002"),
        ({"collapse": "it grew"}, "round 2 collapsed: the student may not replace the SOM"),
    ],
)
def test_the_verdict_says_whether_the_student_may_replace_the_som(last, words):
    good = {"round": 2, "stage": "A+B", "mean_iou": 0.98, "delta_iou": 0.001, "converged": False,
            "collapse": None}  # fmt: skip
    assert words in verdict_of([{**good, **last}], 0.002)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (
            {},
            "; taught by the cohort, it agrees with the SOM on these slices to a mean IoU of 0.700",
        ),
        ({"doubt": "it shows little"}, "IoU of 0.700 (it shows little)"),
        ({"collapse": "Dice is 0"}, "; the cohort's round collapsed and was dropped"),
    ],
)
def test_the_verdict_is_of_the_slices_and_tells_what_the_cohort_did_after(last, words):
    row = {"round": 2, "stage": "A+B", "mean_iou": 0.98, "delta_iou": 0.001, "converged": True,
           "collapse": None}  # fmt: skip
    after = {**row, "round": 3, "stage": "cohort", "mean_iou": 0.7, "delta_iou": -0.28, **last}
    told = verdict_of([row, after], 0.002)
    assert told.startswith("converged, ΔIoU +0.0010 in round 2")
    assert words in told
