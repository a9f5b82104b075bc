"""Lesions recut by the student: borders move, objects stay."""

import numpy as np
import pytest
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.objects.recut import RecutRule, recut

SPACING = (4.0, 4.0, 4.0)
SHAPE = (36, 36, 36)


def ball(centre, radius, shape=SHAPE):
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


def labelled(*masks):
    return sum((n * m for n, m in enumerate(masks, start=1)), np.zeros(SHAPE)).astype(np.int32)


def touching(labels):
    """Pairs of different objects that touch, corners included."""
    high = ndimage.maximum_filter(labels, 3)
    low = -ndimage.maximum_filter(np.where(labels > 0, -labels, -(10**6)), 3)
    return int(np.count_nonzero((labels > 0) & (high != low)))


@pytest.fixture
def noisy():
    rng = np.random.default_rng(5)
    return ndimage.gaussian_filter(rng.random(SHAPE), 1.0).astype(np.float32)


def test_a_student_that_says_the_same_changes_nothing():
    labels = labelled(ball((18, 18, 12), 6), ball((18, 18, 27), 4))
    found = recut(labels, (labels > 0).astype(np.float32), {1, 2}, SPACING)
    assert np.array_equal(found, labels)
    assert found.dtype == np.int32


def test_what_closing_adds_needs_the_student_to_agree():
    hollow = ball((18, 18, 18), 8) & ~(ball((18, 18, 18), 6) & (np.arange(36) > 16))
    hollow &= ~((np.arange(36) > 22) & (np.abs(np.arange(36)[:, None] - 18) < 2))
    labels = labelled(hollow)
    same = recut(labels, hollow.astype(np.float32), {1}, SPACING)
    agreed = recut(labels, ball((18, 18, 18), 8).astype(np.float32), {1}, SPACING)
    assert (same[hollow] == 1).all()
    assert agreed.sum() > labels.sum()


def test_a_sure_student_moves_the_border_both_ways():
    labels = labelled(ball((18, 18, 18), 7))
    for radius in (6, 8):
        sure = ball((18, 18, 18), radius)
        assert np.array_equal(recut(labels, sure.astype(np.float32), {1}, SPACING) == 1, sure)


def test_a_hesitant_student_moves_nothing():
    labels = labelled(ball((18, 18, 18), 7))
    chance = np.where(ball((18, 18, 18), 9), 0.8, 0.0).astype(np.float32)
    chance[ball((18, 18, 18), 2)] = 0.2
    assert np.array_equal(recut(labels, chance, {1}, SPACING), labels)


@pytest.mark.parametrize("chance", [0.0, 1.0, np.nan])
def test_an_object_that_the_student_does_not_know_stays(chance):
    labels = labelled(ball((18, 18, 12), 5), ball((6, 6, 30), 1))
    found = recut(labels, np.full(SHAPE, chance, dtype=np.float32), {1, 2}, SPACING)
    assert np.array_equal(found, labels)


def test_a_small_lesions_border_moves_least():
    labels = labelled(ball((9, 9, 9), 2), ball((23, 23, 23), 9))
    chance = (ball((9, 9, 9), 2.3) | ball((23, 23, 23), 10)).astype(np.float32)
    found = recut(labels, chance, {1, 2}, SPACING)
    assert np.array_equal(found == 1, labels == 1)
    assert (found == 2).sum() > (labels == 2).sum()


def test_other_objects_stay_and_are_in_the_way():
    lesion, organ = ball((18, 18, 12), 5), ball((18, 18, 25), 4)
    labels = labelled(lesion, organ)
    bridge = ball((18, 18, 12), 5.5) | organ | ball((18, 18, 18), 4)
    found = recut(labels, bridge.astype(np.float32), {1}, SPACING)
    assert np.array_equal(found == 2, organ)
    assert (found == 1).sum() > lesion.sum()
    assert touching(found) == 0


def test_lesions_never_touch_vanish_or_change_number(noisy):
    labels = labelled(*(ball(c, 4) for c in ((9, 9, 9), (9, 9, 19), (20, 9, 14), (24, 24, 24))))
    assert touching(labels) == 0
    for scale in (0.5, 1.5, 4.0):
        chance = np.clip(0.5 + scale * (noisy - 0.5) + 0.6 * (labels > 0), 0, 1).astype(np.float32)
        found = recut(labels, chance, {1, 2, 3, 4}, SPACING)
        assert set(np.unique(found)) == {0, 1, 2, 3, 4}
        assert touching(found) == 0
        for number in range(1, 5):
            assert not (found[labels == number] == number % 4 + 1).any()
            assert ndimage.label(found == number, np.ones((3, 3, 3)))[1] == 1


def test_order_and_number_of_objects_change_nothing(noisy):
    one, two = ball((18, 18, 11), 5), ball((18, 18, 24), 5)
    chance = np.clip(noisy + 0.5 * ndimage.gaussian_filter((one | two).astype(float), 1), 0, 1)
    chance = chance.astype(np.float32)
    found = recut(labelled(one, two), chance, {1, 2}, SPACING)
    turned = recut(labelled(two, one), chance, {1, 2}, SPACING)
    assert np.array_equal(found == 1, turned == 2)
    alone = recut(labelled(one, two), chance, {2}, SPACING)
    assert np.array_equal(alone == 2, found == 2)
    assert np.array_equal(alone == 1, one)


def test_what_lies_far_away_changes_nothing(noisy):
    labels = labelled(ball((10, 10, 10), 4))
    rule = RecutRule(reach_mm=8.0)
    chance = np.clip(noisy + 0.6 * (labels > 0), 0, 1).astype(np.float32)
    other = np.where(ndimage.distance_transform_edt(labels == 0) > 3, 1.0 - chance, chance)
    first, second = (recut(labels, c, {1}, SPACING, rule) for c in (chance, other))
    assert np.array_equal(first, second)


def test_volumes_end_anywhere():
    labels = labelled(ball((0, 18, 35), 8))
    chance = ndimage.binary_dilation(labels > 0).astype(np.float32)
    assert np.array_equal(recut(labels, chance, {1}, SPACING), labelled(chance > 0))


def test_arrays_must_be_on_one_grid():
    with pytest.raises(ShapeError, match="one grid"):
        recut(np.zeros((2, 3, 4), np.int32), np.zeros((2, 3, 5), np.float32), set(), SPACING)
