"""A student that starts from its teacher's centroids says what the teacher says, before any training."""

import pytest

from somray.kernels.phantom import make_subject
from somray.kernels.student.centroids import centroids_of
from somray.kernels.student.inputs import Look, student_inputs
from somray.kernels.student.networks import network_of
from somray.kernels.student.predict import probabilities
from somray.kernels.student.spec import StudentSpec
from somray.kernels.student.start import start_from_centroids
from somray.kernels.student.unet import new_unet
from somray.kernels.teacher import TeacherSpec, apply_teacher, fit_teacher
from tests.benchmarks.student_cases import scans, windows_of

SPACING = (0.8, 1.1)


def _started(teacher, target="lesion", windows=None, spacing=SPACING):
    spec = StudentSpec(
        channels=teacher.channels,
        windows=windows or teacher.windows,
        feature_names=teacher.features,
        spacing_mm=spacing,
        start=centroids_of(teacher, teacher.value_of(target)),
    )
    module = new_unet(network_of(spec), 0)
    start_from_centroids(module, spec.start)
    return spec, module


def _disagreement(teacher, image, target, level=None, windows=None, spacing=SPACING):
    """Share of the pixels with data that the untrained student and the teacher see otherwise."""
    spec, module = _started(teacher, target, windows, spacing)
    labels = apply_teacher(teacher, image[None], spacing, level).labels[0]
    look = Look(spec.windows, spec.feature_names, spacing)
    chance = probabilities(module, student_inputs(image, look))
    wanted = labels == teacher.value_of(target)
    known = labels > 0
    assert 0.001 < wanted[known].mean() < 0.999
    return float(((chance >= 0.5) != wanted)[known].mean())


@pytest.fixture(scope="module")
def phantom():
    """A slice of the synthetic CT and its teacher."""
    (session,) = make_subject("ct", (12, 96, 96), 1, 3, 0)
    image = session.images["CT"][6][None]
    return image, fit_teacher(image[None], TeacherSpec("CT", ("CT",), grid=(4, 4)), SPACING).model


def test_it_says_what_the_teacher_says_of_a_phantom(phantom):
    image, teacher = phantom
    assert teacher.smoothing_mm in (None, 0.0)
    for target in ("lesion", "normal"):
        assert _disagreement(teacher, image, target) == 0


def test_it_votes_as_the_teacher_does(phantom):
    image, _ = phantom
    spec = TeacherSpec("CT", ("CT",), grid=(4, 4), smoothing_mm=3.0)
    teacher = fit_teacher(image[None], spec, SPACING).model
    assert centroids_of(teacher, teacher.value_of("lesion")).vote_mm == 3.0
    assert _disagreement(teacher, image, "lesion") <= 0.001


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ct3", "STS_002"])
def test_it_says_what_the_teacher_says_of_real_slices(real_data, name):
    (scan,) = scans(real_data, [name])
    windows = windows_of(scan.teacher, scan)
    if name == "STS_002":
        assert scan.teacher.smoothing_mm
    for z in scan.outward(3):
        found = _disagreement(
            scan.teacher, scan.images[z], "lesion", scan.level, windows, scan.spacing_mm
        )
        assert found <= 0.001


def test_what_is_not_the_teachers_alone_has_no_centroids(phantom):
    teacher = phantom[1]
    assert centroids_of(teacher, 99) is None
    found = centroids_of(teacher, teacher.value_of("lesion"))
    assert sum(found.counts) == len(found.nodes) == 16
    assert found.classes[found.target] == teacher.value_of("lesion")
