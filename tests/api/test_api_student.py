"""`somray.Student` as scripts and notebooks use it."""

import numpy as np
import pytest

import somray
from somray.errors import ConfigError, ShapeError
from somray.kernels.student.predict import views_of


def _slices(channels=1, count=2):
    images = np.random.default_rng(0).normal(40, 5, (count, channels, 24, 28)).astype(np.float32)
    images[:, :, 6:16, 8:21] += 40
    return images, images[:, 0] > 60


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOMRAY_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def student(one_thread):
    images, masks = _slices()
    return somray.Student(channels=1, steps=60).fit(images[:, 0], masks)


def test_it_learns_a_mask_and_gives_probabilities(student):
    images, masks = _slices()
    found = student.predict_proba(images[:, 0])
    assert found.shape == masks.shape
    assert found.dtype == np.float32
    assert 0 <= found.min() < found.max() <= 1
    for chance, mask in zip(found, masks, strict=True):
        assert somray.agreement(chance >= 0.5, mask)["dice"] > 0.95


def test_steps_and_seed_fix_the_bits(student):
    images, masks = _slices()
    again = somray.Student(channels=1, steps=60).fit(images, masks)
    for key, value in student.model.weights.items():
        np.testing.assert_array_equal(again.model.weights[key], value)


def test_its_module_is_a_torch_network(student):
    import torch

    module, (images, _) = student.module, _slices()
    assert isinstance(module, torch.nn.Module)
    inputs = np.stack([views_of(student.model).inputs(image) for image in images])
    with torch.inference_mode():
        found = torch.sigmoid(module(torch.from_numpy(inputs))).numpy()
    np.testing.assert_allclose(found, student.predict_proba(images), atol=1e-5)


def test_another_student_goes_on_from_it(student):
    images, masks = _slices()
    further = somray.Student(channels=1, steps=2, seed=3).fit(images + 500, masks, start=student)
    assert further.model.windows == student.model.windows
    fresh = somray.Student(channels=1, steps=2, seed=3).fit(images, masks)
    own, started, anew = (
        np.concatenate(
            [model.weights[key].ravel() for key in sorted(model.weights) if key.endswith("weight")]
        )
        for model in (student.model, further.model, fresh.model)
    )
    assert 0 < np.abs(started - own).mean() < 0.3 * np.abs(anew - own).mean()
    assert student.model is not further.model


def test_a_mask_with_one_side_teaches_a_student_that_goes_on(student):
    images, masks = _slices()
    found = somray.Student(steps=1).fit(images, np.zeros_like(masks), start=student)
    assert found.predict_proba(images).max() < 1


def test_windows_are_given_by_channel_and_names_come_with_them():
    images, masks = _slices(channels=2)
    window = {"CT": {"window": [-160, 240]}, "PET": {"window": [0, 10]}}
    student = somray.Student(channels=2, intensity=window, steps=1).fit(images, masks)
    assert student.model.channels == ("CT", "PET")
    assert student.model.windows == ((-160.0, 240.0), (0.0, 10.0))
    assert student.predict_proba(images[0]).shape == (1, 24, 28)
    assert student.model.network["kinds"] == "CT,PET"


def test_pixels_without_data_are_neither_learned_nor_told(student):
    images, masks = _slices()
    images[0, 0, :5] = np.nan
    found = somray.Student(steps=2).fit(images, masks).predict_proba(images)
    assert (found[0, :5] == 0).all()
    assert np.isfinite(found).all()
    masks[0, :5] = True
    other = somray.Student(steps=2).fit(images, masks).predict_proba(images)
    np.testing.assert_array_equal(found, other)


def test_a_time_budget_ends_the_fit():
    import time

    images, masks = _slices()
    student = somray.Student(channels=1, seconds=0.5)
    began = time.perf_counter()
    student.fit(images, masks)
    assert time.perf_counter() - began < 20  # a busy machine may be slow to begin
    assert student.predict_proba(images).shape == masks.shape


@pytest.mark.parametrize("inside", [True, False])
def test_a_mask_with_one_side_gives_a_constant_student(inside):
    images, masks = _slices()
    student = somray.Student(steps=2).fit(images, np.full(masks.shape, inside))
    np.testing.assert_allclose(student.predict_proba(images), float(inside), atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"seconds": 3, "steps": 3},
        {"steps": 0},
        {"seconds": -1.0},
        {"channels": 0},
        {"channels": ("CT", "CT")},
        {"channels": ("CT",), "intensity": {"PET": {"window": [0, 1]}}},
        {"channels": ("CT",), "intensity": {"CT": {"window": [1, 0]}}},
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ConfigError):
        somray.Student(**arguments)


def test_what_does_not_fit_is_refused(student):
    images, masks = _slices()
    with pytest.raises(ShapeError, match="call fit"):
        somray.Student().predict_proba(images)
    with pytest.raises(ShapeError, match="masks must be"):
        somray.Student().fit(images, masks[:1])
    with pytest.raises(ShapeError, match="images must be"):
        student.predict_proba(np.zeros((1, 3, 8, 8)))
    with pytest.raises(ShapeError, match="no pixel"):
        somray.Student().fit(np.full_like(images, np.nan), masks)
    with pytest.raises(ShapeError, match="start has channels"):
        somray.Student(channels=("PET",)).fit(images, masks, start=student)


def test_slices_of_another_pixel_size_are_seen_at_that_of_the_fit(student):
    images, masks = _slices()
    fine = images[:, 0].repeat(2, axis=1).repeat(2, axis=2)
    found = student.predict_proba(fine, spacing_mm=(0.5, 0.5))
    inside = masks.repeat(2, axis=1).repeat(2, axis=2)
    assert found.shape == inside.shape
    assert somray.agreement(found >= 0.5, inside)["dice"] > 0.9
    fine[0, :4] = np.nan
    assert (student.predict_proba(fine, spacing_mm=(0.5, 0.5))[0, :4] == 0).all()
    np.testing.assert_array_equal(
        student.predict_proba(images, spacing_mm=(1.0, 1.05)), student.predict_proba(images)
    )
