"""The torch features equal the compiled ones."""

import numpy as np
import pytest
import SimpleITK
import torch

from somray.errors import ShapeError
from somray.kernels.features import FEATURES, feature_stack
from somray.kernels.student.feature_layer import FeatureLayer, reflected

WINDOWS = ((-1000.0, 400.0), (-160.0, 240.0))


def _differences(image, windows, names=FEATURES, spacing=(1.0, 1.0)):
    """Largest difference of every plane, in shares of 1 or of its largest value if that is more."""
    expected = feature_stack(image, windows, names, spacing)
    found = FeatureLayer(windows, names, spacing)(torch.from_numpy(image)[None])[0].numpy()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    gaps = [
        np.abs(a - b).max(initial=0) / max(1, np.abs(b).max(initial=0))
        for a, b in (
            (a[~np.isnan(b)], b[~np.isnan(b)]) for a, b in zip(found, expected, strict=True)
        )
    ]
    return np.array(gaps)


def _noise(shape, holes=0.0):
    rng = np.random.default_rng(7)
    image = rng.normal(-100, 400, shape).astype(np.float32)
    image[rng.random(shape) < holes] = np.nan
    return image


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 2.1), (3.0, 0.4)])
def test_features_are_those_of_the_kernel_at_any_spacing(spacing):
    assert _differences(_noise((2, 37, 52)), WINDOWS, spacing=spacing).max() < 2e-6


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (1, 5, 2), (1, 4, 4)])
def test_slices_smaller_than_the_widest_filter_are_reflected_more_than_once(shape):
    assert _differences(_noise(shape), WINDOWS[:1]).max() < 2e-6


@pytest.mark.parametrize("holes", [0.02, 0.4, 0.95, 1.0])
def test_holes_are_filled_as_the_kernel_fills_them(holes):
    assert _differences(_noise((2, 31, 26), holes), WINDOWS).max() < 2e-6


def test_a_nearly_flat_slice_keeps_its_digits():
    image = 1000 + 0.01 * _noise((1, 24, 24)) / 400
    assert _differences(image, ((0.0, 3000.0),)).max() < 2e-6


def test_chosen_features_come_in_the_order_asked_for():
    names = ("thickness", "mean3", "anisotropy_q")
    assert _differences(_noise((2, 20, 30)), WINDOWS, names).max() < 2e-6


def test_infinite_values_are_clipped_by_the_window():
    image = _noise((1, 16, 16))
    image[0, 3, 4], image[0, 9, 9] = np.inf, -np.inf
    assert _differences(image, WINDOWS[:1]).max() < 2e-6


def test_slices_of_a_batch_do_not_know_each_other():
    images = torch.from_numpy(np.stack([_noise((1, 12, 14)), 3 * _noise((1, 12, 14), 0.1)]))
    layer = FeatureLayer(WINDOWS[:1])
    together = layer(images)
    for index in (0, 1):
        torch.testing.assert_close(
            layer(images[index : index + 1])[0], together[index], rtol=0, atol=0, equal_nan=True
        )


def test_reflection_repeats_the_edge_pixel():
    plane = torch.arange(6.0).reshape(1, 1, 2, 3)
    expected = np.pad(plane[0, 0].numpy(), 3, mode="symmetric")
    np.testing.assert_array_equal(reflected(plane, 3)[0, 0].numpy(), expected)


def test_a_layer_without_channels_is_refused():
    with pytest.raises(ShapeError, match="window"):
        FeatureLayer(())


def test_an_unknown_feature_is_refused():
    with pytest.raises(ShapeError, match="texture"):
        FeatureLayer(WINDOWS, ("texture",))


def test_features_of_a_real_slice_agree(real_data):
    path = str(real_data / "ct_3slices" / "dicom" / "01.dcm")
    image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)).astype(np.float32)
    assert _differences(image, WINDOWS[:1], spacing=(0.811, 0.811)).max() < 2e-6
