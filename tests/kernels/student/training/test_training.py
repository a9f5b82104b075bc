"""The training loop: what it learns, that its bits stay, and that workers and budgets do as they should."""

import itertools
import threading

import numpy as np
import pytest
import torch

from somray.errors import ShapeError
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import new_unet, unet_weights
from somray.kernels.student.training.loop import _one_cycle, train_network
from somray.kernels.student.training.schedule import (
    MOST_EPOCHS,
    ProcessGroup,
    TrainingHooks,
    TrainingSchedule,
)
from tests.student_fixtures import example_of, hu_image, small_shape

SCHEDULE = TrainingSchedule(steps=6, patch=24, batch=4, rate=4e-2, epoch_steps=2)


def examples(dimensions=2, count=2):
    shape = (30, 34) if dimensions == 2 else (10, 12, 14)
    return [example_of(*hu_image(shape, seed=n)) for n in range(count)]


def trained(of, schedule=SCHEDULE, group=None, hooks=None, seed=(0,)):
    module = new_unet(small_shape(of[0].target.ndim), 0)
    with deterministic(1):
        state = train_network(module, of, schedule, seed, group, hooks)
    return unet_weights(module), state


def same(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_training_learns_what_is_bright(dimensions):
    schedule = TrainingSchedule(steps=60, patch=24, batch=4, rate=4e-2, epoch_steps=10)
    weights, state = trained(examples(dimensions), schedule)
    losses = [row["loss"] for row in state.rows]
    assert losses[-1] < 0.5 * losses[0]
    assert [row["epoch"] for row in state.rows] == list(range(1, 7))
    assert state.rows[-1]["learning_rate"] < state.rows[1]["learning_rate"]
    assert all(row["seconds"] == 0 for row in state.rows)  # the loop knows no clock
    assert (state.step, state.done) == (60, True)
    assert all(np.isfinite(array).all() for array in weights.values())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_same_seed_gives_the_same_bits_and_another_gives_others(dimensions):
    of = examples(dimensions)
    first, second, other = (trained(of, seed=(n,))[0] for n in (1, 1, 2))
    assert same(first, second)
    assert not same(first, other)


def test_what_is_left_are_the_averaged_weights():
    weights, state = trained(examples())
    assert not same(weights, state.weights)
    assert all(np.array_equal(weights[name], array) for name, array in state.averaged.items())
    learned = [name for name in weights if name.endswith("weight")]
    for name in learned:  # an average lies between what was averaged
        assert np.abs(weights[name] - state.weights[name]).max() > 0


@pytest.mark.parametrize(("steps", "each"), [(1, 20), (7, 2), (10, 3), (450, 2), (41, 20)])
def test_steps_are_cut_into_epochs_and_no_more_than_anyone_can_store(steps, each):
    schedule = TrainingSchedule(steps, 24, 4, 4e-2, epoch_steps=each)
    assert schedule.epochs == min(MOST_EPOCHS, -(-steps // each))


def test_every_epoch_of_a_plan_is_handed_out_once():
    for steps, each in ((1, 20), (7, 2), (10, 3)):
        states = []
        schedule = TrainingSchedule(steps=steps, patch=16, batch=1, rate=4e-2, epoch_steps=each)
        _, last = trained(examples(count=1), schedule, hooks=TrainingHooks(save=states.append))
        assert len(states) == len(last.rows) == schedule.epochs
        assert [state.epoch for state in states] == list(range(1, schedule.epochs + 1))
        assert [state.done for state in states] == [False] * (schedule.epochs - 1) + [True]
        assert states[-1].step == steps


def test_the_rate_rises_then_falls_to_nothing():
    rates = [_one_cycle(spent, 2.0) for spent in np.linspace(0, 1, 101)]
    top = int(np.argmax(rates))
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == pytest.approx(2.0)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_a_worker_alone_and_one_whose_mean_is_its_own_learn_the_same():
    own = ProcessGroup(average=lambda flat: flat.clone())
    assert same(trained(examples())[0], trained(examples(), group=own)[0])


class Meeting:
    """The mean over workers that live in threads of this process; keeps what each brought."""

    def __init__(self, world):
        self._barrier = threading.Barrier(world, timeout=60)
        self._parts, self.brought = [None] * world, []

    def average(self, rank):
        def mean(flat):
            self._parts[rank] = flat.clone()
            if self._barrier.wait() == 0:
                self.brought.append([part.clone() for part in self._parts])
            self._barrier.wait()
            found = sum(self._parts) / len(self._parts)
            self._barrier.wait()
            return found

        return mean


def gang_of_two(of, schedule=SCHEDULE):
    """Train with two workers in threads: each one's weights, its state, and what they brought."""
    meeting, found = Meeting(2), [None, None]
    modules = [new_unet(small_shape(), 0) for _ in range(2)]

    def work(rank):
        group = ProcessGroup(rank, 2, meeting.average(rank))
        found[rank] = train_network(modules[rank], of, schedule, (0,), group)

    with deterministic(1):
        workers = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return [unet_weights(module) for module in modules], found, meeting.brought


def test_two_workers_end_with_one_student_though_each_saw_other_patches():
    (first, second), states, brought = gang_of_two(examples())
    assert same(first, second)
    assert same(states[0].averaged, states[1].averaged)
    gradients = brought[0]
    assert not torch.equal(*gradients)  # ranks draw patches of their own
    again, _, _ = gang_of_two(examples())
    assert same(first, again[0])
    assert not same(first, trained(examples())[0])


def test_two_workers_take_the_mean_of_their_gradients():
    """One step on what both drew, weighed alike, is the gang's step up to batch statistics."""
    schedule = TrainingSchedule(steps=1, patch=24, batch=4, rate=4e-2)
    _, _, brought = gang_of_two(examples(), schedule)
    assert len(brought) == 3  # one step's gradients, then an epoch's statistics and averages
    assert all(len({part.numel() for part in parts}) == 1 for parts in brought)
    count = sum(
        array.size
        for name, array in trained(examples(), schedule)[0].items()
        if "running" not in name and "num_batches" not in name
    )
    assert brought[0][0].numel() == count


def test_a_spent_budget_ends_the_training_and_the_rate_falls_with_it():
    ticks = itertools.count()
    states = []
    hooks = TrainingHooks(lambda: float(next(ticks)), lambda: next(ticks) / 40, save=states.append)
    _, state = trained(
        examples(),
        TrainingSchedule(steps=10_000, patch=16, batch=1, rate=4e-2, epoch_steps=50),
        hooks=hooks,
    )
    assert 5 < state.step < 50
    assert len(states) == len(state.rows)
    assert all(row["seconds"] > 0 for row in state.rows)
    assert state.rows[-1]["learning_rate"] < 0.1 * 4e-2


def test_pixels_of_weight_zero_teach_nothing():
    image, mask = hu_image((30, 34))
    weight = np.ones(mask.shape, np.float32)
    weight[20:] = 0
    lied = mask.copy()
    lied[24:] ^= True  # beyond the border of what counts, which decides where patches lie
    first = trained([example_of(image, mask, weight)])[0]
    assert same(first, trained([example_of(image, lied, weight)])[0])


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


def test_examples_without_a_pixel_that_counts_are_refused():
    image, mask = hu_image()
    with pytest.raises(ShapeError, match="nothing to learn from"):
        trained([example_of(image, mask, np.zeros(mask.shape, np.float32))])
