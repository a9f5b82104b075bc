"""The training loop: what it learns, what it must not see, and that its bits stay."""

import itertools

import numpy as np
import pytest
import torch

from somray.errors import ShapeError
from somray.kernels.student.fit import (
    Gang,
    Pace,
    Plan,
    _one_cycle,
    deterministic,
    fit_student,
)
from somray.kernels.student.loss import student_loss
from somray.kernels.student.sampling import Examples, Sampler
from somray.kernels.student.start import start_from
from somray.kernels.student.unet import new_unet, unet_weights

NETWORK = {"inputs": 3, "width": 8, "levels": 2, "prototypes_target": 2, "prototypes_rest": 4}
PLAN = Plan(steps=8, pixel_steps=16, patch=16, batch=4, pixels=256)


def _examples(seed=0, count=2):
    rng = np.random.default_rng(seed)
    stacks = rng.normal(0, 1, (count, 3, 24, 28)).astype(np.float32)
    target = stacks[:, 0] + stacks[:, 1] > 1
    return Examples(stacks, target, np.ones(target.shape, dtype=np.float32))


def _fitted(examples, plan=PLAN, gang=None, pace=None):
    module = new_unet(NETWORK, 0)
    known = np.ones(examples.target.shape[1:], dtype=bool)
    start_from(module, examples.stacks[0], examples.target[0], known, 0)
    with deterministic(1):
        state = fit_student(module, examples, plan, (0,), gang or Gang(), pace or Pace())
    return unet_weights(module), state.rows


def _equal(first, second):
    return all(np.array_equal(first[key], second[key]) for key in first)


def test_training_lowers_the_loss_and_learns_the_rule():
    plan = Plan(steps=30, pixel_steps=150, patch=16, batch=4, pixels=512)
    examples = _examples()
    weights, rows = _fitted(examples, plan)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1]["learning_rate"] < rows[2]["learning_rate"]
    assert all(row["seconds"] == 0 for row in rows)
    assert weights["head.weight"].any()


def test_the_same_seed_gives_the_same_bits():
    assert _equal(_fitted(_examples())[0], _fitted(_examples())[0])


def test_pixels_of_weight_zero_do_not_exist():
    examples = _examples()
    examples.weight[1][5:20] = 0
    changed = Examples(examples.stacks.copy(), examples.target.copy(), examples.weight)
    changed.target[1][5:20] ^= True
    patches = Plan(steps=4, pixel_steps=0, patch=28, batch=2)
    # Borders of the ignored part may move, and with them the draws: take whole slices.
    with deterministic(1):
        logits = torch.randn(2, 24, 28, generator=torch.Generator().manual_seed(0))
        losses = [
            student_loss(logits, torch.from_numpy(e.target).float(), torch.from_numpy(e.weight))
            for e in (examples, changed)
        ]
    assert torch.equal(losses[0], losses[1])
    sampler = Sampler(examples, patches.patch, (0,))
    for _ in range(20):
        assert (sampler.pixels(64)[2] > 0).all()


def test_the_loss_of_a_perfect_prediction_is_nearly_nothing():
    target = (torch.arange(64).view(1, 8, 8) % 3 == 0).float()
    perfect = student_loss(40 * target - 20, target, torch.ones_like(target))
    wrong = student_loss(20 - 40 * target, target, torch.ones_like(target))
    assert perfect < 1e-3 < 10 < wrong


def test_the_rate_rises_then_falls_to_nothing():
    rates = [_one_cycle(spent, 1.0) for spent in np.linspace(0, 0.999, 50)]
    top = int(np.argmax(rates))
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 1e-3


def test_a_worker_alone_and_one_whose_mean_is_its_own_learn_the_same():
    own = Gang(average=lambda flat: flat.clone())
    assert _equal(_fitted(_examples())[0], _fitted(_examples(), gang=own)[0])


def test_workers_draw_different_patches():
    first, second = (Sampler(_examples(), 8, (0, rank)).patches(4)[0] for rank in (0, 1))
    assert not torch.equal(first, second)


def test_a_spent_budget_ends_the_training():
    ticks = itertools.count()
    pace = Pace(clock=lambda: float(next(ticks)), spent=lambda: next(ticks) / 200)
    plan = Plan(steps=10_000, pixel_steps=10_000, patch=8, batch=1, pixels=8)
    _, rows = _fitted(_examples(), plan, pace=pace)
    assert next(ticks) < 250
    assert all(row["seconds"] > 0 for row in rows)


def test_threads_and_modes_are_restored():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    inside = []

    def fail():
        with deterministic(before[0] + 1):
            inside.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert inside == [(before[0] + 1, True)]
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_patches_come_from_where_they_say():
    stacks = np.arange(2 * 1 * 20 * 30, dtype=np.float32).reshape(2, 1, 20, 30)
    target = stacks[:, 0] % 7 == 0
    sampler = Sampler(Examples(stacks, target, np.ones((2, 20, 30), np.float32)), 12, (1,))
    inputs, wanted, _ = sampler.patches(6)
    assert inputs.shape == (6, 1, 12, 12)
    assert torch.equal(wanted > 0, inputs[:, 0] % 7 == 0)
    pixels, wanted, _ = sampler.pixels(30)
    assert torch.equal(wanted > 0, pixels[:, 0] % 7 == 0)
    assert (wanted > 0).sum() >= 10  # a third are drawn from the target


def test_a_slice_smaller_than_a_patch_is_taken_whole():
    examples = _examples()
    inputs, _, _ = Sampler(examples, 64, (0,)).patches(2)
    assert inputs.shape == (2, 3, 24, 28)


def test_examples_without_a_counting_pixel_are_refused():
    stacks = np.zeros((1, 2, 4, 4), np.float32)
    with pytest.raises(ShapeError, match="weight 0"):
        Examples(stacks, np.zeros((1, 4, 4), bool), np.zeros((1, 4, 4), np.float32))


def test_examples_that_do_not_fit_are_refused():
    weight = np.ones((1, 4, 4), np.float32)
    with pytest.raises(ShapeError, match="needs target"):
        Examples(np.zeros((1, 2, 4, 5), np.float32), weight > 0, weight)
    with pytest.raises(ShapeError, match="must be"):
        Examples(np.zeros((1, 4, 4), np.float32), weight > 0, weight)


def test_slices_of_different_shapes_are_drawn_alike():
    shapes = ((20, 30), (8, 40), (31, 9))
    stacks = [np.full((1, *shape), n, np.float32) for n, shape in enumerate(shapes)]
    target = [np.zeros(shape, bool) for shape in shapes]
    for n, mask in enumerate(target):
        mask[3:6, 2:5] = n == 1
        stacks[n][:, mask] = 5
    weight = [np.ones(shape, np.float32) for shape in shapes]
    sampler = Sampler(Examples(stacks, target, weight), 16, (1,))
    seen = set()
    for _ in range(10):
        inputs, wanted, counts = sampler.patches(6)
        assert inputs.shape == (6, 1, 16, 16)
        assert torch.equal(torch.isnan(inputs[:, 0]), counts == 0)
        assert torch.equal(wanted > 0, inputs[:, 0] == 5)
        seen |= {(int(v), int(c.sum())) for v, c in zip(inputs[:, 0, 7, 0], counts, strict=True)}
        pixels, wanted, _ = sampler.pixels(60)
        assert torch.equal(wanted > 0, pixels[:, 0] == 5)
        assert set(pixels.unique().tolist()) <= {0.0, 1.0, 2.0, 5.0}
    assert {size for _, size in seen} == {16 * 16, 8 * 16, 16 * 9}
