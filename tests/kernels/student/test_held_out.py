"""What is held out: blocks that show both sides, never much of either."""

import numpy as np
import pytest
import torch

from somray.kernels.student.held_out import held_out_blocks, hold_out, windows_round
from tests.student_fixtures import examples_of


def _disc(size, radius):
    y, x = np.mgrid[: size[0], : size[1]]
    return (y - size[0] // 2) ** 2 + (x - size[1] // 3) ** 2 < radius**2


def _held(target, known, seed=0):
    mask = np.zeros(target.shape, dtype=int)
    for block in held_out_blocks(target, known, seed):
        mask[block] += 1
    return mask


@pytest.mark.parametrize("radius", [8, 15, 40, 90])
def test_both_sides_are_asked_and_neither_loses_more_than_a_tenth(radius):
    target = _disc((256, 200), radius)
    known = np.ones(target.shape, dtype=bool)
    known[:, :20] = False
    for seed in range(5):
        held = _held(target, known, seed)
        assert held.max() == 1  # no two blocks overlap
        for side in (target & known, known & ~target):
            assert 0 < held[side].sum() <= 0.1 * side.sum()


def test_a_target_too_small_for_any_block_keeps_everything():
    target = np.zeros((64, 64), dtype=bool)
    target[30:32, 30:32] = True
    assert held_out_blocks(target, np.ones_like(target), 0) == ()
    assert held_out_blocks(np.ones_like(target), np.ones_like(target), 0) == ()


def test_the_seed_decides():
    target, known = _disc((256, 256), 50), np.ones((256, 256), dtype=bool)
    assert held_out_blocks(target, known, 1) == held_out_blocks(target, known, 1)
    assert held_out_blocks(target, known, 1) != held_out_blocks(target, known, 2)


def test_windows_lie_inside_the_slice_and_count_their_blocks_only():
    target = _disc((90, 70), 20)
    known = np.ones(target.shape, dtype=bool)
    known[40:50] = False
    blocks = held_out_blocks(target, known, 0)
    windows, weights = windows_round(blocks, known)
    assert len(windows) == len(blocks) == len(weights) > 1
    for window, weight, block in zip(windows, weights, blocks, strict=True):
        assert weight.shape == tuple(w.stop - w.start for w in window)
        assert all(w.start >= 0 for w in window)
        whole = np.zeros(target.shape, dtype=np.float32)
        whole[window] = weight
        wanted = np.zeros(target.shape, dtype=np.float32)
        wanted[block] = known[block]
        np.testing.assert_array_equal(whole, wanted)


def test_examples_lose_the_blocks_and_the_batch_asks_about_nothing_else():
    target = _disc((100, 120), 30)
    image = np.random.default_rng(0).normal(0, 20, (1, 100, 120)).astype(np.float32)
    weight = np.full(target.shape, 0.5, dtype=np.float32)
    second = np.ones_like(weight)
    examples = examples_of([image, image], [target, target], [weight, second])
    learned, asked = hold_out(examples, 0, "cpu")
    held = learned.weight[0] == 0
    assert (learned.weight[0][~held] == 0.5).all()
    assert learned.weight[1] is second
    assert int(asked.weight.sum()) == held.sum() > 0
    assert asked.clean.shape[1] == 3
    assert asked.inputs.shape[1] > 3  # made worse, as patches are
    size = (len(asked.inputs), *asked.inputs.shape[2:])
    assert asked.target.shape == asked.weight.shape == size
    assert float((asked.target * asked.weight).sum()) == (target & held).sum()
    assert (examples.weight[0] == 0.5).all()  # what was given is left alone


def test_what_is_asked_is_always_made_worse_alike():
    image = np.random.default_rng(0).normal(0, 20, (1, 100, 120)).astype(np.float32)
    examples = examples_of([image], [_disc((100, 120), 30)])
    first, second = (hold_out(examples, 4, "cpu")[1] for _ in range(2))
    assert torch.equal(first.inputs, second.inputs)


def test_nothing_is_asked_where_nothing_can_be_spared():
    target = np.zeros((20, 20), dtype=bool)
    target[3, 3] = True
    examples = examples_of([np.zeros((1, 20, 20), np.float32)], [target])
    assert hold_out(examples, 0, "cpu") == (examples, None)
