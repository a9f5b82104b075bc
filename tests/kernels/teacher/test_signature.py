"""Sums that describe a reference and a scan: laws of merging, and numbers that can be told by hand."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from somray.errors import ShapeError
from somray.kernels.classes.profiles import groups_of, merge_groups
from somray.kernels.features.view import ScanSlices, gather, view_of
from somray.kernels.teacher import tiles
from somray.kernels.teacher.apply import Transfer
from somray.kernels.teacher.distances import distances_of, merge_distances
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from somray.kernels.teacher.signature import Signature, drift_from, merge_signatures


def scene(size=48, seed=0):
    y, x = np.mgrid[:size, :size]
    rng = np.random.default_rng(seed)
    body = 60.0 * (np.hypot(y - size / 2, x - size / 2) < size / 3)
    hot = 150.0 * (np.hypot(y - size / 2, x - size / 3) < size / 9)
    return (body + hot + rng.normal(0, 5, body.shape)).astype(np.float32)


def slices(image):
    return ScanSlices(image[None, None], (1.0, 1.0))


@pytest.fixture(scope="module")
def model():
    spec = TeacherSpec("CT", ("CT",), windows=((-100.0, 300.0),))
    return fit_teacher(scene()[None, None], spec, (1.0, 1.0)).model


def test_group_sums_are_plain_means_and_spreads():
    rng = np.random.default_rng(0)
    features, group = rng.normal(2, 3, (4, 500)).astype(np.float32), rng.integers(0, 3, 500)
    profile = groups_of(features, group, 4).profile(np.zeros(4), np.ones(4))
    for number in range(3):
        part = features[:, group == number].astype(np.float64)
        assert_allclose(profile.mean[number], part.mean(axis=1), rtol=1e-9)
        assert_allclose(profile.std[number], part.std(axis=1), rtol=1e-9)
        assert profile.share[number] == (group == number).mean()
    assert np.isnan(profile.mean[3]).all()
    assert profile.share[3] == 0


def test_sums_of_parts_are_the_sums_of_the_whole():
    rng = np.random.default_rng(1)
    features, group = rng.normal(0, 1, (3, 100)).astype(np.float32), rng.integers(0, 5, 100)
    whole = groups_of(features, group, 5)
    parts = [groups_of(features[:, a:b], group[a:b], 5) for a, b in ((0, 30), (30, 30), (30, 100))]
    joined = merge_groups(parts)
    assert (joined.counts == whole.counts).all()
    assert_allclose(joined.sums, whole.sums, atol=1e-12)
    assert_allclose(joined.squares, whole.squares, atol=1e-12)


def test_nodes_joined_to_classes_have_the_profile_of_their_pixels():
    rng = np.random.default_rng(2)
    features, node = rng.normal(0, 1, (3, 200)).astype(np.float32), rng.integers(0, 6, 200)
    target = np.array([1, 1, 2, 2, 2, 1], np.uint8)
    joined = groups_of(features, node, 6).joined(target, 3)
    direct = groups_of(features, target[node], 3)
    assert (joined.counts == direct.counts).all()
    assert_allclose(joined.sums, direct.sums, atol=1e-12)


def test_features_and_groups_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="groups for features"):
        groups_of(np.zeros((2, 5), np.float32), np.zeros(4, np.int64), 1)


def test_percentiles_of_distances_are_right_to_a_bin():
    values = np.random.default_rng(3).gamma(2.0, 1.0, 10000).astype(np.float32)
    found = distances_of(values)
    assert_allclose(found.percentile(99.0), np.percentile(values, 99), rtol=0.015)
    assert_allclose(found.mean, values.mean(dtype=np.float64), rtol=1e-9)
    halves = merge_distances([distances_of(values[:4000]), distances_of(values[4000:])])
    assert (halves.bins == found.bins).all()
    assert_allclose(halves.total, found.total)


def test_distances_of_no_pixel_have_no_mean():
    with pytest.raises(ShapeError, match="no pixel"):
        _ = distances_of(np.zeros(0, np.float32)).mean


def signature_of(model, image):
    return Transfer(model).sign(slices(image)).signature


def test_the_reference_itself_has_not_drifted_and_an_offset_has(model):
    same, off = scene(), scene() + 80
    for image, status in ((same, "ok"), (off, "drifted")):
        found = drift_from(model, signature_of(model, image).drift)
        assert found.status == status
    assert found.feature.startswith("CT_")


def test_a_signature_travels_as_json_without_losing_a_bit(model):
    one = signature_of(model, scene(seed=1))
    other = Signature.from_json(json.loads(json.dumps(one.as_json())))
    assert other.drift == one.drift
    for name in ("counts", "sums", "squares"):
        assert (getattr(one.classes, name) == getattr(other.classes, name)).all()


def test_pixels_without_data_are_in_no_signature(model):
    image = scene()
    image[:24] = np.nan
    found = signature_of(model, image)
    assert found.drift.count == found.classes.counts.sum() == 24 * 48 / 4
    assert found.classes.counts[0] == 0
    nothing = signature_of(model, np.full_like(image, np.nan))
    assert drift_from(model, nothing.drift) is None
    joined = merge_signatures([nothing, found])
    assert joined.drift == found.drift


@pytest.mark.parametrize("step", [1.0, 0.7])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_signature_is_that_of_every_fourth_row_of_the_features(model, step, threads, monkeypatch):
    monkeypatch.setattr(tiles, "TILE_COLUMNS", 13)
    monkeypatch.setattr(tiles, "TILE_VALUES", 10 * 13 * 5)
    images = np.stack([scene(50, seed) for seed in range(2)])[:, None]
    images[0, 0, 3:22, 7:19] = np.nan
    seen = ScanSlices(images, (step, step))
    found = Transfer(model).sign(seen, threads)
    every = np.zeros(images[:, 0].shape, bool)
    every[:, ::4] = True
    there = np.isfinite(images[:, 0])
    raw = gather(view_of(model), seen)[:, every[there]].astype(np.float64)
    standardised = (raw - model.center[:, None]) / model.scale[:, None]
    labels = found.labels[every & there]
    for value in model.class_names:
        part = standardised[:, labels == value]
        assert found.signature.classes.counts[value] == part.shape[1]
        assert_allclose(found.signature.classes.sums[value], part.sum(axis=1), atol=1e-3)
        assert_allclose(found.signature.classes.squares[value], (part**2).sum(axis=1), atol=1e-2)
    nodes = model.codebook.weights.astype(np.float64)
    samples = (standardised * model.feature_weights[:, None]).T
    apart = np.sqrt(((samples[:, None] - nodes) ** 2).sum(axis=2)).min(axis=1)
    assert_allclose(found.signature.drift.distance, apart.sum(), rtol=1e-5)
