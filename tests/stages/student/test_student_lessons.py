"""Lessons of slices read from a run: the right slices, as their scan and its teacher have them."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

import somray
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io import models
from somray.io.storage import Storage
from somray.kernels.student import window
from somray.kernels.teacher.apply import apply_teacher
from somray.phantom.files.write import write_phantom
from somray.stages.student import lessons as module
from somray.stages.student.lessons import Asked, LessonScan, outward, read_lessons
from tests.cohort_fixtures import run_in
from tests.stages.stored import store


@pytest.fixture(scope="module")
def run(finished):
    return str(finished[0])


@pytest.fixture(scope="module")
def teacher(run):
    return models.read_teacher(Storage.at(run), "phantom-ct")


def scan_of(run, subject, session):
    return LessonScan(ScanPlace(run, subject, session))


def asked_of(run, z=5, rounds=3, cohort=()):
    return Asked(scan_of(run, "s01", "t0"), z, rounds, tuple(cohort), "lesion")


def places_of(lessons, volume):
    """Name the slices (c, z, y, x) that lessons show."""
    return [
        next(z for z in range(volume.shape[1]) if np.array_equal(le.values, volume[:, z], True))
        for le in lessons
    ]


def test_slices_go_outward_the_upper_neighbour_first():
    assert outward(4, 12, 5) == (4, 5, 3, 6, 2)
    assert outward(0, 3, 9) == (0, 1, 2)
    assert outward(11, 12, 3) == (11, 10, 9)
    assert outward(7, 20, 4, step=3) == (7, 10, 4, 13)


def test_of_large_slices_one_window_is_learned_from(run, teacher, monkeypatch):
    (whole, *_), _ = read_lessons(asked_of(run, 5, 1), teacher)
    for name, value in {"MOST_PIXELS": 1600, "SIDE": 40, "STEP": 10}.items():
        monkeypatch.setattr(window, name, value)
    lessons, _ = read_lessons(asked_of(run, 5, 3), teacher)
    assert {lesson.values.shape[1:] for lesson in lessons} == {(40, 40)}
    rows, columns = window.lesson_window(whole.mask, whole.known)
    np.testing.assert_array_equal(lessons[0].values, whole.values[:, rows, columns])
    np.testing.assert_array_equal(lessons[0].target, whole.target[rows, columns])
    assert lessons[0].mask.any()


def test_a_lesson_is_what_the_scan_and_its_labels_show(run, teacher):
    asked = replace(asked_of(run, 7, 1), reference=scan_of(run, "s02", "t1"))
    (lesson,), chosen = read_lessons(asked, teacher)
    shown = somray.open_run(run).scan("s02", "t1")
    assert chosen == (7,)
    np.testing.assert_array_equal(lesson.values, shown.image.values[0, :, 7])
    np.testing.assert_array_equal(lesson.target, shown.som.values[0, 7] == 3)
    np.testing.assert_array_equal(lesson.weight, shown.som.values[0, 7] != 0)
    assert lesson.windows == teacher.windows
    assert not lesson.cohort


def test_the_class_that_is_asked_for_is_the_target(run, teacher):
    (lesson,), _ = read_lessons(replace(asked_of(run, 7, 1), target="normal"), teacher)
    shown = somray.open_run(run).scan("s01", "t0").som.values[0, 7]
    np.testing.assert_array_equal(lesson.target, shown == teacher.value_of("normal"))


def test_slices_of_the_reference_come_first_then_the_cohorts_evenly_spaced(run, teacher):
    others = [("s01", "t0"), ("s02", "t0"), ("s01", "t1"), ("s02", "t1")]
    asked = asked_of(run, cohort=[scan_of(run, *other) for other in others])
    lessons, chosen = read_lessons(asked, teacher)
    assert [lesson.cohort for lesson in lessons] == [False] * 3 + [True] * 16
    shown = somray.open_run(run)
    volume = shown.scan("s01", "t0").image.values[0]
    assert chosen == (5, 6, 4)
    assert places_of(lessons[:3], volume) == [5, 6, 4]
    each = module.COHORT_SLICES // 4
    for number, other in enumerate(others):
        part = lessons[3 + number * each : 3 + (number + 1) * each]
        places = places_of(part, shown.scan(*other).image.values[0])
        assert places == [1, 4, 7, 10]
        labels = shown.scan(*other).som.values[0]
        for lesson, z in zip(part, places, strict=True):
            np.testing.assert_array_equal(lesson.target, labels[z] == 3)


def test_a_scan_of_a_wrong_unit_teaches_nothing(run, teacher, tmp_path):
    shown = somray.open_run(run).scan("s02", "t0").image.values[0]
    grid = Geometry.from_spacing(shown.shape[1:], (5000.0, 2000.0, 2000.0))
    odd = LessonScan(store(tmp_path, shown, grid))
    lessons, _ = read_lessons(
        asked_of(run, rounds=1, cohort=[odd, scan_of(run, "s02", "t0")]), teacher
    )
    assert [lesson.cohort for lesson in lessons] == [False] + [True] * 8


@pytest.mark.parametrize("count", [1, 3, 16, 40])
def test_the_cohort_gives_no_more_slices_whatever_its_size(run, teacher, count):
    asked = asked_of(run, rounds=1, cohort=[scan_of(run, "s02", "t0")] * count)
    lessons, _ = read_lessons(asked, teacher)
    most = min(module.COHORT_SLICES, 12 * count)  # a scan has no more than its own
    assert most / 2 < len(lessons) - 1 <= most


def test_without_a_cohort_there_are_slices_alone_and_a_thin_scan_gives_fewer(run, teacher):
    lessons, chosen = read_lessons(asked_of(run, rounds=20), teacher)
    assert chosen == outward(5, 12, 12)
    assert len(lessons) == 12
    assert not any(lesson.cohort for lesson in lessons)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_scans_slices_come_at_the_references_pixel_size(run, teacher, tmp_path, factor):
    shown = somray.open_run(run).scan("s02", "t0").image.values[0, 0]
    dy, dx = teacher.spacing_mm
    geometry = Geometry.from_spacing(shown.shape, (3.0, factor * dy, factor * dx))
    other = LessonScan(store(tmp_path, shown, geometry))
    lessons, _ = read_lessons(asked_of(run, rounds=1, cohort=[other]), teacher)
    rows, columns = shown.shape[1:]
    for lesson in lessons[1:]:
        assert lesson.target.shape == (round(factor * rows), round(factor * columns))
        assert lesson.values.shape == (1, *lesson.target.shape)
        assert 0 <= lesson.target.min() <= lesson.target.max() <= 1
    # The target is as large, in mm², as what the teacher says on the scan's own pixels.
    images, spacing = shown[:, None], (factor * dy, factor * dx)
    masks = apply_teacher(teacher, images, spacing).labels == teacher.value_of("lesion")
    assert len(masks) == len(lessons) - 1
    assert masks.any()
    for lesson, mask in zip(lessons[1:], masks, strict=True):
        assert lesson.target.sum() == pytest.approx(mask.sum() * factor**2, rel=0.03, abs=0.5)


def test_pixels_without_data_do_not_count_and_neither_do_those_that_look_at_them(
    run, teacher, tmp_path
):
    shown = somray.open_run(run).scan("s02", "t0").image.values[0, 0].copy()
    shown[:, :10] = np.nan
    dy, dx = teacher.spacing_mm
    for factor in (1.0, 0.5):
        geometry = Geometry.from_spacing(shown.shape, (3.0, factor * dy, factor * dx))
        asked = Asked(
            LessonScan(store(tmp_path / str(factor), shown, geometry)), 5, 1, (), "lesion"
        )
        (lesson,), _ = read_lessons(asked, teacher)
        hole = np.isnan(lesson.values).any(axis=0)
        assert hole.any()
        np.testing.assert_array_equal(lesson.weight > 0, ~hole)
        assert np.isfinite(lesson.target).all()
        assert not lesson.target[hole].any()


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """A run of one head on MR, direct transfer alone."""
    folder = tmp_path_factory.mktemp("heads")
    write_phantom(folder, subjects=1, sessions=1, shape=(24, 64, 64), region="head", seed=3)
    (protocol,) = yaml.safe_load((folder / "cohort.yaml").read_text())["protocols"]
    settings = f"protocols.{protocol}.segment=som", f"protocols.{protocol}.registration.pairs=[]"
    run_in(folder, f"output={folder / 'run'}", *settings)
    return somray.open_run(folder / "run"), protocol


def test_on_mr_the_cohort_is_taught_by_the_objects_of_heads(heads):
    run, protocol = heads
    scan = LessonScan(ScanPlace(str(run.root), "s01", "t0"))
    teacher = run.teacher(protocol)
    (first, *taught), _ = read_lessons(Asked(scan, 12, 1, (scan,), "lesion"), teacher)
    assert len(taught) == module.COHORT_SLICES
    shown, objects = run.scan("s01", "t0"), run.table("objects")
    np.testing.assert_array_equal(first.target, shown.som.values[0, 12] == 3)  # A is the map's
    labels = shown.objects.values[0]
    lesions = np.isin(labels, objects[objects.called == "lesion"].object_id)
    assert lesions.any()
    for lesson, z in zip(taught, places_of(taught, shown.image.values[0]), strict=True):
        np.testing.assert_array_equal(lesson.target, lesions[z])
        assert labels[z][lesson.weight == 0].all()  # only an object can be in doubt
        assert not lesion_in_doubt(lesson)
    assert any((lesson.weight == 0).any() for lesson in taught)


def lesion_in_doubt(lesson):
    """Tell whether something that is told a lesion does not count."""
    return bool((lesson.target[lesson.weight == 0] > 0).any())
