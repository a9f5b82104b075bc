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
from somray.kernels.student.sampling import MARGIN, Examples, Sampler
from somray.kernels.student.start import start_from
from somray.kernels.student.unet import new_unet, unet_weights
from tests.student_fixtures import NETWORK, examples_of, hu_slice

PLAN = Plan(steps=8, pixel_steps=16, patch=40, batch=4, pixels=256)


def _examples(count=2):
    images, masks = zip(*(hu_slice((56, 60), seed=n) for n in range(count)), strict=True)
    return examples_of(images, masks)


def _fitted(examples, plan=PLAN, gang=None, pace=None):
    module = new_unet(NETWORK, 0)
    known = np.ones(examples.target[0].shape, dtype=bool)
    start_from(module, examples.stacks[0], np.where(examples.target[0], 0, 1), known, 0)
    with deterministic(1):
        state = fit_student(module, examples, plan, (0,), gang or Gang(), pace or Pace())
    return unet_weights(module), state.rows


def _equal(first, second):
    return all(np.array_equal(first[key], second[key]) for key in first)


def test_training_lowers_the_loss():
    plan = Plan(steps=60, pixel_steps=150, patch=56, batch=4, pixels=512, epoch_steps=20)
    weights, rows = _fitted(_examples(), plan)
    patches = rows[1:]  # the first row is the prototypes'
    assert patches[-1]["loss"] < 0.9 * patches[0]["loss"]
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1]["learning_rate"] < rows[2]["learning_rate"]
    assert all(row["seconds"] == 0 for row in rows)
    assert weights["head.weight"].any()


def test_patches_teach_the_prototypes_of_features_nothing():
    alone = Plan(steps=0, pixel_steps=16, patch=40, batch=4, pixels=256)
    first, second = _fitted(_examples())[0], _fitted(_examples(), alone)[0]
    learned = {name for name in first if not np.array_equal(first[name], second[name])}
    assert learned
    assert not {name for name in learned if name.startswith("prototypes.")}


def test_the_same_seed_gives_the_same_bits():
    assert _equal(_fitted(_examples())[0], _fitted(_examples())[0])


def test_pixels_of_weight_zero_do_not_exist():
    examples = _examples()
    examples.weight[1][5:20] = 0
    changed = [target.copy() for target in examples.target]
    changed[1][5:20] ^= True
    # Borders of the ignored part may move, and with them the draws: ask for the loss alone.
    logits = torch.randn(56, 60, generator=torch.Generator().manual_seed(0))
    losses = [
        student_loss(logits, torch.from_numpy(t).float(), torch.from_numpy(examples.weight[1]))
        for t in (examples.target[1], changed[1])
    ]
    assert torch.equal(losses[0], losses[1])
    sampler = Sampler(examples, 28, (0,))
    for _ in range(20):
        assert (sampler.pixels(64).weight > 0).all()


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
    first, second = (Sampler(_examples(), 40, (0, rank)).patches(4).clean for rank in (0, 1))
    assert not torch.equal(first, second)


def test_a_spent_budget_ends_the_training():
    ticks = itertools.count()
    pace = Pace(clock=lambda: float(next(ticks)), spent=lambda: next(ticks) / 200)
    plan = Plan(steps=10_000, pixel_steps=10_000, patch=34, batch=1, pixels=8)
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


def _numbered(shapes):
    """Slices of raw pixels, each with a value of its own; every seventh is target."""
    sizes = [y * x for y, x in shapes]
    starts = np.cumsum([0, *sizes])
    images = [
        np.arange(start, start + size, dtype=np.float32).reshape(1, *shape)
        for start, size, shape in zip(starts, sizes, shapes, strict=False)
    ]
    targets = [image[0] % 7 == 0 for image in images]
    windows = ((0.0, float(starts[-1])),)
    return examples_of(images, targets, names=(), windows=windows), windows[0][1]


def _values(planes, most):
    """The values of a raw, windowed plane."""
    return torch.round(planes.double() * most)


def test_patches_and_pixels_come_from_where_they_say():
    examples, most = _numbered([(50, 70)] * 2)
    sampler = Sampler(examples, 40, (1,))
    patches = sampler.patches(6)
    assert patches.inputs.shape == patches.clean.shape == (6, 1, 40, 40)
    assert torch.equal(patches.target > 0, _values(patches.clean[:, 0], most) % 7 == 0)
    assert not torch.equal(patches.inputs, patches.clean)
    pixels = sampler.pixels(30)
    assert pixels.clean is None
    assert torch.equal(pixels.target > 0, _values(pixels.inputs[:, 0], most) % 7 == 0)
    assert (pixels.target > 0).sum() >= 10  # a third are drawn from the target


def test_pixels_beside_a_cut_edge_are_seen_but_not_learned_from():
    examples, most = _numbered([(90, 100)])
    sampler = Sampler(examples, 60, (2,))
    for _ in range(5):
        patches = sampler.patches(4)
        for weight, values in zip(patches.weight, _values(patches.clean[:, 0], most), strict=True):
            top, left = divmod(int(values[0, 0]), 100)
            expected = np.zeros((60, 60), np.float32)
            rows = slice(MARGIN if top else 0, 60 - MARGIN if top + 60 < 90 else 60)
            columns = slice(MARGIN if left else 0, 60 - MARGIN if left + 60 < 100 else 60)
            expected[rows, columns] = 1
            np.testing.assert_array_equal(weight.numpy(), expected)


def test_a_slice_smaller_than_a_patch_is_taken_whole():
    patches = Sampler(_examples(), 64, (0,)).patches(2)
    assert patches.clean.shape == (2, 3, 56, 60)
    assert (patches.weight == 1).all()


def test_examples_without_a_counting_pixel_are_refused():
    image, mask = hu_slice()
    with pytest.raises(ShapeError, match="weight 0"):
        examples_of([image], [mask], [np.zeros(mask.shape, np.float32)])


def test_examples_that_do_not_fit_are_refused():
    fitting = examples_of(*([part] for part in hu_slice()))
    stack, target, weight = fitting.stacks[0], fitting.target[0], fitting.weight[0]
    with pytest.raises(ShapeError, match="needs target"):
        Examples([stack[:, 1:]], [target], [weight], fitting.noisy)
    with pytest.raises(ShapeError, match="must be"):
        Examples([stack[0]], [target], [weight], fitting.noisy)
    with pytest.raises(ShapeError, match="as many"):
        Examples([stack], [target], [weight], [])


def test_slices_of_different_shapes_are_drawn_alike():
    shapes = ((60, 80), (20, 90), (70, 25))
    examples, most = _numbered(shapes)
    ends = np.cumsum([y * x for y, x in shapes])
    sampler = Sampler(examples, 50, (1,))
    seen = set()
    for _ in range(10):
        patches = sampler.patches(6)
        assert patches.inputs.shape == (6, 1, 50, 50)
        known = ~torch.isnan(patches.clean[:, 0])
        assert not patches.weight[~known].any()
        values = _values(patches.clean[:, 0], most)
        assert torch.equal((patches.target > 0)[known], (values % 7 == 0)[known])
        for value, there in zip(values[:, 0, 0], known, strict=True):
            seen.add((int(np.searchsorted(ends, int(value), side="right")), int(there.sum())))
        pixels = sampler.pixels(60)
        assert torch.equal(pixels.target > 0, _values(pixels.inputs[:, 0], most) % 7 == 0)
    assert seen == {(0, 50 * 50), (1, 20 * 50), (2, 50 * 25)}
