"""Half way between inside and normal tissue: known shapes, blurred, noisy, in blocks."""

import numpy as np
import pytest
from scipy import ndimage

from somray.kernels.objects.border import REACH, BorderLevels, settled, spread_numbers

NORMAL, INSIDE = 100.0, 400.0
LEVELS = BorderLevels(NORMAL, 5.0, INSIDE)


def whole(array):
    return tuple(slice(0, n) for n in array.shape)


def ball(radius, shape=(32, 32, 32)):
    at = np.ogrid[tuple(slice(n) for n in shape)]
    return np.sqrt(sum((a - (n - 1) / 2) ** 2 for a, n in zip(at, shape, strict=True))) <= radius


def image(truth, blur=1.0, noise=0.0, inside=INSIDE):
    values = np.where(truth, inside, NORMAL)
    values = ndimage.gaussian_filter(values, blur) if blur else values
    return (values + np.random.default_rng(1).normal(0, noise, truth.shape)).astype(np.float32)


def settle(values, mask, levels=LEVELS, free=None):
    free = np.ones_like(mask) if free is None else free
    return settled(values, mask, free, levels, whole(mask))


def dice(one, two):
    return 2 * (one & two).sum() / (one.sum() + two.sum())


@pytest.mark.parametrize("change", ["eroded", "dilated"])
def test_a_mask_one_voxel_too_small_or_large_comes_back_to_the_truth(change):
    truth = ball(8)
    drawn = {"eroded": ndimage.binary_erosion, "dilated": ndimage.binary_dilation}[change](truth)
    found = settle(image(truth, 0.7), drawn)
    assert dice(found, truth) > 0.96 > dice(drawn, truth) + 0.05


def test_dark_things_settle_as_bright_ones_do():
    truth = ball(6)
    drawn = ndimage.binary_erosion(truth)
    bright, dark = image(truth), 500 - image(truth)
    mirrored = BorderLevels(500 - NORMAL, 5.0, 500 - INSIDE)
    assert np.array_equal(settle(bright, drawn), settle(dark, drawn, mirrored))


def test_each_thing_has_its_own_half_way():
    first, second = np.zeros((2, 24, 24, 48), dtype=bool)
    first[6:18, 6:18, 6:18] = second[6:18, 6:18, 30:42] = True
    values = np.where(first, 1000.0, np.where(second, 600.0, NORMAL))
    values = ndimage.gaussian_filter(values, 0.6).astype(np.float32)
    truth = first | second
    found = settle(values, ndimage.binary_erosion(truth), BorderLevels(NORMAL, 5.0, 700.0))
    assert dice(found & (np.arange(48) < 24), first) > 0.98
    assert dice(found & (np.arange(48) >= 24), second) > 0.98


def test_noise_is_averaged_before_it_decides():
    truth = ball(9)
    values, drawn = image(truth, 0.7, noise=80.0), ndimage.binary_erosion(truth)
    known, unknown = BorderLevels(NORMAL, 80.0, INSIDE), BorderLevels(NORMAL, 0.0, INSIDE)
    assert unknown.weight == 0.0 < known.weight <= 0.125
    quiet = dice(settle(values, drawn, known), truth)
    assert quiet > dice(settle(values, drawn, unknown), truth) + 0.01 > dice(drawn, truth)


def test_only_the_border_moves_by_one_voxel_and_only_where_it_may():
    truth, seed = ball(10), ball(4)
    values = image(truth, 0.0)
    grown = settle(values, seed)
    assert np.array_equal(grown, ndimage.binary_dilation(seed, np.ones((3, 3, 3))))
    assert np.array_equal(settle(values, seed, free=np.zeros_like(seed)), seed)
    assert not settle(values, np.zeros_like(seed)).any()


def test_specks_do_not_grow():
    truth = ball(8)
    values, drawn = image(truth, 0.7), ndimage.binary_erosion(truth)
    drawn[2, 2, 2:4] = True
    values[1:4, 1:4, 1:5] = INSIDE
    found = settle(values, drawn)
    assert found[:4, :4, :6].sum() == 2
    assert dice(found[5:], truth[5:]) > 0.99


def test_what_has_no_contrast_or_was_not_scanned_stays_as_drawn():
    truth = ball(6)
    drawn = ndimage.binary_erosion(truth)
    assert np.array_equal(settle(np.full(truth.shape, 100, np.float32), drawn), drawn)
    assert np.array_equal(settle(np.full(truth.shape, np.nan, np.float32), drawn), drawn)
    unlike = image(truth, inside=NORMAL - 200)  # on the other side of normal tissue than the scan's
    assert np.array_equal(settle(unlike, drawn), drawn)


def test_blocks_with_their_halo_give_the_bits_of_the_whole():
    rng = np.random.default_rng(5)
    values = ndimage.gaussian_filter(rng.normal(size=(20, 22, 24)), 1.5).astype(np.float32)
    values = values / values.std() * 100 + 100
    mask, free = values > 180, values > 60
    levels = BorderLevels(80.0, 40.0, 230.0)
    expected = settled(values, mask, free, levels, whole(mask))
    for cuts in [(7, 9, 11), (20, 5, 24), (1, 22, 24)]:
        found = np.zeros_like(mask)
        for corner in np.ndindex(*(-(-n // c) for n, c in zip(mask.shape, cuts, strict=True))):
            low = [i * c for i, c in zip(corner, cuts, strict=True)]
            high = [min(a + c, n) for a, c, n in zip(low, cuts, mask.shape, strict=True)]
            first = [max(a - REACH, 0) for a in low]
            last = [min(b + REACH, n) for b, n in zip(high, mask.shape, strict=True)]
            outer = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
            core = tuple(slice(a - f, b - f) for a, b, f in zip(low, high, first, strict=True))
            block = settled(values[outer], mask[outer], free[outer], levels, core)
            found[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = block
        assert np.array_equal(found, expected)


def test_what_joins_takes_the_number_of_what_it_touches():
    numbers = np.zeros((3, 3, 9), dtype=np.int32)
    numbers[1, 1, 2], numbers[1, 1, 6] = 4, 7
    mask = np.zeros_like(numbers, dtype=bool)
    mask[1, 1, 1:8] = True
    found = spread_numbers(numbers, mask, whole(mask))
    assert found[1, 1].tolist() == [0, 4, 4, 4, 0, 7, 7, 7, 0]
    mask[1, 1, 2] = False
    assert spread_numbers(numbers, mask, whole(mask))[1, 1, 2] == 0
