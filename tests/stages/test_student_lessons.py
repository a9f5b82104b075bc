"""Lessons read from a run: the right slices, seen as their scan has them, with their neighbours."""

import numpy as np
import pytest

import somray
from somray.config import StudentConfig
from somray.domain.run import ScanPlace
from somray.io import models
from somray.io.storage import Storage
from somray.stages.student_lessons import (
    LessonScan,
    LessonSlice,
    choose_slices,
    outward,
    read_lesson,
)


@pytest.fixture(scope="module")
def run(finished):
    return str(finished[0])


@pytest.fixture(scope="module")
def teacher(run):
    return models.read_teacher(Storage.at(run), "phantom-ct")


def test_slices_go_outward_the_upper_neighbour_first():
    assert outward(4, 12, 5) == (4, 5, 3, 6, 2)
    assert outward(0, 3, 9) == (0, 1, 2)
    assert outward(11, 12, 3) == (11, 10, 9)


def test_a_lesson_is_what_the_scan_and_its_labels_show(run, teacher):
    scan = LessonScan(ScanPlace(run, "s02", "t1"))
    lesson = read_lesson(LessonSlice(scan, 7), teacher, "lesion", StudentConfig())
    shown = somray.open_run(run).scan("s02", "t1")
    np.testing.assert_array_equal(lesson.image, shown.image.values[0, :, 7])
    np.testing.assert_array_equal(lesson.teacher, shown.som.values[0, 7] == 3)
    np.testing.assert_array_equal(lesson.valid, shown.som.values[0, 7] != 0)
    assert lesson.windows == teacher.windows
    assert lesson.around is lesson.membership is lesson.classes is None


@pytest.mark.parametrize(
    ("z", "seen"), [(0, [0, 0, 1, 2]), (6, [4, 5, 7, 8]), (11, [9, 10, 11, 11])]
)
def test_neighbours_repeat_the_outermost_slices(run, teacher, z, seen):
    scan = LessonScan(ScanPlace(run, "s01", "t0"))
    lesson = read_lesson(LessonSlice(scan, z), teacher, "lesion", StudentConfig(neighbours=2))
    shown = somray.open_run(run).scan("s01", "t0").image.values[0]
    np.testing.assert_array_equal(lesson.around, shown[:, seen].swapaxes(0, 1))


def test_soft_labels_and_classes_come_with_the_mask(run, teacher):
    scan = LessonScan(ScanPlace(run, "s01", "t0"))
    soft = read_lesson(LessonSlice(scan, 6), teacher, "lesion", StudentConfig(labels="soft"))
    off = (soft.membership >= 0.5) != soft.teacher
    assert off.mean() < 0.001
    several = read_lesson(LessonSlice(scan, 6), teacher, "lesion", StudentConfig(labels="classes"))
    np.testing.assert_array_equal(several.classes == 3, soft.teacher)


def test_a_thin_reference_scan_gives_fewer_slices(run, teacher):
    reference = LessonSlice(LessonScan(ScanPlace(run, "s01", "t0")), 5)
    further = (LessonScan(ScanPlace(run, "s02", "t0")),)
    chosen = choose_slices(reference, further, 20, teacher)
    assert [one.z for one in chosen[:12]] == list(outward(5, 12, 12))
    assert len(chosen) == 13
    assert chosen[-1].scan == further[0]
