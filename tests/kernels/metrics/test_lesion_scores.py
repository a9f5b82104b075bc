"""Lesion by lesion: hand counts, and a slow oracle with sets of voxels."""

import numpy as np
import pytest

from somray.errors import ShapeError
from tests.kernels.metrics.whole_masks import (
    lesion_scores,
    parts_of,
    parts_that_count,
    voxels_of,
)
from tests.kernels.naive_metrics import naive_parts


def mask(*spans, shape=(1, 1, 20)):
    made = np.zeros(shape, dtype=bool)
    for first, last in spans:
        made[..., first:last] = True
    return made


def scored(prediction, target):
    parts = parts_of(prediction)
    return lesion_scores(parts, target, np.arange(parts.count + 1) > 0)


def test_parts_are_found_missed_right_and_false():
    found = scored(mask((0, 3), (8, 9), (12, 17)), mask((2, 5), (6, 7), (10, 13), (16, 20)))
    assert (found.true, found.found, found.predicted, found.right) == (4, 3, 3, 2)
    assert (found.false_voxels, found.missed_voxels) == (1, 1)
    assert (found.recall, found.precision) == (0.75, pytest.approx(2 / 3))


def test_shares_of_nothing_do_not_exist():
    assert scored(mask(), mask((1, 2))).precision is None
    assert scored(mask((1, 2)), mask()).recall is None


def test_counts_agree_with_sets_of_voxels():
    rng = np.random.default_rng(6)
    prediction, target = rng.random((2, 6, 7, 8)) > 0.88
    found = scored(prediction, target)
    own, true = naive_parts(prediction), naive_parts(target)
    hit = [any(p & t for p in own) for t in true]
    right = [any(p & t for t in true) for p in own]
    assert (found.true, found.predicted) == (len(true), len(own))
    assert (found.found, found.right) == (sum(hit), sum(right))
    assert found.missed_voxels == sum(len(t) for t, h in zip(true, hit, strict=True) if not h)
    assert found.false_voxels == sum(len(p) for p, r in zip(own, right, strict=True) if not r)


def test_parts_on_other_labels_only_do_not_count():
    parts = parts_of(mask((0, 2), (4, 8), (10, 12)))
    counts = parts_that_count(parts, mask((0, 1)), mask((5, 6)))
    assert counts.tolist() == [False, True, False, True]
    assert (voxels_of(parts, counts) == mask((0, 2), (10, 12))).all()


def test_a_part_on_two_labels_counts_for_both():
    parts = parts_of(mask((0, 8)))
    first, second = mask((0, 2)), mask((5, 6))
    assert parts_that_count(parts, first, second)[1]
    assert parts_that_count(parts, second, first)[1]


def test_a_truth_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match="prediction"):
        scored(mask((0, 1)), np.ones((1, 1, 3), dtype=bool))
