from dataclasses import replace

import numpy as np
import pytest

import somray
from somray.domain.channel import channels_of
from somray.errors import ShapeError
from somray.kernels.features import feature_stack
from somray.kernels.features.uptake_level import has_level, subject_histogram, subject_level
from somray.kernels.features.windows import CT_WINDOW, PETCT_WINDOW, auto_window
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.teacher.interest import slice_interest
from tests.kernels.naive_som import nearest

SPACING = (1.0, 1.0)
CHANNELS = ("CT", "PET")
PHYSIOLOGICAL = 10


def window_of(values, modality, channel):
    return auto_window(values, modality, *channels_of(modality, [channel]))


def patient(seed=0, gain=1.0, size=64):
    """A body with fat, muscle, a hot lesion and a hotter bladder: (2, y, x), and the lesion."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    body = np.hypot(y - size / 2, x - size / 2)
    lesion = np.hypot(y - 24, x - 22) < 7
    bladder = np.hypot(y - 42, x - 42) < 7
    ct = np.where(body < 22, 55.0, np.where(body < 28, -100.0, -1000.0))
    ct[bladder] = 0.0
    pet = np.where(body < 28, 0.5, 0.01)
    pet[lesion], pet[bladder] = 5.0, 9.0
    image = np.stack(
        [ct + rng.normal(0, 8, ct.shape), gain * pet * rng.uniform(0.9, 1.1, ct.shape)]
    )
    return image.astype(np.float32), lesion


def fitted(**options):
    image, _ = patient()
    return fit_teacher(image[None], TeacherSpec("PETCT", CHANNELS, **options), SPACING)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_lesion_is_found_and_the_bladder_is_not():
    image, lesion = patient()
    labels = apply_teacher(fitted().model, image[None], SPACING).labels[0]
    assert dice(labels == 3, lesion) > 0.85
    assert not (labels[38:46, 38:46] == 3).any()
    assert (labels[38:46, 38:46] == PHYSIOLOGICAL).mean() > 0.9
    assert set(np.unique(labels)) == {1, 2, 3, 4, 5, PHYSIOLOGICAL}
    assert (labels[:3, :3] == 1).all()


def test_centroids_carry_over_to_a_subject_that_takes_up_ten_times_as_much():
    model = fitted().model
    other, lesion = patient(seed=5, gain=10.0)
    level = subject_level(subject_histogram(other[None], channels_of("PETCT", CHANNELS)), "PETCT")
    labels = apply_teacher(model, other[None], SPACING, level).labels[0]
    assert dice(labels == 3, lesion) > 0.85
    assert (apply_teacher(model, other[None], SPACING).labels[0] == 3).sum() > lesion.sum()


def test_labels_are_the_classes_of_the_nearest_nodes():
    image, _ = patient()
    model = fitted(smoothing_mm=0).model
    model = replace(model, extra={"subject_level": model.extra["subject_level"]})  # CT not asked
    stack = feature_stack(image, model.windows, model.features, SPACING).reshape(20, -1).T
    samples = (stack - model.center) / model.scale * model.feature_weights
    expected = model.node_classes[nearest(samples, model.codebook.weights.astype(float))]
    found = apply_teacher(model, image[None], SPACING).labels[0].ravel()
    assert (found == expected).mean() > 0.999


def test_a_slice_is_labelled_the_same_alone_and_among_others():
    model = fitted().model
    slices = np.stack([patient(seed)[0] for seed in range(3)])
    together = apply_teacher(model, slices, SPACING)
    alone = apply_teacher(model, slices[1:2], SPACING)
    assert np.array_equal(together.labels[1], alone.labels[0])
    assert np.array_equal(together.confidence[1], alone.confidence[0])


def test_fits_repeat_themselves_on_any_number_of_threads():
    image, _ = patient(size=128)
    spec = TeacherSpec("PETCT", CHANNELS)
    one, two = (fit_teacher(image[None], spec, SPACING, threads=t).model for t in (1, 2))
    assert np.array_equal(one.codebook.weights, two.codebook.weights)
    assert np.array_equal(one.node_classes, two.node_classes)


def test_confidence_lies_between_none_and_full_and_is_low_between_classes():
    image, lesion = patient()
    found = apply_teacher(fitted().model, image[None], SPACING)
    inside = found.confidence[0]
    assert inside.min() >= 0
    assert inside.max() <= 1
    assert inside[22:26, 20:24].mean() > inside[lesion].mean()


def test_pixels_without_data_are_labelled_zero():
    image, _ = patient()
    image[1, 10:14, 30:40] = np.nan
    model = fit_teacher(image[None], TeacherSpec("PETCT", CHANNELS), SPACING).model
    found = apply_teacher(model, image[None], SPACING)
    assert np.array_equal(found.labels[0] == 0, np.isnan(image[1]))
    assert (found.confidence[0][np.isnan(image[1])] == 0).all()


def test_the_clusters_table_describes_every_node_and_class():
    fit = fitted(grid=(3, 4))
    nodes = [row for row in fit.cluster_rows if row.kind == "node"]
    classes = [row for row in fit.cluster_rows if row.kind == "class"]
    assert len(nodes) == 12 * 20
    assert len(classes) == 8 * 20  # the bladder is physiological; fat, lung and dense by CT
    assert {row.node for row in nodes} == set(range(12))
    assert all(row.node is None for row in classes)
    assert sum(r.share_fraction for r in nodes if (r.channel, r.feature) == ("CT", "edge")) == (
        pytest.approx(1)
    )
    hot = next(
        r for r in classes if (r.class_name, r.channel, r.feature) == ("lesion", "PET", "mean3")
    )
    assert hot.mean is not None
    assert hot.mean > 2
    assert all((r.mean is None) == (r.share_fraction == 0) for r in fit.cluster_rows)


def test_the_means_of_the_table_are_standardised_on_the_reference():
    rows = [r for r in fitted().cluster_rows if r.kind == "node" and r.mean is not None]
    total = sum(r.mean * r.share_fraction for r in rows if (r.channel, r.feature) == ("CT", "edge"))
    assert total == pytest.approx(0, abs=1e-5)


def test_minisom_is_an_engine_like_ours():
    image, lesion = patient(size=48)
    spec = TeacherSpec("PETCT", CHANNELS, engine="minisom", grid=(3, 3), epochs=5)
    model = fit_teacher(image[None, :, :48, :48], spec, SPACING).model
    labels = apply_teacher(model, image[None], SPACING).labels[0]
    assert dice(labels == 3, lesion[:48, :48]) > 0.6


def test_chosen_features_and_windows_are_used():
    fit = fitted(features=("edge", "mean5"), windows=((-200.0, 300.0), None))
    assert fit.model.feature_names == ("CT_edge", "CT_mean5", "PET_edge", "PET_mean5")
    assert fit.model.windows[0] == (-200.0, 300.0)
    assert fit.model.codebook.weights.shape == (25, 4)


def test_the_persons_classes_reach_the_model():
    model = fitted(grid=(2, 2), classes={"lesion": [0], "cyst": [1]}, target="cyst").model
    assert model.node_classes[:2].tolist() == [3, 11]
    assert model.value_of("cyst") == 11


@pytest.mark.parametrize("shape", [(3, 3), (1, 9), (4, 1)])
def test_tiny_slices_are_labelled(shape):
    image = np.random.default_rng(0).normal(50, 30, (1, 1, *shape)).astype(np.float32)
    model = fit_teacher(image, TeacherSpec("CT", ("CT",)), SPACING).model
    assert apply_teacher(model, image, SPACING).labels.shape == (1, *shape)


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (np.full((1, 1, 5, 5), np.nan), {}, "no pixel with data"),
        (np.zeros((1, 1, 5, 5)), {}, "constant"),
        (np.full((1, 1, 5, 5), np.inf), {}, "infinite"),
        (np.zeros((1, 2, 5, 5)), {}, r"must be \(n, 1, y, x\)"),
        (np.zeros((1, 5, 5)), {}, r"must be \(n, 1, y, x\)"),
        (np.random.default_rng(0).random((1, 1, 5, 5)), {"engine": "other"}, "unknown engine"),
        (np.random.default_rng(0).random((1, 1, 5, 5)), {"windows": (None, None)}, "2 windows"),
        (np.random.default_rng(0).random((1, 1, 5, 5)), {"features": ("x",)}, "unknown features"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_one_clear_error(image, options, words):
    with pytest.raises(ShapeError, match=words):
        fit_teacher(image.astype("f4"), TeacherSpec("MR", ("MR",), **options), SPACING)


def test_a_level_that_is_none_is_refused():
    with pytest.raises(ShapeError, match="positive uptake"):
        apply_teacher(fitted().model, patient()[0][None], SPACING, level=0.0)


def test_blank_and_cold_slices_are_labelled_without_lesions():
    model = fitted().model
    image, _ = patient()
    image[1] = 0.0
    assert not (apply_teacher(model, image[None], SPACING).labels == 3).any()
    blank = np.full((1, 2, 6, 6), np.nan, np.float32)
    assert (apply_teacher(model, blank, SPACING).labels == 0).all()


def test_only_protocols_with_pet_have_a_level():
    assert has_level(channels_of("PETCT", CHANNELS))
    assert has_level(channels_of("PET", ("whatever",)))
    assert not has_level(channels_of("CT", ("CT",)))
    with pytest.raises(ShapeError, match="no PET channel"):
        subject_histogram(np.zeros((1, 1, 2, 2), "f4"), channels_of("CT", ("CT",)))
    with pytest.raises(ShapeError, match="must be"):
        subject_histogram(np.zeros((1, 2, 2), "f4"), channels_of("PET", ("PET",)))


def test_windows_of_ct_are_fixed_and_those_of_others_survive_padding_and_holes():
    rng = np.random.default_rng(0)
    values = rng.normal(500, 100, 20_000).astype("f4")
    assert window_of(values, "CT", "CT") == CT_WINDOW
    assert window_of(values, "PETCT", "CT") == PETCT_WINDOW
    padded = np.concatenate([values, np.full(9000, -3024, "f4"), np.full(500, np.nan, "f4")])
    assert np.allclose(
        window_of(padded, "MR", "MR"),
        window_of(values, "MR", "MR"),
        atol=5,
    )
    low, high = window_of(values, "MR", "MR")
    assert 200 < low < 300
    assert 700 < high < 800


def test_windows_of_flat_values_are_not_empty():
    assert window_of(np.full(9, 4.0, "f4"), "MR", "MR") == (3.5, 4.5)
    assert auto_window(
        np.array([0, 0, 0, 1], "f4"), "XCT", *channels_of("XCT", ["XCT"])
    ) == pytest.approx((0, 1), abs=0.02)
    binary = np.r_[np.zeros(999), np.ones(1)].astype("f4")
    assert window_of(binary, "other", "x") == (0.0, 1.0)
    with pytest.raises(ShapeError, match="no finite value"):
        window_of(np.full(3, np.nan, "f4"), "CT", "CT")


def test_a_slice_with_a_lesion_is_worth_more_than_one_with_a_bladder_alone():
    with_lesion, lesion = patient()
    without = with_lesion.copy()
    without[1][lesion] = 0.5
    rate = [slice_interest(i, "PETCT", (None, None), CHANNELS) for i in (with_lesion, without)]
    assert rate[0] > 1.5 * rate[1]


def test_interest_does_not_hang_on_where_the_lesion_lies():
    image, _ = patient()
    rolled = np.roll(image, (9, 13), (1, 2))
    values = [slice_interest(i, "PETCT", (None, None)) for i in (image, rolled)]
    assert values[1] == pytest.approx(values[0], rel=0.02)


@pytest.mark.parametrize("modality", ["CT", "MR", "XCT", "PET"])
def test_blank_slices_are_worth_nothing(modality):
    for image in (np.zeros((1, 20, 20)), np.full((1, 20, 20), np.nan)):
        assert slice_interest(image.astype("f4"), modality, (None,)) == 0.0


def test_a_slice_with_something_standing_out_is_worth_more_than_an_even_one():
    rng = np.random.default_rng(0)
    even = rng.normal(60, 10, (1, 50, 50)).astype("f4")
    marked = even.copy()
    marked[0, 10:20, 10:20] += 300
    assert slice_interest(marked, "CT", (None,)) > 2 * slice_interest(even, "CT", (None,))
    with pytest.raises(ShapeError, match="does not fit"):
        slice_interest(even, "CT", (None, None))


def test_the_public_teacher_takes_slices_of_every_shape():
    image, lesion = patient()
    teacher = somray.Teacher(modality="PETCT")
    assert teacher.fit(image, spacing_mm=(1.0, 1.0)) is teacher
    assert teacher.predict(image).shape == lesion.shape
    assert teacher.predict(np.stack([image, image])).shape == (2, *lesion.shape)
    assert teacher.predict(image).dtype == np.uint8
    four = {1: "background", 2: "normal", 3: "lesion", 4: "boundary"}
    further = {5: "fat", 6: "lung", 7: "dense", PHYSIOLOGICAL: "physiological"}
    assert teacher.classes == four | further
    assert teacher.node_classes.shape == (25,)
    assert teacher.codebook.topology == "rectangular"
    assert set(teacher.doubtful) == {"physiological"}
    assert teacher.level_of(image) == pytest.approx(teacher.model.extra["subject_level"])
    single = somray.Teacher(grid=(3, 3), modality="CT", intensity={"CT": {"window": [-200, 300]}})
    assert single.fit(image[0]).predict(image[0]).shape == lesion.shape
    assert single.level_of(image[0]) is None
    assert "lesion" in single.doubtful


def test_the_public_teacher_refuses_what_it_cannot_use():
    teacher = somray.Teacher()
    with pytest.raises(ShapeError, match="call fit"):
        _ = teacher.classes
    with pytest.raises(ShapeError, match="must be one channel"):
        teacher.fit(np.zeros((3, 2, 5, 5), "f4"))
    for intensity in ({"MR": {}}, {"other": {"level": 3}}, {"other": {"window": [5, 1]}}):
        with pytest.raises(ShapeError, match=r"intensity|window"):
            somray.Teacher(intensity=intensity)
    with pytest.raises(ShapeError, match="'auto'"):
        somray.Teacher(intensity={"other": {"window": "wide"}})
