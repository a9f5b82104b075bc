"""The loss against a slow oracle, and that pixels of weight 0 do not exist."""

import math

import numpy as np
import pytest
import torch

from somray.kernels.student.training.loss import student_loss


def slow_loss(logits, target, weight):
    """Cross-entropy and soft Dice, pixel by pixel as the papers write them."""
    entropy = overlap = said = wanted = counted = 0.0
    for logit, wants, counts in zip(logits.flat, target.flat, weight.flat, strict=True):
        chance = 1 / (1 + math.exp(-logit))
        entropy -= counts * (wants * math.log(chance) + (1 - wants) * math.log(1 - chance))
        overlap += counts * chance * wants
        said, wanted, counted = said + counts * chance, wanted + counts * wants, counted + counts
    return entropy / counted + 1 - (2 * overlap + 1) / (said + wanted + 1)


def drawn(seed=0, shape=(2, 5, 6)):
    rng = np.random.default_rng(seed)
    weight = rng.random(shape) * (rng.random(shape) > 0.3)
    return rng.normal(0, 3, shape), rng.random(shape), weight


def told(*parts):
    return float(student_loss(*(torch.tensor(part) for part in parts)))


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_what_a_slow_sum_says(seed):
    parts = drawn(seed, [(2, 5, 6), (1, 3, 4, 5), (7,), (4, 1)][seed])
    assert told(*parts) == pytest.approx(slow_loss(*parts), rel=1e-9)


def test_pixels_of_weight_zero_do_not_exist():
    logits, target, weight = drawn()
    out = weight == 0
    assert out.any()
    before = told(logits, target, weight)
    logits[out], target[out] = 50.0, 1 - target[out]
    assert told(logits, target, weight) == before
    asked = torch.tensor(logits, requires_grad=True)
    student_loss(asked, torch.tensor(target), torch.tensor(weight)).backward()
    assert not asked.grad[torch.tensor(out)].any()
    assert asked.grad[torch.tensor(~out)].all()


def test_a_perfect_prediction_costs_nearly_nothing_and_a_wrong_one_much():
    target = (torch.arange(64).view(1, 8, 8) % 3 == 0).double()
    ones = torch.ones_like(target)
    assert student_loss(40 * target - 20, target, ones) < 1e-3
    assert student_loss(20 - 40 * target, target, ones) > 10


def test_a_batch_that_counts_nothing_gives_a_number():
    logits, target, weight = drawn()
    assert told(logits, target, 0 * weight) == 0
