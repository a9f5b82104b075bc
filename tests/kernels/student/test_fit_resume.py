"""A training goes on from any epoch as if nothing had happened, and ends where it stops to gain."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from somray.errors import StoreError
from somray.kernels.student import fit as fit_module
from somray.kernels.student.course import Gang, Pace, Plan
from somray.kernels.student.fit import deterministic, fit_student
from somray.kernels.student.fit_state import FitState
from somray.kernels.student.held_out import held_out_blocks
from somray.kernels.student.spec import RoundState
from somray.kernels.student.start import start_from
from somray.kernels.student.state import state_from_bytes, state_to_bytes
from somray.kernels.student.unet import new_unet, unet_weights
from tests.student_fixtures import NETWORK, examples_of, hu_slice

PLAN = Plan(steps=7, pixel_steps=6, patch=40, batch=3, pixels=64, epoch_steps=2, patience=9)


def _examples(wrong=0.0):
    """A slice of which a share of the pixels is labelled wrongly."""
    image, mask = hu_slice((64, 56))
    return examples_of([image], [mask ^ (np.random.default_rng(1).random(mask.shape) < wrong)])


def _fit(examples, plan, pace, gang=None):
    module = new_unet(NETWORK, 0)
    known = np.ones(examples.target[0].shape, dtype=bool)
    start_from(module, examples.stacks[0], np.where(examples.target[0], 0, 1), known, 0)
    with deterministic(1):
        state = fit_student(module, examples, plan, (0, 1), gang or Gang(), pace)
    return unet_weights(module), state


def _assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


@pytest.fixture(scope="module")
def undisturbed():
    states = []
    weights, last = _fit(_examples(), PLAN, Pace(save=states.append))
    return weights, last, states


def test_every_epoch_hands_out_a_state(undisturbed):
    _, last, states = undisturbed
    assert [state.part for state in states] == [1, 1, 1, 1, 2]
    assert [len(state.rows) for state in states] == [1, 2, 3, 4, 5]
    assert [row["epoch"] for row in last.rows] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("number", range(5))
def test_a_training_resumed_after_any_epoch_ends_with_the_same_bits(undisturbed, number):
    weights, last, states = undisturbed
    stored = state_from_bytes(state_to_bytes(RoundState(0, 0, {}, {}, fits=(states[number],))))
    later = []
    found, end = _fit(_examples(), PLAN, Pace(resume=stored.fits[0], save=later.append))
    _assert_same(found, weights)
    assert end.rows == last.rows
    assert len(later) == len(states) - 1 - number  # nothing was trained twice


def test_held_out_pixels_teach_nothing():
    changed = _examples()
    first = _fit(_examples(), PLAN, Pace())[1]
    blocks = held_out_blocks(changed.target[0], changed.weight[0] > 0, 0)
    shrunk = changed.weight[0].copy()
    for block in blocks:
        shrunk[block] = 0
    bare = replace(changed, weight=[shrunk])
    plan = Plan(**{**vars(PLAN), "patience": 0})
    weights = _fit(bare, plan, Pace())[1].rows
    assert [row["loss"] for row in weights] == [row["loss"] for row in first.rows]
    assert all(row["held_out_loss"] is None for row in weights)
    assert first.rows[-1]["held_out_loss"] > 0


def test_a_training_ends_when_the_held_out_pixels_stop_to_gain(monkeypatch):
    monkeypatch.setattr(fit_module, "GAIN", 0.0)  # then the last epochs before the end are worse
    plan = Plan(steps=200, pixel_steps=4, patch=40, batch=1, pixels=64, epoch_steps=1, patience=3)
    states = []
    weights, last = _fit(_examples(wrong=0.3), plan, Pace(save=states.append))
    losses = [row["held_out_loss"] for row in last.rows[1:]]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + plan.patience < plan.steps
    kept = states[best + 1].averaged  # the first state is the prototypes'
    _assert_same({name: weights[name] for name in kept}, kept)


def test_workers_share_the_figure_that_decides():
    asked = []

    def average(flat):
        if flat.numel() == 1:
            asked.append(float(flat))
            return flat * 0 + 1 / len(asked)
        return flat.clone()

    _, last = _fit(_examples(), PLAN, Pace(), Gang(average=average))
    told = [row["held_out_loss"] for row in last.rows[1:]]
    assert told == pytest.approx([1 / n for n in range(1, 5)])


def test_a_stored_state_is_read_as_it_was_written():
    weights = {
        "a.b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "c": np.float32(2) * np.ones(()),
    }
    rows = [{"round": 1, "dice": 0.1 + 0.2, "iou": None, "converged": False}]
    fit = FitState(weights, best=weights, part=1, epoch=3, step=7, best_loss=0.1, rows=tuple(rows))
    state = RoundState(2, 1, weights, {}, rows, rows, rows, (2,), fits=(fit, FitState(weights)))
    found = state_from_bytes(state_to_bytes(state))
    assert (found.done, found.kept, found.collapsed) == (2, 1, (2,))
    assert found.agreement == found.convergence == found.training == rows
    _assert_same(found.student, weights)
    assert found.control == {}
    assert len(found.fits) == 2
    again = found.fits[0]
    assert (again.part, again.epoch, again.step, again.best_loss) == (1, 3, 7, 0.1)
    assert again.rows == fit.rows
    _assert_same(again.best, weights)
    assert again.first == {}


def test_bytes_that_are_no_state_are_refused_with_a_way_out():
    whole = state_to_bytes(RoundState(0, 0, {"a": np.zeros(3)}, {}))
    for broken in (b"", b"PK\x03\x04", whole[: len(whole) // 2]):
        with pytest.raises(StoreError, match="remove it to train from the start"):
            state_from_bytes(broken)


def test_a_spent_budget_hands_out_states_too():
    ticks = itertools.count()
    states = []
    pace = Pace(spent=lambda: next(ticks) / 60, save=states.append)
    plan = Plan(steps=9999, pixel_steps=9999, patch=34, batch=1, pixels=8, epoch_steps=1000)
    _, last = _fit(_examples(), plan, pace)
    assert last.part == 2
    assert len(states) == len(last.rows) >= 5
