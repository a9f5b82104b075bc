"""Prediction: tiles, threads, holes, temperature, and what does not fit."""

import platform
import resource
from dataclasses import replace

import numpy as np
import pytest

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student import predict as module
from somray.kernels.student.network import folded, new_unet, unet_weights
from somray.kernels.student.predict import (
    chances,
    device_for,
    network_of_model,
    predict_student,
    views_of,
)
from somray.kernels.student.shape import NetworkShape
from somray.kernels.student.training.calibration import calibrated
from tests.student_fixtures import VIEWS, WINDOW, hu_image, small_shape


def model_of(dimensions=2, seed=0, shape=None):
    """An untrained student of CT."""
    shape = shape or small_shape(dimensions)
    weights = unet_weights(new_unet(shape, seed))
    weights["out.weight"] = weights["out.weight"] * 3
    network = {**shape.as_numbers(), "kinds": "CT"}
    return StudentModel(weights, network, ("CT",), (WINDOW,))


def images_of(dimensions=2, count=3):
    shape = (37, 45) if dimensions == 2 else (11, 14, 18)
    return np.stack([hu_image(shape, seed=n)[0] for n in range(count)])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_probabilities_are_those_of_the_network_on_what_the_look_sees(dimensions):
    import torch

    model, images = model_of(dimensions), images_of(dimensions)
    module_ = new_unet(small_shape(dimensions), 0).eval()
    with torch.no_grad():
        module_.out.weight *= 3
        inputs = torch.from_numpy(np.stack([VIEWS.inputs(image) for image in images]))
        expected = torch.sigmoid(module_(inputs)).numpy()
    found = predict_student(model, images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_tiles_equal_the_whole_image(dimensions, monkeypatch):
    shape = NetworkShape(dimensions, 3)
    model, images = model_of(dimensions, shape=shape), images_of(dimensions, 1)
    whole = predict_student(model, images)
    assert whole.std() > 1e-3
    for tile in (shape.multiple, 2 * shape.multiple, 4 * shape.multiple):
        monkeypatch.setitem(module.TILES, dimensions, tile)
        np.testing.assert_allclose(predict_student(model, images), whole, atol=1e-5)


def test_tiles_begin_where_the_networks_halvings_do():
    for dimensions, tile in module.TILES.items():
        assert tile % NetworkShape(dimensions, 1).multiple == 0


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_number_of_threads_and_of_images_changes_no_bit(dimensions):
    model, images = model_of(dimensions), images_of(dimensions, 4)
    one = predict_student(model, images)
    np.testing.assert_array_equal(predict_student(model, images, threads=3), one)
    for n in range(4):
        np.testing.assert_array_equal(predict_student(model, images[n : n + 1])[0], one[n])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_where_there_is_no_data_the_probability_is_zero_and_elsewhere_none_is_nan(dimensions):
    model, images = model_of(dimensions), images_of(dimensions)
    images[0, 0, :4] = np.nan
    images[1] = np.nan
    found = predict_student(model, images)
    assert np.isfinite(found).all()
    assert (found[np.isnan(images[:, 0])] == 0).all()
    assert (found[~np.isnan(images[:, 0])] > 0).all()


def test_a_scans_own_windows_are_used_instead_of_the_models():
    model = model_of(shape=small_shape(inputs=2))
    model = replace(model, network={**model.network, "kinds": "other"})
    images = images_of()
    own = predict_student(model, images)
    scaled = predict_student(model, 10 * images, ((10 * WINDOW[0], 10 * WINDOW[1]),))
    np.testing.assert_allclose(scaled, own, atol=1e-5)
    assert not np.allclose(predict_student(model, 10 * images), own)
    assert views_of(model, ((0.0, 1.0),)).windows == ((0.0, 1.0),)
    assert views_of(model).windows == (WINDOW,)


def test_the_temperature_divides_logits_and_leaves_masks():
    model, images = model_of(), images_of()
    plain = predict_student(model, images)
    found = predict_student(replace(model, temperature=2.5), images)
    np.testing.assert_allclose(found, calibrated(plain, 2.5), atol=1e-5)
    np.testing.assert_array_equal(found >= 0.5, plain >= 0.5)
    assert not np.allclose(found, plain)


def test_networks_are_kept_by_their_weights_and_only_a_few_of_them(monkeypatch):
    monkeypatch.setattr(module, "_built", {})
    first = network_of_model(model_of(seed=0))
    assert network_of_model(model_of(seed=0)) is first
    others = [network_of_model(model_of(seed=n)) for n in range(1, module.KEPT_NETWORKS)]
    assert network_of_model(model_of(seed=0)) is first
    network_of_model(model_of(seed=99))
    assert network_of_model(model_of(seed=0)) is first  # the one not used for longest went
    assert network_of_model(model_of(seed=1)) is not others[0]
    assert len(module._built) == module.KEPT_NETWORKS


@pytest.mark.parametrize(
    ("dimensions", "shape"),
    [
        (2, (3, 20, 20)),
        (2, (1, 2, 20, 20)),
        (2, (1, 1, 8, 20, 20)),
        (3, (1, 1, 20, 20)),
        (3, (8, 20, 20)),
    ],
)
def test_images_that_do_not_fit_are_refused(dimensions, shape):
    with pytest.raises(ShapeError, match=r"images must be \(n, c, "):
        predict_student(model_of(dimensions), np.zeros(shape, np.float32))


def test_a_device_is_a_gpu_only_where_one_is_asked_for():
    assert device_for(gpu=False) == "cpu"
    assert device_for(gpu=True) in ("cpu", "cuda")


def test_a_list_of_images_is_as_good_as_an_array():
    network = folded(new_unet(small_shape(), 0).eval())
    images = images_of()
    np.testing.assert_array_equal(
        chances(network, list(images), VIEWS), chances(network, images, VIEWS)
    )


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="another C library keeps its own rules"
)
def test_a_slice_after_another_one_asks_for_no_new_memory():
    """Without a word to glibc every slice of 512×512 faults in 10,000 pages."""
    model = model_of(shape=NetworkShape(2, 3))
    images = np.zeros((1, 1, 512, 512), dtype=np.float32)
    faults = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        predict_student(model, images)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults[1:]) < 1000
