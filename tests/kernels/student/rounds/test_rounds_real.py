"""Student against the real teacher on three neighbouring slices of real scans."""

import numpy as np
import pytest
import SimpleITK

from somray.kernels.student.rounds.run import train_rounds
from somray.kernels.student.rounds.spec import StudentSpec
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher
from tests.student_fixtures import lessons_of

pytestmark = pytest.mark.slow
SUV_PER_BQML = 2.9448e-4


def test_student_comes_near_the_teacher_on_neighbouring_slices_of_a_whole_body_pet(real_data):
    """Measured at .944 mean IoU (.945 in the default's 800 steps); A's mask copied has .959 there."""
    file = real_data / "pet_wholebody_QIN24" / "pet_bqml.nii.gz"
    volume = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).astype(np.float32)
    images, spacing = volume[[170, 171, 169], None] * np.float32(SUV_PER_BQML), (3.538, 3.538)
    teacher = fit_teacher(images[:1], TeacherSpec("PET", ("PET",)), spacing).model
    labels = apply_teacher(teacher, images, spacing).labels
    spec = StudentSpec(
        channels=teacher.channels,
        kinds=("PET",),
        windows=teacher.windows,
        rounds=2,
        steps=100,
        threads=1,
        spacing_mm=spacing,
    )
    result = train_rounds(
        lessons_of(images, labels == teacher.value_of("lesion"), labels != 0), spec
    )
    dice = [row["dice"] for row in result.agreement if row["round"] == 2]
    assert np.mean(dice) >= 0.9
    assert not result.model.history["collapsed"]
