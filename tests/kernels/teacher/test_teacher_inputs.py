"""Slices that hardly hold anything, for every modality: a right answer or one clear error."""

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher

CHANNELS = {
    "CT": ("CT",),
    "PET": ("PET",),
    "PETCT": ("CT", "PET"),
    "MR": ("T1", "T2"),
    "XCT": ("XCT",),
    "other": ("x",),
}
MODALITIES = sorted(CHANNELS)
SPACING = (1.0, 1.0)


def scene(modality, size=64, seed=0):
    """A slice (1, c, y, x) with air, tissue and a round regime that stands out; and that regime."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    body = np.hypot(y - size / 2, x - size / 2) < 0.45 * size
    spot = np.hypot(y - 0.4 * size, x - 0.4 * size) < 0.15 * size
    if modality == "XCT":
        body[:] = True
    levels = {"CT": (-1000, 50, 450), "PET": (0.02, 0.8, 9.0), "XCT": (0, 30000, 4000)}
    planes = []
    for name in CHANNELS[modality]:
        air, tissue, bright = levels.get(name, (5, 300, 800))
        if modality == "PETCT" and name == "CT":
            bright = tissue
        plane = np.where(spot, bright, np.where(body, tissue, air)).astype(float)
        planes.append(plane + 0.02 * np.abs(plane).mean() * rng.standard_normal(plane.shape))
    image = np.stack(planes)[None].astype(np.float32)
    if modality == "PETCT":
        image[:, 1] = np.maximum(image[:, 1], 0.01)
    return image, spot


def spec(modality):
    return TeacherSpec(modality, CHANNELS[modality])


def labels_of(modality, image):
    model = fit_teacher(image, spec(modality), SPACING).model
    return apply_teacher(model, image, SPACING).labels


@pytest.mark.parametrize("modality", MODALITIES)
def test_what_stands_out_is_the_lesion(modality):
    image, spot = scene(modality)
    lesion = labels_of(modality, image)[0] == 3
    assert 2 * (lesion & spot).sum() / (lesion.sum() + spot.sum()) > 0.75


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_slice_without_data_is_refused(modality):
    image = np.full((1, len(CHANNELS[modality]), 8, 8), np.nan, np.float32)
    with pytest.raises(ShapeError, match="no pixel with data"):
        fit_teacher(image, spec(modality), SPACING)


@pytest.mark.parametrize("value", [0.0, 7.0, -1000.0])
@pytest.mark.parametrize("modality", MODALITIES)
def test_a_constant_slice_is_refused(modality, value):
    image = np.full((1, len(CHANNELS[modality]), 8, 8), value, np.float32)
    with pytest.raises(ShapeError, match="constant"):
        fit_teacher(image, spec(modality), SPACING)


@pytest.mark.parametrize("modality", MODALITIES)
def test_infinite_values_are_refused(modality):
    image, _ = scene(modality)
    image[0, 0, 3, 3] = np.inf
    with pytest.raises(ShapeError, match="infinite"):
        fit_teacher(image, spec(modality), SPACING)


@pytest.mark.parametrize("modality", MODALITIES)
def test_holes_are_labelled_zero_and_the_rest_is_not(modality):
    image, spot = scene(modality)
    holes = np.random.default_rng(1).random(spot.shape) < 0.3
    image[0, 0][holes] = np.nan
    labels = labels_of(modality, image)[0]
    assert np.array_equal(labels == 0, holes)
    assert (labels[spot & ~holes] == 3).mean() > 0.5


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("shape", [(1, 2), (3, 3), (2, 9)])
def test_tiny_slices_are_labelled(modality, shape):
    image, _ = scene(modality)
    part = np.ascontiguousarray(image[:, :, 22 : 22 + shape[0], 15 : 15 + shape[1]])
    labels = labels_of(modality, part)
    assert labels.shape == (1, *shape)
    assert (labels > 0).all()


@pytest.mark.parametrize("modality", MODALITIES)
def test_one_pixel_says_nothing_and_is_refused(modality):
    image, _ = scene(modality)
    with pytest.raises(ShapeError, match="constant"):
        fit_teacher(image[:, :, :1, :1], spec(modality), SPACING)


def test_a_channel_of_one_value_leaves_the_decision_to_the_others():
    for modality, still in (("MR", 0), ("MR", 1), ("PETCT", 0)):
        image, spot = scene(modality)
        image[:, still] = 50.0
        labels = labels_of(modality, image)[0]
        assert (labels[spot] == 3).mean() > 0.5, (modality, still)


def test_two_values_are_told_apart():
    for modality in ("MR", "XCT", "other"):
        channels = len(CHANNELS[modality])
        image = np.full((1, channels, 20, 20), 100.0, np.float32)
        image[:, :, 5:8, 5:8] = 900.0
        labels = labels_of(modality, image)[0]
        assert labels[6, 6] == 3
        assert labels[15, 15] != 3


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_class_that_is_used_has_a_name_and_a_reason(modality):
    image, _ = scene(modality)
    model = fit_teacher(image, spec(modality), SPACING).model
    for value in np.unique(model.node_classes):
        assert model.class_names[int(value)] in model.reasons
    assert set(model.doubtful) <= set(model.class_names.values())
    assert {1: "background", 2: "normal", 3: "lesion", 4: "boundary"}.items() <= (
        model.class_names.items()
    )
