"""Soft membership: the softmax by hand, one half where the teacher changes its mind."""

from dataclasses import replace

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.feature_view import ScanSlices, stacks, view_of
from somray.kernels.target_membership import target_membership
from somray.kernels.teacher import TeacherSpec, apply_teacher, fit_teacher

SPACING = (1.0, 1.0)


@pytest.fixture(scope="module")
def images():
    found = np.random.default_rng(0).normal(40, 20, (2, 1, 48, 50)).astype(np.float32)
    found[:, :, 10:30, 12:30] += 120
    found[0, 0, :3, :3] = np.nan
    return found


@pytest.fixture(scope="module")
def model(images):
    spec = TeacherSpec("CT", ("CT",), ((-100.0, 300.0),), grid=(3, 3), epochs=5)
    fit = fit_teacher(images[:1], spec, SPACING).model
    classes = np.full(9, 2, dtype=np.uint8)
    classes[np.argsort(fit.codebook.weights[:, 0])[-3:]] = 3
    return replace(fit, node_classes=classes)


def _of(model, images):
    labels = apply_teacher(model, images, SPACING).labels
    return labels, target_membership(model, ScanSlices.of(images, SPACING), labels, 3)


def test_it_is_the_softmax_of_the_two_nearest_nodes_squared_distances(model, images):
    _, found = _of(model, images)
    stack = next(iter(stacks(view_of(model), ScanSlices.of(images[1:], SPACING))))
    rng = np.random.default_rng(1)
    for y, x in rng.integers(0, 48, (20, 2)):
        sample = (stack[:, y, x] - model.center) / model.scale * model.feature_weights
        distance = ((model.codebook.weights - sample) ** 2).sum(axis=1).astype(np.float64)
        near = [distance[model.node_classes == value].min() for value in (3, 2)]
        weight = np.exp(-(np.array(near) - min(near)) / model.codebook.quantization_error**2)
        assert found[1, y, x] == pytest.approx(weight[0] / weight.sum(), abs=1e-4)


def test_one_half_lies_where_the_teacher_changes_its_mind(model, images):
    labels, found = _of(model, images)
    clear = np.abs(found - 0.5) > 1e-4
    assert ((found >= 0.5) == (labels == 3))[clear].all()
    assert clear.mean() > 0.99
    assert ((found > 1e-3) & (found < 0.999)).any()
    assert (found[0, :3, :3] == 0).all()


def test_a_vote_over_the_labels_has_the_last_word(model, images):
    labels, found = _of(replace(model, smoothing_mm=3.0), images)
    assert (found[labels == 3] >= 0.5).all()
    assert (found[labels == 2] <= 0.5).all()


def test_a_class_with_every_node_or_none_is_certain(model, images):
    for value, share in ((3, 1.0), (2, 0.0)):
        flat = replace(model, node_classes=np.full(9, value, dtype=np.uint8))
        found = target_membership(flat, ScanSlices.of(images, SPACING), np.zeros((2, 48, 50)), 3)
        assert (found[1] == share).all()


def test_a_map_without_its_error_is_refused(model, images):
    bare = replace(model, codebook=replace(model.codebook, quantization_error=None))
    with pytest.raises(ShapeError, match="quantization error"):
        _of(bare, images)
