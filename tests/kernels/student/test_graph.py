"""A student as one graph: the same probabilities on a device and in an exported file."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from somray.errors import ConfigError
from somray.kernels.features import FEATURES
from somray.kernels.student import predict
from somray.kernels.student.graph import StudentGraph
from somray.kernels.student.networks import network_of, student_of
from somray.kernels.student.onnx_graph import OPSET, onnx_bytes
from somray.kernels.student.predict import network_of_model, predict_student
from somray.kernels.student.spec import StudentSpec
from somray.kernels.student.unet import new_unet, unet_weights

SPEC = StudentSpec(
    ("CT", "PET"), ((-160.0, 240.0), (0.0, 10.0)), tuple(FEATURES), spacing_mm=(0.8, 1.2)
)


def student(spec=SPEC, seed=0):
    """A student whose every part says something."""
    module, rng = new_unet(network_of(spec), seed), np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(0, 0.15, parameter.shape)))
    return student_of(spec, unet_weights(module), {})


def scan(count, y, x, holes=0.05):
    """Slices of CT and PET with structure and holes."""
    rng = np.random.default_rng(count + y)
    rows, columns = np.mgrid[:y, :x]
    image = np.empty((count, 2, y, x), np.float32)
    image[:, 0] = 200 * np.sin(rows / 5) * np.cos(columns / 7) + rng.normal(0, 30, (count, y, x))
    image[:, 1] = np.abs(rng.normal(3, 2, (count, y, x)))
    image[:, 1][rng.random((count, y, x)) < holes] = np.nan
    return image


@pytest.fixture(scope="module")
def session():
    runtime = pytest.importorskip("onnxruntime")
    model = student()
    return model, runtime.InferenceSession(onnx_bytes(model, {"target": "lesion", "n": [1]}))


@pytest.mark.parametrize("names", [(), ("mean3", "thickness"), tuple(FEATURES)])
def test_the_graph_gives_what_the_kernels_and_the_network_give(names):
    model, images = student(replace(SPEC, feature_names=names)), scan(2, 37, 50)
    expected = predict_student(model, images, SPEC.spacing_mm)
    with torch.inference_mode():
        found = StudentGraph(model)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert expected.std() > 0.01


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 37, 50), (2, 5, 130), (1, 1, 1)])
def test_onnx_runtime_gives_the_same_probabilities_at_any_size(session, shape):
    model, runtime = session
    images = scan(*shape)
    expected = predict_student(model, images, SPEC.spacing_mm)
    (found,) = runtime.run(None, {"image": images})
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found[np.isnan(images).any(axis=1)] == 0).all()


def test_a_temperature_calibrates_the_graph_as_it_does_the_prediction():
    model, images = replace(student(), temperature=2.5), scan(1, 20, 24)
    found = StudentGraph(model)(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_allclose(found, predict_student(model, images, SPEC.spacing_mm), atol=1e-5)
    sharp = predict_student(student(), images, SPEC.spacing_mm)
    there = sharp > 0
    np.testing.assert_allclose(_logit(found[there]), _logit(sharp[there]) / 2.5, atol=1e-3)


def _logit(chance):
    return np.log(chance / (1 - chance))


def test_the_file_tells_what_it_is(session):
    _, runtime = session
    told = runtime.get_modelmeta().custom_metadata_map
    assert told["target"] == "lesion"
    assert json.loads(told["n"]) == [1]
    assert runtime.get_inputs()[0].shape == ["n", 2, "y", "x"]
    assert runtime.get_outputs()[0].shape == ["n", "y", "x"]


def test_a_student_gives_the_same_file_again_and_no_place_of_this_machine():
    onnx = pytest.importorskip("onnx")
    model = student(replace(SPEC, feature_names=("mean3",)))
    data = onnx_bytes(model, {})
    assert data == onnx_bytes(model, {})
    assert b"site-packages" not in data
    assert b"somray" not in data
    assert [o.version for o in onnx.load_from_string(data).opset_import] == [OPSET]


def test_without_onnx_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"somray\[export\]"):
        onnx_bytes(student(), {})


def test_a_model_that_comes_again_is_not_built_again():
    model = student()
    copy = replace(model, weights={k: v.copy() for k, v in model.weights.items()})
    assert network_of_model(model) is network_of_model(copy)
    assert network_of_model(model) is not network_of_model(student(seed=1))


def test_a_process_keeps_only_a_few_networks():
    for seed in range(predict.KEPT_NETWORKS + 2):
        network_of_model(student(seed=seed))
    assert len(predict._built) == predict.KEPT_NETWORKS


def test_batches_on_a_device_give_what_single_slices_give(monkeypatch):
    model, images = student(), scan(5, 24, 33)
    graph = StudentGraph(model).eval()
    monkeypatch.setattr(predict, "DEVICE_PIXELS", 2 * 24 * 33)
    found = predict._in_batches(graph, images, "cpu")
    np.testing.assert_allclose(found, predict_student(model, images, SPEC.spacing_mm), atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("spacing", [(0.8, 1.2), (2.0, 2.0)])
def test_a_gpu_gives_nearly_the_same_masks(spacing):
    model, images = student(), scan(20, 128, 130)
    expected = predict_student(model, images, spacing)
    found = predict_student(model, images, spacing, device="cuda")
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert ((found >= 0.5) != (expected >= 0.5)).mean() < 5e-3
