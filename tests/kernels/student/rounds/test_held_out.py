"""What is held out: known blocks, never much of the target, the same for a seed."""

import numpy as np
import pytest

from somray.kernels.student.rounds import held_out as module
from somray.kernels.student.rounds.held_out import held_out


def ball(shape, radius):
    index = np.indices(shape)
    middle = [size // 2 if n else size // 3 for n, size in enumerate(shape)]
    return sum((axis - at) ** 2 for axis, at in zip(index, middle, strict=True)) < radius**2


@pytest.mark.parametrize(
    ("shape", "radius"),
    [((256, 200), r) for r in (8, 15, 40, 90)] + [((40, 50, 60), r) for r in (3, 9, 16)],
)
def test_no_more_than_a_tenth_of_the_target_and_of_all_is_held_out(shape, radius):
    known = np.ones(shape, dtype=bool)
    known[..., :20] = False
    mask = ball(shape, radius) & known
    for seed in range(5):
        held = held_out(mask, known, (seed,))
        assert held.shape == shape
        assert 0 < held.sum() <= 0.1 * known.sum()
        assert held[mask].sum() <= 0.1 * mask.sum()
        assert not held[~known].any()


def test_a_target_of_some_size_is_asked_about_too():
    mask = ball((256, 256), 60)
    shown = [held_out(mask, np.ones_like(mask), (seed,))[mask].any() for seed in range(8)]
    assert sum(shown) >= 6


def test_what_is_held_out_are_whole_blocks():
    mask = ball((100, 130), 30)
    held = held_out(mask, np.ones_like(mask), (0,))
    side = module.SIDES[2]
    for y in range(0, 100, side):
        for x in range(0, 130, side):
            block = held[y : y + side, x : x + side]
            assert block.all() or not block.any()


def test_the_seed_decides():
    mask = ball((256, 256), 50)
    first, second, other = (held_out(mask, np.ones_like(mask), (0, n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_an_image_too_small_to_spare_a_block_keeps_everything():
    mask = ball((20, 24), 5)
    assert not held_out(mask, np.ones_like(mask), (0,)).any()
    assert not held_out(mask, np.zeros_like(mask), (0,)).any()
