from dataclasses import replace

import numpy as np
import pytest

from somray.errors import DataError, ShapeError
from somray.kernels.features import feature_stack
from somray.kernels.features.spacing import feature_stack_at
from somray.kernels.grids import pixel_size
from somray.kernels.grids.pixel_size import brought_to_spacing, has_other_spacing
from somray.kernels.teacher import tiles as transfer_tiles
from somray.kernels.teacher.apply import apply_teacher
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from tests.kernels.teacher.test_transfer import some_images, some_model

FIELD = 96.0  # mm


def scene(y, x):
    """A body with two textures of one brightness, vessels and a rimmed lesion: values at points in mm."""
    value = np.where(np.hypot(y - 48, x - 48) < 44, 40.0, -200.0)
    fine, coarse = (np.sin(x / scale) * np.sin(y / scale) for scale in (1.3, 4.0))
    value = np.where(np.hypot(y - 36, x - 28) < 15, 40.0 + 90 * fine, value)
    value = np.where(np.hypot(y - 66, x - 34) < 15, 40.0 + 90 * coarse, value)
    value = np.where(np.abs(x - 56 - 3 * np.sin(y / 9)) < 1.5, 160.0, value)
    radius = np.hypot(y - 54, x - 74)
    value = np.where(radius < 11, 130.0, value)
    return np.where(radius < 8, 10.0, value)


def rendered(step, over=4):
    """The scene on square pixels of `step` mm, each the mean over its area, with a scanner's blur."""
    count = round(FIELD / step)
    fine = (np.arange(count * over) + 0.5) * FIELD / (count * over)
    total = np.zeros((count, count))
    for dy in (-0.4, 0.4):
        for dx in (-0.4, 0.4):
            values = scene(fine[:, None] + dy, fine[None, :] + dx)
            total += values.reshape(count, over, count, over).mean((1, 3))
    return (total / 4).astype(np.float32)


def nearest(labels, points):
    """Labels at points in mm along both axes."""
    place = np.clip((points / FIELD * len(labels)).astype(int), 0, len(labels) - 1)
    return labels[np.ix_(place, place)]


def rand_index(a, b):
    """Adjusted Rand index (Hubert & Arabie 1985)."""
    table = np.zeros((256, 256))
    np.add.at(table, (a.ravel(), b.ravel()), 1)
    pairs = [(t * (t - 1) / 2).sum() for t in (table, table.sum(0), table.sum(1))]
    expected = pairs[1] * pairs[2] / (a.size * (a.size - 1) / 2)
    return (pairs[0] - expected) / ((pairs[1] + pairs[2]) / 2 - expected)


@pytest.fixture(scope="module")
def teacher():
    spec = TeacherSpec("CT", ("CT",), ((-300.0, 300.0),), grid=(3, 3))
    model = fit_teacher(rendered(1.0)[None, None], spec, (1.0, 1.0)).model
    # Every node a class of its own: the map cannot agree by having few classes.
    return replace(model, node_classes=np.arange(1, 10, dtype=np.uint8))


def agreement(model, step):
    points = (np.arange(300) + 0.5) * FIELD / 300
    labels = [apply_teacher(model, rendered(s)[None, None], (s, s)).labels[0] for s in (1.0, step)]
    return rand_index(*(nearest(plane, points) for plane in labels))


@pytest.mark.parametrize("step", [0.4, 0.5, 1.5])
def test_classes_are_the_same_at_another_pixel_size(teacher, step, monkeypatch):
    corrected = agreement(teacher, step)
    monkeypatch.setattr(pixel_size, "SPACING_TOLERANCE", 99.0)
    assert corrected > (0.85 if step < 1 else 0.75)
    assert corrected > agreement(teacher, step) + 0.12


def test_pixel_sizes_that_hardly_differ_are_left_alone(teacher):
    assert not has_other_spacing((1.09, 0.92), (1.0, 1.0))
    assert has_other_spacing((1.0, 1.12), (1.0, 1.0))
    assert has_other_spacing((1.0, 0.89), (1.0, 1.0))
    image = rendered(1.0)[None]
    near, plain = (
        f(image, [(-300.0, 300.0)], ("edge", "mean5"), (1.05, 1.05))
        for f in (feature_stack_at, feature_stack)
    )
    assert np.array_equal(near, plain)


@pytest.mark.parametrize(("step", "shape"), [(0.5, (10, 12)), (1.6, (32, 38)), (0.3, (6, 7))])
def test_a_ramp_stays_a_ramp_over_the_same_extent(step, shape):
    y, x = np.mgrid[:20, :24].astype(np.float32)
    plane, exact = brought_to_spacing(3 * y + x, (step, step), (1.0, 1.0))
    assert plane.shape == shape
    assert np.allclose(exact * shape, (20 * step, 24 * step))
    cy, cx = ((np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(shape, (20, 24), strict=True))
    expected = 3 * cy[:, None] + cx
    # Pixels are flat inside: areas that cut them are off by less than half a step of the ramp.
    room = 0.2 if step == 0.3 else 1e-4
    assert np.allclose(plane[2:-2, 2:-2], expected[2:-2, 2:-2], atol=room)


def test_larger_pixels_hold_the_mean_of_what_they_cover():
    plane = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    halved, _ = brought_to_spacing(plane, (0.5, 0.5), (1.0, 1.0))
    assert np.allclose(halved, plane.reshape(15, 2, 20, 2).mean((1, 3)), atol=1e-6)
    odd, _ = brought_to_spacing(plane, (1.0, 1.0), (1.6, 1.7))
    assert odd.mean() == pytest.approx(plane.mean(), abs=1e-6)


def test_holes_stay_out_of_larger_pixels():
    plane = np.full((8, 8), 5.0, np.float32)
    plane[:4, :3] = np.nan
    coarse, _ = brought_to_spacing(plane, (1.0, 1.0), (2.0, 2.0))
    assert np.array_equal(np.isnan(coarse), [[True] + [False] * 3] * 2 + [[False] * 4] * 2)
    assert np.allclose(coarse[~np.isnan(coarse)], 5.0)


@pytest.mark.parametrize("step", [0.4, 1.7])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 3), (23, 31)])
def test_slices_of_any_size_are_seen_at_another_spacing(shape, step):
    image = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    image[1, 0, 0] = np.nan
    found = feature_stack_at(
        image, [None, (-1.0, 1.0)], ("edge", "mean3"), (step, step), (1.0, 1.0)
    )
    assert found.shape == (4, *shape)
    assert np.array_equal(np.isnan(found[:2]), np.zeros((2, *shape), bool))
    assert np.array_equal(np.isnan(found[2:]), np.isnan(image[[1, 1]]))


def test_a_gradient_keeps_its_slope_per_mm_at_another_spacing():
    ramp = np.tile(np.arange(60, dtype=np.float32), (60, 1))
    for step in (0.5, 2.0):
        found = feature_stack_at(ramp[None], [None], ("edge",), (step, step), (1.0, 1.0))
        assert np.allclose(found[0, 10:-10, 10:-10], 1.0 / step, rtol=1e-4)


@pytest.mark.parametrize("step", [0.6, 1.4])
def test_verdicts_at_another_spacing_are_the_same_bits_on_any_threads_and_tiles(step, monkeypatch):
    model, images = some_model(channels=2), some_images(1, 2, (61, 45))
    images[0, 1, 3, 4] = np.nan
    once = apply_teacher(model, images, (step, step))
    both = apply_teacher(model, images, (step, step), threads=2)
    monkeypatch.setattr(transfer_tiles, "TILE_COLUMNS", 13)
    monkeypatch.setattr(transfer_tiles, "TILE_VALUES", 20 * 13 * 5)
    tiled = apply_teacher(model, images, (step, step))
    for other in (both, tiled):
        assert np.array_equal(once.labels, other.labels)
        assert np.array_equal(once.confidence, other.confidence)
    assert np.array_equal(once.labels[0] == 0, np.isnan(images[0, 1]))


def test_a_stack_at_another_spacing_is_what_labels_are_made_from():
    model, images = some_model((1, 2), classes=2), some_images()
    stack = feature_stack_at(images[0], model.windows, model.features, (0.5, 0.5), (1.0, 1.0))
    samples = (stack - model.center[:, None, None]) / model.scale[:, None, None]
    samples *= model.feature_weights[:, None, None]
    distance = [((samples - w[:, None, None]) ** 2).sum(0) for w in model.codebook.weights]
    expected = model.node_classes[np.argmin(distance, axis=0)]
    found = apply_teacher(model, images, (0.5, 0.5)).labels[0]
    assert (found == expected).mean() > 0.999


@pytest.mark.parametrize(("own", "reference", "count"), [(0.8, 0.012, 64), (12.0, 1.5, 8192)])
def test_pixels_that_no_magnification_explains_are_refused_before_they_fill_the_memory(
    own, reference, count
):
    near = pixel_size.raster_of((count, count), (own, own), (reference, reference))
    assert near.shape == (round(count * own / reference),) * 2
    with pytest.raises(DataError, match="800 mm wide, those of the reference") as caught:
        brought_to_spacing(np.ones((64, 64), np.float32), (800.0, 800.0), (0.012, 0.012))
    assert caught.value.code == "no_space"


def test_a_slice_without_data_has_no_features_at_any_spacing():
    blank = np.full((1, 9, 9), np.nan, np.float32)
    assert np.isnan(feature_stack_at(blank, [None], ("edge",), (0.5, 0.5), (1.0, 1.0))).all()


@pytest.mark.parametrize(
    ("image", "spacing_mm", "words"),
    [
        (np.zeros((4, 4), "f4"), (0.5, 0.5), "must be"),
        (np.zeros((1, 4, 4), "f4"), (0.0, 0.5), "positive"),
        (np.full((1, 4, 4), np.inf, "f4"), (0.5, 0.5), "infinite"),
    ],
)
def test_what_cannot_be_brought_to_a_spacing_is_refused(image, spacing_mm, words):
    with pytest.raises(ShapeError, match=words):
        feature_stack_at(image, [None], ("edge",), spacing_mm, (1.0, 1.0))
