"""Every example of README and CONTRACT's Python sections typed once, and those of the docstrings."""

import doctest
import importlib
import subprocess
import sys

import numpy as np
import pytest

import somray
from somray.errors import ShapeError
from tests.report.small_run import build


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("SOMRAY_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return somray.open_run(build(tmp_path_factory.mktemp("typed")).root)


def scene(seed=0):
    y, x = np.mgrid[:40, :48]
    body = np.where(np.hypot(y - 20, x - 24) < 16, 50.0, -900.0)
    body[14:22, 20:28] = 160.0
    return (body + np.random.default_rng(seed).normal(0, 6, body.shape)).astype("f4")


def petct(seed=0, count=None):
    ct = scene(seed)
    pet = np.where(ct > 110, 6.0, np.where(ct > -400, 0.7, 0.01)).astype("f4")
    image = np.stack([ct, pet])
    return image if count is None else np.stack([image] * count)


@pytest.mark.parametrize(
    "module", ["teacher", "student", "slices", "measures", "registration", "maps", "estimator"]
)
def test_examples_of_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(f"somray.api.{module}"))
    assert found.failed == 0
    assert found.attempted > 2


def test_a_run_is_read_as_the_readme_has_it(run):
    evolution = run.table("evolution")
    assert {"lesion_id", "change", "protocol"} <= set(evolution)
    scan = run.scan("s01", "t0")
    assert scan.image.chunks is not None
    assert scan.coords["z"].attrs["units"] == "mm"
    assert run.aligned("s01", "t1").image.dims == scan.image.dims
    assert run.aligned("s01", "t0", to="slices").attrs["refused_slices"] == [[0, 5]]


def test_a_teacher_is_used_as_the_readme_has_it():
    slice_, other = scene(), scene(1)
    teacher = somray.Teacher(modality="CT").fit(slice_, spacing_mm=(0.8, 0.8))
    labels = teacher.predict(other)
    assert set(np.unique(labels)) <= set(teacher.classes)
    assert "lesion" in teacher.doubtful
    found = teacher.drift(other)
    assert found.status in ("ok", "drifted")
    assert (found.reason == "") == (found.status == "ok")
    later = somray.Teacher(modality="CT").fit(other, previous=teacher)
    assert later.classes == teacher.classes
    som = somray.som.SelfOrganizingMap(grid=(10, 10))
    assert som.get_params()["grid"] == (10, 10)


def test_a_teacher_is_used_as_the_contract_has_it():
    teacher = somray.Teacher(
        grid=(5, 5), modality="PETCT", channels=("CT", "PET"), intensity=None, seed=0
    )
    image = petct()
    assert teacher.fit(image, spacing_mm=(1.0, 1.0)) is teacher
    labels = teacher.predict(image, spacing_mm=(1.0, 1.0))
    assert (labels.shape, labels.dtype) == ((40, 48), np.uint8)
    assert teacher.predict(petct(count=2)).shape == (2, 40, 48)
    assert {1, 2, 3, 4} <= set(teacher.classes)
    assert (teacher.node_classes.shape, teacher.node_classes.dtype) == ((25,), np.uint8)
    book = teacher.codebook
    assert (book.weights.shape, book.weights.dtype) == ((25, 20), np.float32)
    assert (book.grid, book.topology) == ((5, 5), "rectangular")


def test_with_one_channel_a_volume_goes_wherever_slices_may():
    volume = np.stack([scene(seed) for seed in range(3)])
    teacher = somray.Teacher(modality="CT").fit(volume, spacing_mm=(3.0, 0.8, 0.8))
    assert teacher.predict(volume, spacing_mm=(3.0, 0.8, 0.8)).shape == volume.shape
    assert teacher.drift(volume, spacing_mm=(3.0, 0.8, 0.8)).status == "ok"
    assert teacher.level_of(volume) is None
    student = somray.Student(channels=1, steps=1).fit(volume, volume > 100)
    assert student.predict_proba(volume).shape == volume.shape


def test_a_student_is_used_as_the_contract_has_it():
    images, masks = petct(count=2), petct(count=2)[:, 0] > 100
    assert somray.Student(channels=1, intensity=None, seed=0, seconds=60) is not None
    student = somray.Student(
        channels=2, intensity={"CT": {"window": [-160, 240]}, "PET": {"window": [0, 8]}}, steps=1
    )
    student.fit(images, masks)
    chances = student.predict_proba(images)
    assert (chances.shape, chances.dtype) == (masks.shape, np.float32)
    assert hasattr(student.module, "forward")
    other = somray.Student(channels=2, steps=1)
    with pytest.raises(ShapeError, match="start has channels"):
        other.fit(images, masks, start=student)


def test_slices_are_registered_as_the_contract_has_it():
    image = np.kron(np.random.default_rng(0).normal(size=(12, 12)), np.ones((8, 8)))
    fixed, moving = image[:, 4:84], image[:, :80]
    t = somray.register(fixed, moving, detector="kaze", model="auto")
    assert (t.status, t.reason) == ("ok", None)
    np.testing.assert_allclose(t.matrix, [[1, 0, -4], [0, 1, 0], [0, 0, 1]], atol=0.3)
    warped = t.warp(moving)
    assert warped.shape == fixed.shape
    assert np.isnan(warped).any()
    for blank in (np.zeros((9, 9)), np.full((9, 9), np.nan), np.zeros((0, 4))):
        refused = somray.register(blank, moving)
        assert (refused.status, refused.matrix) == ("refused", None)


def test_features_maps_and_masks_go_as_the_contract_has_them():
    stack = somray.features(scene(), window=None, spacing_mm=(1.0, 1.0))
    assert stack.shape == (len(somray.FEATURES), 40, 48)
    samples = stack.reshape(len(stack), -1).T
    codebook = somray.som.fit(samples, grid=(10, 10), seed=0)
    nodes = somray.som.assign(samples, codebook)
    assert nodes.shape == (40 * 48,)
    assert nodes.max() < 100
    mask = np.stack([scene() > 100] * 2)
    assert somray.lesions(mask, (3.0, 1.0, 1.0)).max() >= 1
    found = somray.agreement(mask[0], mask[1])
    assert found == dict.fromkeys(("iou", "dice", "accuracy", "precision", "recall"), 1.0)


def test_importing_and_looking_round_starts_nothing_heavy():
    code = (
        "import sys, somray; dir(somray); somray.features, somray.lesions, somray.Teacher(modality='CT').__repr__();"
        "print(sorted({'ray', 'torch', 'nibabel', 'SimpleITK'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
