"""Direct transfer by a teacher that looks at neighbouring slices."""

from dataclasses import replace

import numpy as np
import pytest
from test_transfer import SPACING, check_verdict, some_images, some_model

from somray.errors import ShapeError
from somray.kernels.features.slab import HALO_Z, slab_features
from somray.kernels.teacher.apply import apply_teacher


def stacked_slab(*args):
    return np.stack(list(slab_features(*args)))


def deep_model(**options):
    return replace(some_model(**options), dimensions=3)


def test_labels_are_the_classes_of_the_nodes_nearest_to_the_slabs_features():
    model, images = deep_model(channels=2), some_images(5, 2, (30, 28))
    found = apply_teacher(model, images, SPACING, spacing_z_mm=2.0)
    block = images.transpose(1, 0, 2, 3)
    stacks = stacked_slab(block, model.windows, model.features, (2.0, *SPACING))
    samples = (stacks - model.center[:, None, None]) / model.scale[:, None, None]
    samples *= model.feature_weights[:, None, None]
    nodes = model.codebook.weights[:, None, :, None, None]
    expected = model.node_classes[((samples - nodes) ** 2).sum(2).argmin(0)]
    assert (found.labels == expected).mean() > 0.9999


def test_slices_that_are_all_alike_get_the_verdict_of_the_plane():
    model, image = some_model(), some_images()
    images = np.repeat(image, 4, axis=0)
    found = apply_teacher(replace(model, dimensions=3), images, SPACING, spacing_z_mm=1.5)
    for number in range(4):
        one = replace(found, labels=found.labels[number : number + 1])
        check_verdict(model, image[0], one)


@pytest.mark.parametrize("step", [1.0, 0.5])
def test_labels_slab_by_slab_are_those_of_the_whole_scan(step):
    model, images = deep_model(), some_images(11, 1, (24, 20))
    images[4, 0, 3:9, 5] = np.nan
    look = {"spacing_z_mm": 1.2}
    whole = apply_teacher(model, images, (step, step), **look)
    for z in range(0, 11, 4):
        end = min(z + 4, 11)
        first, last = max(0, z - HALO_Z), min(11, end + HALO_Z)
        part = apply_teacher(
            model, images[first:last], (step, step), context=(z - first, last - end), **look
        )
        assert np.array_equal(part.labels, whole.labels[z:end])
        assert np.array_equal(part.confidence, whole.confidence[z:end])
    assert np.array_equal(whole.labels[:, :] == 0, np.isnan(images[:, 0]))


def test_neighbours_change_what_a_slice_is():
    model, images = deep_model(), some_images(3)
    alone = apply_teacher(model, images[1:2], SPACING, spacing_z_mm=1.0).labels[0]
    among = apply_teacher(model, images, SPACING, context=(1, 1), spacing_z_mm=1.0).labels
    assert among.shape == (1, *images.shape[2:])
    assert (among[0] != alone).mean() > 0.1


def test_a_teacher_of_the_plane_leaves_the_context_out():
    model, images = some_model(), some_images(4)
    found = apply_teacher(model, images, SPACING, context=(1, 2))
    assert np.array_equal(found.labels, apply_teacher(model, images[1:2], SPACING).labels)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_class_map_is_smoothed_where_the_model_asks_for_it(dimensions):
    from somray.kernels.classes.smoothing import smooth_classes

    model, images = replace(some_model(), dimensions=dimensions), some_images(2)
    options = {"spacing_z_mm": 1.0}
    rough = apply_teacher(model, images, SPACING, **options)
    smooth = apply_teacher(replace(model, smoothing_mm=2.0), images, SPACING, **options)
    assert np.array_equal(smooth.labels[1], smooth_classes(rough.labels[1], 2.0, SPACING))
    assert np.array_equal(smooth.confidence, rough.confidence)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "need spacing_z_mm"),
        ({"spacing_z_mm": 0.0}, "positive"),
        ({"spacing_z_mm": 1.0, "context": (1, 2)}, "leaves none of 3"),
        ({"spacing_z_mm": 1.0, "context": (-1, 0)}, "leaves none of 3"),
    ],
)
def test_slabs_that_cannot_be_labelled_are_refused(options, words):
    with pytest.raises(ShapeError, match=words):
        apply_teacher(deep_model(), some_images(3, 1, (9, 9)), SPACING, **options)


def test_infinite_values_are_refused():
    with pytest.raises(ShapeError, match="infinite"):
        apply_teacher(deep_model(), np.full((1, 1, 4, 4), np.inf, "f4"), SPACING, spacing_z_mm=1.0)
