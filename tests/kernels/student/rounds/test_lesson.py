"""A lesson: what an image brings with it, and what does not fit together."""

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.student.rounds.lesson import Lesson

VALUES = np.zeros((2, 4, 5), np.float32)
PLANE = np.zeros((4, 5), np.float32)


def test_a_pixel_is_known_where_it_counts_and_every_channel_has_data():
    values, weight = VALUES.copy(), PLANE + 1
    values[1, 0, 0] = np.nan
    weight[3, 3] = 0
    known = Lesson(values, PLANE, weight).known
    assert not known[0, 0]
    assert not known[3, 3]
    assert known.sum() == known.size - 2


def test_the_mask_is_what_counts_and_is_more_target_than_not():
    target, weight = PLANE.copy(), PLANE + 1
    target[0] = [0.4, 0.5, 0.6, 1.0, 1.0]
    weight[0, 4] = 0
    assert Lesson(VALUES, target, weight).mask[0].tolist() == [False, True, True, True, False]
    assert not Lesson(VALUES, target, weight).mask[1:].any()


def test_two_sides_are_shown_by_pixels_that_count_alone():
    target, weight = PLANE.copy(), PLANE + 1
    assert not Lesson(VALUES, target, weight).has_both_sides
    target[0] = 1
    assert Lesson(VALUES, target, weight).has_both_sides
    weight[1:] = 0
    assert not Lesson(VALUES, target, weight).has_both_sides


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"values": VALUES[0]}, r"must be \(c, \[z,\] y, x\)"),
        ({"target": PLANE[1:]}, "needs target and weight alike"),
        ({"weight": PLANE[:, 1:]}, "needs target and weight alike"),
        ({"values": np.zeros((1, 2, 4, 5), np.float32)}, "needs target and weight alike"),
    ],
)
def test_parts_that_do_not_fit_are_named(parts, message):
    with pytest.raises(ShapeError, match=message):
        Lesson(**{"values": VALUES, "target": PLANE, "weight": PLANE, **parts})
