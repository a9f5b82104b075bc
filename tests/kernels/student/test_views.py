"""What a student sees: bounded, without holes, of values alone, and physical."""

import numpy as np
import pytest
import torch

from somray.kernels.student import views as module
from somray.kernels.student.spacing import at_shape
from somray.kernels.student.views import ImageViews, view_count

WINDOWS = {"CT": (-1000.0, 400.0), "PET": (0.0, 1.7), "MR": (20.0, 900.0), "other": (3.0, 9.0)}
KINDS = tuple(WINDOWS)


def seen(kind, values, window=None):
    views = ImageViews((kind,), (window or WINDOWS[kind],))
    return views.inputs(np.asarray(values, dtype=np.float32)[None])


@pytest.mark.parametrize("kind", KINDS)
def test_views_lie_between_minus_one_and_one_and_are_never_nan(kind):
    values = np.array([-np.inf, -1e6, -1.0, 0.0, 0.5, 40.0, 1e6, np.inf, np.nan])
    found = seen(kind, values)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.min() == -1
    assert found.max() == 1
    assert (found[:, -1] == -1).all()  # no data looks like nothing at all


@pytest.mark.parametrize("kind", KINDS)
def test_more_never_looks_like_less_and_differences_that_matter_show(kind):
    low, high = WINDOWS[kind]
    if kind == "PET":  # in units of its background
        low, high = 0.5 * high, module.PLAIN_SPAN * high
    rises = np.diff(seen(kind, np.linspace(low, high, 200)), axis=1)
    assert (rises >= -1e-6).all()
    assert (rises.max(axis=0) > 1e-4).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_knows_a_pixels_value_and_nothing_of_where_it_lies(kind):
    rng = np.random.default_rng(0)
    values = rng.uniform(*WINDOWS[kind], (6, 7)).astype(np.float32)
    order = rng.permutation(values.size)
    mixed = values.ravel()[order].reshape(values.shape)
    found = seen(kind, values).reshape(view_count(kind), -1)
    np.testing.assert_array_equal(seen(kind, mixed).reshape(found.shape), found[:, order])


def test_uptake_is_seen_in_the_scans_own_unit():
    values = np.random.default_rng(0).gamma(2, 1, 500)
    first, second = seen("PET", values, (0.0, 1.7)), seen("PET", 37 * values, (0.0, 37 * 1.7))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_uptake_is_seen_plain_and_in_octaves():
    unit = 1.7
    plain, octaves = seen("PET", unit * np.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(np.diff(plain), np.array([1, 2]) * 2 / module.PLAIN_SPAN, atol=1e-6)
    assert octaves[1] - octaves[0] == pytest.approx(octaves[2] - octaves[1], abs=1e-6)
    assert octaves[1] - octaves[0] > 0.1
    floor = seen("PET", unit * np.array([0.0, module.LOG_FLOOR / 2, module.LOG_FLOOR]))
    assert (floor == floor[:, :1]).all()  # less than the floor is nothing


def test_density_is_seen_in_the_protocols_window_soft_tissue_and_all():
    for number, (low, high) in enumerate([WINDOWS["CT"], module.SOFT_HU, module.WIDE_HU]):
        ends = seen("CT", [low - 50, low, (low + high) / 2, high, high + 50])[number]
        np.testing.assert_allclose(ends, [-1, -1, 0, 1, 1], atol=1e-5)


def test_other_values_are_seen_in_their_window_and_as_a_square_root():
    low, high = WINDOWS["MR"]
    plain, root = seen("MR", low + (high - low) * np.array([0, 0.25, 0.5, 1]))
    np.testing.assert_allclose(plain, [-1, -0.5, 0, 1], atol=1e-5)
    np.testing.assert_allclose(root, [-1, 0, np.sqrt(2) - 1, 1], atol=1e-3)


def test_channels_stand_one_after_another_and_the_image_is_left_alone():
    kinds = ("CT", "PET", "MR")
    views = ImageViews(kinds, tuple(WINDOWS[kind] for kind in kinds))
    values = np.random.default_rng(0).normal(30, 50, (3, 4, 5, 6)).astype(np.float32)
    values[1, 0, 0, 0] = np.nan
    before = values.copy()
    found = views.inputs(values)
    assert found.shape == (views.count, 4, 5, 6)
    np.testing.assert_array_equal(values, before)
    parts = [seen(kind, channel) for kind, channel in zip(kinds, values, strict=True)]
    np.testing.assert_array_equal(found, np.concatenate(parts))


def test_arrays_that_may_only_be_read_are_taken_without_a_warning():
    values = np.linspace(0, 80, 24, dtype=np.float32).reshape(1, 4, 6)
    expected = seen("CT", values[0]), at_shape(values.copy(), (2, 3))
    values.flags.writeable = False
    torch.set_warn_always(True)  # by itself torch warns once, and any test may have been the first
    try:
        views = ImageViews(("CT",), (WINDOWS["CT"],))
        np.testing.assert_array_equal(views.inputs(values), expected[0])
        np.testing.assert_array_equal(at_shape(values, (2, 3)), expected[1])
    finally:
        torch.set_warn_always(False)


def test_a_batch_and_a_traced_graph_see_what_single_images_do_to_the_bit():
    views = ImageViews(KINDS, tuple(WINDOWS.values()))
    images = np.random.default_rng(0).normal(30, 300, (2, len(KINDS), 7, 9)).astype(np.float32)
    images[0, :, 0, :3] = np.nan, np.inf, -np.inf
    expected = np.stack([views.inputs(image) for image in images])
    found = views.batch(images)
    assert found.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(views.traced(torch.from_numpy(images)).numpy(), expected)


def test_a_look_without_a_window_for_every_channel_is_refused():
    with pytest.raises(ValueError, match="zip"):
        ImageViews(("CT", "PET"), (WINDOWS["CT"],)).inputs(np.zeros((2, 3, 3), np.float32))
