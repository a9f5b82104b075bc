"""A lesson: what a slice brings with it, and what does not fit together."""

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.student.lesson import Lesson, lessons_of

IMAGE = np.zeros((2, 4, 5), np.float32)
MASK = np.zeros((4, 5), bool)


def test_a_pixel_is_known_where_it_counts_and_every_channel_has_data():
    image, valid = IMAGE.copy(), ~MASK
    image[1, 0, 0] = np.nan
    valid[3, 3] = False
    known = Lesson(image, MASK, valid).known
    assert not known[0, 0]
    assert not known[3, 3]
    assert known.sum() == known.size - 2


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"image": IMAGE[0]}, "image must be"),
        ({"teacher": MASK[1:]}, "teacher must be"),
        ({"valid": MASK[:, 1:]}, "valid must be"),
        ({"membership": np.zeros((4, 4), np.float32)}, "membership must be"),
        ({"classes": np.zeros((1, 4, 5), np.uint8)}, "classes must be"),
        ({"around": np.zeros((3, 2, 4, 5), np.float32)}, "neighbours must be"),
        ({"around": np.zeros((2, 1, 4, 5), np.float32)}, "neighbours must be"),
    ],
)
def test_parts_that_do_not_fit_are_named(parts, message):
    with pytest.raises(ShapeError, match=message):
        Lesson(**{"image": IMAGE, "teacher": MASK, "valid": MASK, **parts})


def test_slices_of_a_scan_become_lessons_in_order():
    images = np.arange(3 * 2 * 4 * 5, dtype=np.float32).reshape(3, 2, 4, 5)
    masks = images[:, 0] > 50
    lessons = lessons_of(images, masks, ~masks)
    assert len(lessons) == 3
    for lesson, image, mask in zip(lessons, images, masks, strict=True):
        assert np.array_equal(lesson.image, image)
        assert np.array_equal(lesson.teacher, mask)
        assert np.array_equal(lesson.valid, ~mask)
    with pytest.raises(ShapeError, match="teacher and valid"):
        lessons_of(images, masks[:2], masks)
