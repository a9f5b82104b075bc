"""Where a student of uptake looks closely: what is hot, counts, and is no target."""

import numpy as np

from somray.kernels.student.rounds.hot import HOT, hot_rest
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.views import ImageViews

VIEWS = ImageViews(("CT", "PET"), ((-160.0, 240.0), (0.0, 2.0)))


def lesson_of(shape=(12, 14, 16)):
    """A volume with a hot organ, a lesion, and something hot that does not count."""
    values = np.zeros((2, *shape), np.float32)
    values[1] = 2.0
    values[1, 2:6, 2:6, 2:6] = 2.0 * 3 * HOT  # an organ
    values[1, 8:11, 8:12, 8:12] = 2.0 * 3 * HOT  # a lesion
    values[1, 2:6, 9:13, 2:6] = 2.0 * 3 * HOT  # in doubt
    target, weight = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    target[8:11, 8:12, 8:12] = 1
    weight[2:6, 9:13, 2:6] = 0
    return Lesson(values, target, weight, VIEWS.windows, cohort=True)


def test_organs_are_looked_at_and_lesions_and_doubt_are_not():
    lesson = lesson_of()
    found = hot_rest(lesson, VIEWS)
    assert found[2:6, 2:6, 2:6].all()
    assert not found[8:11, 8:12, 8:12].any()
    assert not found[lesson.weight == 0].any()
    assert not found[0].any()


def test_hot_is_told_in_the_scans_own_unit():
    lesson = lesson_of()
    scaled = Lesson(lesson.values * 10, lesson.target, lesson.weight)
    views = ImageViews(VIEWS.kinds, (VIEWS.windows[0], (0.0, 20.0)))
    np.testing.assert_array_equal(hot_rest(scaled, views), hot_rest(lesson, VIEWS))


def test_without_uptake_there_is_nothing_to_look_at():
    lesson = lesson_of()
    alone = Lesson(lesson.values[:1], lesson.target, lesson.weight)
    assert hot_rest(alone, ImageViews(("CT",), VIEWS.windows[:1])) is None


def test_no_data_is_not_hot():
    lesson = lesson_of()
    values = lesson.values.copy()
    values[1, 3, 3, 3] = np.nan
    found = hot_rest(Lesson(values, lesson.target, lesson.weight), VIEWS)
    assert not found[3, 3, 3]
    assert found[2:6, 2:6, 2:6].sum() > 50
