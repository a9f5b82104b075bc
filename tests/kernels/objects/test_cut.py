"""Where objects end: their own level, their holes, their cold cores."""

import numpy as np
import pytest
from scipy import ndimage

from somray.kernels.objects.cut import CutRule, closed_by_ball, cut_objects, surroundings_of

SPACING = (2.0, 2.0, 2.0)


def ball(shape, centre, radius):
    grid = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


def blurred(mask, high, low=0.0, sigma=1.5):
    """A hot body seen by a scanner, in octaves over the background."""
    uptake = ndimage.gaussian_filter(np.where(mask, 2.0**high, 2.0**low), sigma)
    return np.log2(uptake)


def test_a_blurred_ball_is_cut_near_its_true_border():
    true = ball((40, 40, 40), (20, 20, 20), 8)
    field = blurred(true, 3.0)
    part = (field > 0.5).astype(np.int32)
    objects, levels, around = cut_objects(field, part, SPACING, CutRule())
    assert part.sum() > 1.6 * true.sum()  # the part is the foot of the border
    assert objects.sum() == pytest.approx(true.sum(), rel=0.12)
    assert 1.0 < levels[0] < 2.5
    assert abs(around[0]) < 0.2


def test_a_cold_core_belongs_to_the_object():
    shell = ball((40, 40, 40), (20, 20, 20), 10) & ~ball((40, 40, 40), (20, 20, 20), 6)
    field = np.where(shell, 3.0, 0.0)
    objects, *_ = cut_objects(field, shell.astype(np.int32), SPACING, CutRule())
    assert objects[20, 20, 20] == 1


def test_an_open_core_is_closed_within_the_radius_only():
    shell = ball((40, 40, 40), (20, 20, 20), 10) & ~ball((40, 40, 40), (20, 20, 20), 7)
    shell[:, :, 18:23] &= ~ball((40, 40, 40), (20, 20, 20), 30)[:, :, 18:23]  # a slit
    field = np.where(shell, 3.0, 0.0)
    parts = np.where(shell & (np.arange(40) < 18), 1, 0).astype(np.int32)
    parts[shell & (np.arange(40) > 22)] = 1
    closed, *_ = cut_objects(field, parts, SPACING, CutRule(closing_mm=24.0))
    plain, *_ = cut_objects(field, parts, SPACING, CutRule(closing_mm=0.0))
    assert closed.sum() > plain.sum()


@pytest.mark.parametrize("seed", range(3))
def test_closing_within_a_masks_box_is_closing_within_the_volume(seed):
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.normal(size=(18, 20, 22)), 1.5) > 0.12
    mask[:4] = mask[:, 15:] = False
    wide = np.pad(mask, 16)
    near = ndimage.distance_transform_edt(~wide, sampling=(3.0, 2.0, 1.5)) <= 9.0
    closed = ndimage.distance_transform_edt(near, sampling=(3.0, 2.0, 1.5)) > 9.0
    whole = ndimage.binary_fill_holes((closed | wide)[16:-16, 16:-16, 16:-16])
    assert np.array_equal(closed_by_ball(mask, (3.0, 2.0, 1.5), 9.0), whole)


def test_closing_never_takes_another_objects_voxels():
    one = ball((30, 30, 30), (15, 15, 9), 4)
    two = ball((30, 30, 30), (15, 15, 19), 4)
    parts = (one + 2 * two).astype(np.int32)
    field = np.where(parts > 0, 3.0, 0.0)
    objects, *_ = cut_objects(field, parts, SPACING, CutRule(closing_mm=24.0))
    assert (objects[one] == 1).all()
    assert (objects[two] == 2).all()


def test_surroundings_leave_other_objects_out():
    one, two = ball((40, 40, 40), (20, 20, 12), 4), ball((40, 40, 40), (20, 20, 24), 6)
    field = np.where(two, 5.0, 0.25)
    parts = (one + 2 * two).astype(np.int32)
    assert surroundings_of(field, parts, 1, SPACING, CutRule()) == pytest.approx(0.25)


def test_what_was_not_scanned_is_never_part_of_an_object():
    shell = ball((40, 40, 40), (20, 20, 20), 10) & ~ball((40, 40, 40), (20, 20, 20), 6)
    field = np.where(shell, 3.0, 0.0)
    field[18:22, 18:22, 18:22] = np.nan
    objects, *_ = cut_objects(field, shell.astype(np.int32), SPACING, CutRule())
    assert objects[20, 20, 20] == 0
    assert objects[20, 20, 25] == 1


def test_a_level_does_not_hang_on_a_constant_factor():
    true = ball((30, 30, 30), (15, 15, 15), 6)
    field = blurred(true, 3.0)
    part = (field > 0.5).astype(np.int32)
    first, levels, _ = cut_objects(field, part, SPACING, CutRule())
    second, shifted, _ = cut_objects(field + 2.0, part, SPACING, CutRule())
    assert np.array_equal(first, second)
    assert shifted[0] == pytest.approx(levels[0] + 2.0)
