import tracemalloc

import numpy as np
import pytest

from somray.domain.teacher import CLASSES, Codebook, TeacherModel
from somray.errors import ShapeError
from somray.kernels.features import FEATURES, feature_stack
from somray.kernels.features.view import ScanSlices
from somray.kernels.teacher import tiles as transfer_tiles
from somray.kernels.teacher.apply import Transfer, apply_teacher

SPACING = (1.0, 1.0)


def some_model(grid=(5, 5), channels=1, names=FEATURES, classes=4, seed=0):
    """A teacher whose nodes are pixels of a random slice: no fit, so any shape of it can be had."""
    rng = np.random.default_rng(seed)
    windows = tuple((-100.0, 150.0) for _ in range(channels))
    stack = feature_stack(some_images(1, channels, (40, 40), seed)[0], windows, names, SPACING)
    samples = stack.reshape(len(stack), -1).T
    count, weights = grid[0] * grid[1], rng.uniform(0.1, 2.0, len(stack)).astype(np.float32)
    center, scale = samples.mean(0), samples.std(0)
    nodes = (samples[rng.choice(len(samples), count, replace=False)] - center) / scale * weights
    return TeacherModel(
        codebook=Codebook(nodes.astype(np.float32), grid),
        modality="CT",
        channels=tuple(f"c{n}" for n in range(channels)),
        windows=windows,
        features=tuple(names),
        center=center.astype(np.float32),
        scale=scale.astype(np.float32),
        feature_weights=weights,
        node_classes=(1 + rng.permutation(count) % classes).astype(np.uint8),
        class_names=dict(CLASSES) | {n: f"class {n}" for n in range(5, classes + 1)},
    )


def some_images(count=1, channels=1, shape=(60, 70), seed=3):
    return np.random.default_rng(seed).normal(20, 60, (count, channels, *shape)).astype("f4")


def exact(model, image):
    """Distances of every pixel to the nearest node of every class, in float64: (classes, y, x)."""
    stack = feature_stack(image, model.windows, model.features, SPACING).astype(np.float64)
    parts = [np.asarray(p, np.float64)[:, None, None] for p in (model.center, model.scale)]
    samples = (stack - parts[0]) / parts[1] * model.feature_weights[:, None, None]
    nearest = np.full((int(model.node_classes.max()) + 1, *image.shape[1:]), np.inf)
    for node, value in zip(model.codebook.weights.astype(float), model.node_classes, strict=True):
        distance = np.sqrt(((samples - node[:, None, None]) ** 2).sum(0))
        nearest[value] = np.minimum(nearest[value], distance)
    return nearest


def check_verdict(model, image, found):
    ordered = np.sort(nearest := exact(model, image), axis=0)
    wrong = found.labels[0] != nearest.argmin(0)
    assert wrong.mean() < 1e-4
    assert ((ordered[1] - ordered[0])[wrong] < 1e-3).all()  # near-ties only
    with np.errstate(invalid="ignore"):
        ratio = (ordered[1] - ordered[0]) / (ordered[1] + ordered[0])
    expected = np.where(np.isinf(ordered[1]), 1.0, ratio)
    # Squared distances are good to the last digits of the codebook's squared spread, so the distance
    # of a pixel that sits on a node is not exactly 0.
    room = np.where(np.isinf(ordered[1]), 1.0, ordered[1] + ordered[0])
    assert (np.abs(found.confidence[0] - expected) * room).max() < 2e-3


@pytest.mark.parametrize("grid", [(1, 2), (3, 3), (5, 5), (7, 11)])
@pytest.mark.parametrize("classes", [2, 4, 9])
def test_labels_are_the_classes_of_the_nearest_nodes(grid, classes):
    model, images = some_model(grid, classes=classes), some_images()
    check_verdict(model, images[0], apply_teacher(model, images, SPACING))


@pytest.mark.parametrize(
    ("channels", "names"),
    [(1, ("mean5",)), (1, ("thickness", "intensity")), (3, FEATURES[2:9]), (4, FEATURES)],
)
def test_any_channels_and_features_are_labelled(channels, names):
    model, images = some_model(channels=channels, names=names), some_images(1, channels)
    check_verdict(model, images[0], apply_teacher(model, images, SPACING))


def test_labels_of_a_real_slice_are_those_of_the_nearest_nodes(real_data):
    import pydicom

    files = [real_data / f"ct_3slices/dicom/0{n}.dcm" for n in (1, 2)]
    first, second = (pydicom.dcmread(f).pixel_array.astype("f4") - 1024 for f in files)
    model = some_model((10, 10), classes=5)
    windows = ((-300.0, 500.0),)
    stack = feature_stack(first[None], windows, FEATURES, SPACING).reshape(10, -1)
    center, scale = stack.mean(1), stack.std(1)
    nodes = (stack[:, :: stack.shape[1] // 99].T[:100] - center) / scale
    model = TeacherModel(
        **{
            **vars(model),
            "windows": windows,
            "center": center,
            "scale": scale,
            "feature_weights": np.ones(10, np.float32),
            "codebook": Codebook(nodes.astype(np.float32), (10, 10)),
        }
    )
    found = apply_teacher(model, second[None, None], SPACING)
    check_verdict(model, second[None], found)


def test_one_class_alone_is_certain():
    found = apply_teacher(some_model((2, 2), classes=1), some_images(), SPACING)
    assert (found.labels == 1).all()
    assert (found.confidence == 1).all()


def test_labels_alone_are_the_same_without_confidence():
    model, images = some_model(channels=2), some_images(2, 2)
    images[0, 1, 20:30] = np.nan
    slices = ScanSlices(images, SPACING)
    both, alone = (
        Transfer(model).label(slices),
        Transfer(model).label(slices, with_confidence=False),
    )
    assert np.array_equal(both.labels, alone.labels)
    assert alone.confidence.size == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 40), (70, 1), (61, 45)])
def test_verdicts_are_the_same_bits_on_any_threads_and_tiles(shape, monkeypatch):
    model, images = some_model(channels=2), some_images(2, 2, shape)
    images[0, 1, 0, 0] = np.nan
    once = apply_teacher(model, images, SPACING)
    results = [apply_teacher(model, images, SPACING, threads=threads) for threads in (2, 3)]
    monkeypatch.setattr(transfer_tiles, "TILE_COLUMNS", 13)
    monkeypatch.setattr(transfer_tiles, "TILE_VALUES", 20 * 13 * 5)
    results.append(apply_teacher(model, images, SPACING))
    for other in results:
        assert np.array_equal(once.labels, other.labels)
        assert np.array_equal(once.confidence, other.confidence)


def test_holes_of_any_channel_have_no_label_and_no_confidence():
    model, images = some_model(channels=2), some_images(1, 2)
    images[0, 0, 5, 6] = images[0, 1, 20:30, 30:] = np.nan
    found = apply_teacher(model, images, SPACING)
    holes = np.isnan(images[0]).any(0)
    assert np.array_equal(found.labels[0] == 0, holes)
    assert (found.confidence[0][holes] == 0).all()


def test_a_slice_without_data_in_one_channel_has_no_labels():
    model, images = some_model(channels=2), some_images(2, 2)
    images[0, 1] = np.nan
    found = apply_teacher(model, images, SPACING)
    assert (found.labels[0] == 0).all()
    assert (found.labels[1] > 0).all()


def test_a_constant_slice_is_all_of_one_class():
    found = apply_teacher(some_model(), np.full((1, 1, 9, 9), 20.0, np.float32), SPACING)
    assert np.unique(found.labels).size == 1


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        (np.full((1, 1, 4, 4), np.inf, "f4"), {}, "infinite"),
        (np.zeros((1, 2, 4, 4), "f4"), {}, r"must be \(n, 1, y, x\)"),
        (np.zeros((1, 1, 0, 4), "f4"), {}, r"must be \(n, 1, y, x\)"),
        (np.zeros((1, 1, 4, 4), "f4"), {"spacing_mm": (0.0, 1.0)}, "positive"),
    ],
)
def test_what_cannot_be_labelled_is_refused(images, options, words):
    with pytest.raises(ShapeError, match=words):
        apply_teacher(some_model(), images, **({"spacing_mm": SPACING} | options))


def test_memory_is_that_of_the_result_and_of_some_rows():
    model, images = some_model((3, 3)), some_images(shape=(2048, 2048))
    apply_teacher(model, images[..., :64, :64], SPACING)
    tracemalloc.start()
    found = apply_teacher(model, images, SPACING)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < found.labels.nbytes + found.confidence.nbytes + 2048 * 2_000


@pytest.mark.parametrize("shape", [(8192, 40), (40, 8192)])
def test_long_slices_are_labelled_like_their_parts(shape):
    model, images = some_model((3, 3)), some_images(shape=shape)
    whole = apply_teacher(model, images, SPACING).labels[0]
    # The slice's mean enters a feature, so a part is compared where both know the same mean.
    assert whole.shape == shape
    assert (whole > 0).all()


def test_a_channel_of_one_value_beside_others_is_labelled():
    model, images = some_model(channels=2), some_images(1, 2)
    images[0, 1] = 7.0
    check_verdict(model, images[0], apply_teacher(model, images, SPACING))


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_slice_full_of_holes_is_labelled_where_it_has_data(share):
    model, images = some_model(), some_images()
    images[0, 0][np.random.default_rng(0).random(images.shape[2:]) < share] = np.nan
    found = apply_teacher(model, images, SPACING)
    there = ~np.isnan(images[0, 0])
    assert np.array_equal(found.labels[0] > 0, there)
    nearest = exact(model, images[0])[:, there]
    assert (found.labels[0][there] == nearest.argmin(0)).mean() > 0.99
