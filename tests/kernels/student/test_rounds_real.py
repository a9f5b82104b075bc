"""Student against the real teacher on three neighbouring slices of real scans."""

import numpy as np
import pytest
import SimpleITK

from somray.kernels.student.lesson import lessons_of
from somray.kernels.student.rounds import StudentSpec, train_rounds
from somray.kernels.teacher import TeacherSpec, apply_teacher, fit_teacher

pytestmark = pytest.mark.slow
SUV_PER_BQML = 2.9448e-4


def test_student_reaches_the_teacher_on_neighbouring_slices_of_a_whole_body_pet(real_data):
    file = real_data / "pet_wholebody_QIN24" / "pet_bqml.nii.gz"
    volume = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))).astype(np.float32)
    images, spacing = volume[[170, 171, 169], None] * np.float32(SUV_PER_BQML), (3.538, 3.538)
    teacher = fit_teacher(images[:1], TeacherSpec("PET", ("PET",)), spacing).model
    labels = apply_teacher(teacher, images, spacing).labels
    spec = StudentSpec(
        channels=teacher.channels,
        windows=teacher.windows,
        feature_names=teacher.features,
        rounds=2,
        steps=40,
        threads=1,
        spacing_mm=spacing,
    )
    result = train_rounds(
        lessons_of(images, labels == teacher.value_of("lesion"), labels != 0), spec
    )
    dice = [row["dice"] for row in result.agreement if row["round"] == 2]
    assert np.mean(dice) >= 0.97
    last = result.convergence[-1]
    assert last["mean_iou"] > last["copy_forward_iou"]
