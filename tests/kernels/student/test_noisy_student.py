"""Trainings from end to end on small slices: what noise, labels, neighbours and uptake change."""

from dataclasses import replace

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.student.centroids import Centroids, centroids_of
from somray.kernels.student.inputs import Look, student_inputs
from somray.kernels.student.lesson import Lesson, lessons_of
from somray.kernels.student.networks import network_of
from somray.kernels.student.predict import predict_student
from somray.kernels.student.rounds import train_rounds
from somray.kernels.student.spec import StudentSpec
from somray.kernels.student.unet import NetworkShape
from somray.kernels.teacher import TeacherSpec, apply_teacher, fit_teacher
from tests.benchmarks.student_cases import dice
from tests.student_fixtures import FEATURES, WINDOW, hu_slice

SPEC = StudentSpec(("CT",), (WINDOW,), FEATURES, rounds=1, steps=2, threads=1)
# Ground, block, and a class that is nowhere; near and far in intensity, mean and edge.
CLASSES = Centroids(
    nodes=((0.37, 0.37, 0.0), (0.6, 0.6, 0.0), (0.9, 0.9, 0.0)),
    counts=(1, 1, 1),
    target=1,
    center=(0.0, 0.0, 0.0),
    scale=(1.0, 1.0, 1.0),
    factors=(1.0, 1.0, 0.0),
    classes=(1, 3, 7),
)


def _lesson(seed=0, **parts):
    image, mask = hu_slice(seed=seed)
    return Lesson(image, mask, np.ones_like(mask), **parts)


def _noisy(image, sigma=40.0, count=3):
    return image + sigma * np.random.default_rng(9).normal(size=(count, *image.shape))


def _changed(first, second):
    names = first.model.weights.keys()
    return {n for n in names if not np.array_equal(first.model.weights[n], second.model.weights[n])}


def test_a_few_steps_see_more_through_noise_than_the_teacher_does():
    image = hu_slice((72, 72), noise=5.0)[0] * np.float32(0.6)
    teacher = fit_teacher(image[None], TeacherSpec("CT", ("CT",), (WINDOW,), grid=(3, 3)), (1, 1))
    teacher = teacher.model
    labels = apply_teacher(teacher, image[None], (1.0, 1.0)).labels
    target = int(labels[0, 30, 35])
    wanted = np.repeat(labels == target, 3, axis=0)
    spec = replace(
        SPEC, feature_names=teacher.features, steps=15, start=centroids_of(teacher, target)
    )
    model = train_rounds(lessons_of(image[None], labels == target, labels != 0), spec).model
    noisy = _noisy(image).astype(np.float32)
    direct = dice(apply_teacher(teacher, noisy, (1.0, 1.0)).labels == target, wanted)
    student = dice(predict_student(model, noisy, (1.0, 1.0)) >= 0.5, wanted)
    assert student > direct + 0.05
    clean = predict_student(model, image[None], (1.0, 1.0)) >= 0.5
    np.testing.assert_array_equal(clean, labels == target)


@pytest.mark.parametrize("start", [None, CLASSES])
def test_soft_labels_and_classes_teach_something_else_than_the_mask(start):
    lesson = _lesson()
    classes = np.where(lesson.teacher, 3, 1).astype(np.uint8)
    classes[:4] = 0
    full = replace(
        lesson,
        membership=np.where(lesson.teacher, 0.9, 0.2).astype(np.float32),
        classes=classes,
    )
    spec = replace(SPEC, start=start, target_value=3)
    several = replace(spec, labels="classes", classes=(1, 3))
    asked = {"mask": spec, "soft": replace(spec, labels="soft"), "classes": several}
    found = {name: train_rounds([full], spec) for name, spec in asked.items()}
    for result in found.values():
        assert all(np.isfinite(row["loss"]) for row in result.training)
    assert _changed(found["mask"], found["soft"])
    if start is None:  # then classes have prototypes of their own
        assert found["classes"].model.network["prototypes"] == "8,8"
        assert found["classes"].model.network["target"] == 1
    else:
        assert _changed(found["mask"], found["classes"])
    for result in found.values():
        assert result.agreement[0]["dice"] > 0.9


def test_labels_that_the_lesson_lacks_are_asked_for():
    with pytest.raises(ShapeError, match="membership"):
        train_rounds([_lesson()], replace(SPEC, labels="soft"))
    with pytest.raises(ShapeError, match="lesson with classes"):
        train_rounds([_lesson()], replace(SPEC, labels="classes", start=CLASSES))


def test_noisy_slices_are_seen_with_their_neighbours():
    lesson = _lesson(around=np.stack([hu_slice(seed=n)[0] for n in (5, 6)]))
    spec = replace(SPEC, neighbours=1, start=CLASSES)
    model = train_rounds([lesson], spec).model
    shape = NetworkShape.of(network_of(spec))
    assert shape.beside == 2
    quiet, noisy = hu_slice(seed=1)[0][None], _noisy(lesson.image, 40.0, 1).astype(np.float32)
    around, other = lesson.around[None], lesson.around[None] + 80
    found = {
        name: [
            predict_student(model, image, (1.0, 1.0), around=beside) for beside in (around, other)
        ]
        for name, image in (("quiet", quiet), ("noisy", noisy))
    }
    np.testing.assert_array_equal(*found["quiet"])
    assert not np.array_equal(*found["noisy"])
    assert len(student_inputs(noisy[0], _look(model), around[0])) == shape.planes
    with pytest.raises(ShapeError, match="neighbours"):
        predict_student(model, noisy, (1.0, 1.0))
    with pytest.raises(ShapeError, match="on either side"):
        train_rounds([_lesson()], spec)


def _look(model):
    return Look(model.windows, FEATURES, model.spacing_mm, model.spacing_mm, model.weights["noise"])


def test_a_protocol_of_uptake_alone_sees_through_noise_too():
    image, mask = hu_slice()
    uptake = 2 + image / 30  # SUV 2 round a block of 5
    spec = replace(SPEC, channels=("PET",), windows=((0.0, 10.0),), steps=4)
    result = train_rounds([Lesson(uptake, mask, np.ones_like(mask))], spec)
    assert result.agreement[0]["dice"] > 0.95
    noisy = _noisy(uptake, 1.0, 1).astype(np.float32)
    assert _look(result.model).noise_of(noisy[0]).excess[0] > 1
    found = predict_student(result.model, noisy, (1.0, 1.0))
    assert dice(found[0] >= 0.5, mask) > 0.5
    assert all(np.isfinite(row["loss"]) for row in result.training)


def test_uptake_beside_ct_never_makes_a_slice_noisy():
    image, mask = hu_slice()
    both = np.concatenate([image, 2 + image / 30])
    spec = replace(SPEC, channels=("CT", "PET"), windows=(WINDOW, (0.0, 10.0)))
    model = train_rounds([Lesson(both, mask, np.ones_like(mask))], spec).model
    worse = both.copy()
    worse[1] += np.random.default_rng(0).normal(0, 2, mask.shape).astype(np.float32)
    assert len(student_inputs(worse, _look(model))) == 2 * len(FEATURES)
    worse[0] += np.random.default_rng(0).normal(0, 40, mask.shape).astype(np.float32)
    assert len(student_inputs(worse, _look(model))) == NetworkShape.of(model.network).planes
