"""A training goes on from any epoch as if nothing had happened, also from bytes."""

import numpy as np
import pytest

from somray.errors import StoreError
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import new_unet, unet_weights
from somray.kernels.student.rounds.spec import RoundState
from somray.kernels.student.rounds.state import state_from_bytes, state_to_bytes
from somray.kernels.student.training.fit_state import FitState
from somray.kernels.student.training.loop import train_network
from somray.kernels.student.training.schedule import TrainingHooks, TrainingSchedule
from tests.student_fixtures import example_of, hu_image, small_shape

SCHEDULE = TrainingSchedule(steps=7, patch=24, batch=3, rate=4e-2, epoch_steps=2)


def trained(dimensions, hooks):
    shape = (30, 34) if dimensions == 2 else (10, 12, 14)
    module = new_unet(small_shape(dimensions), 0)
    with deterministic(1):
        state = train_network(module, [example_of(*hu_image(shape))], SCHEDULE, (0, 1), hooks=hooks)
    return unet_weights(module), state


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
        assert array.dtype == second[name].dtype


@pytest.fixture(scope="module", params=[2, 3])
def undisturbed(request):
    states = []
    weights, last = trained(request.param, TrainingHooks(save=states.append))
    return request.param, weights, last, states


@pytest.mark.parametrize("number", range(4))
def test_a_training_resumed_after_any_epoch_ends_with_the_same_bits(undisturbed, number):
    dimensions, weights, last, states = undisturbed
    assert len(states) == 4
    stored = state_from_bytes(state_to_bytes(RoundState(0, 0, {}, {}, fits=(states[number],))))
    later = []
    found, end = trained(dimensions, TrainingHooks(resume=stored.fits[0], save=later.append))
    assert_same(found, weights)
    assert end.rows == last.rows
    assert len(later) == 3 - number  # nothing is trained twice
    for one, other in zip(later, states[number + 1 :], strict=True):
        for part in ("weights", "averaged", "first", "second"):
            assert_same(getattr(one, part), getattr(other, part))


def test_states_handed_out_are_not_changed_by_what_comes_after(undisturbed):
    dimensions, _, _, states = undisturbed
    kept = []
    trained(
        dimensions,
        TrainingHooks(
            save=lambda state: kept.append(state_to_bytes(RoundState(0, 0, {}, {}, fits=(state,))))
        ),
    )
    for data, state in zip(kept, states, strict=True):
        assert_same(state_from_bytes(data).fits[0].weights, state.weights)
        assert_same(state_from_bytes(data).fits[0].averaged, state.averaged)


def test_a_stored_state_is_read_as_it_was_written():
    weights = {
        "a.b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "c": np.float32(2) * np.ones(()),
        "down.0.0.1.num_batches_tracked": np.array(7),
    }
    rows = [{"round": 1, "dice": 0.1 + 0.2, "iou": None, "converged": False}]
    fit = FitState(weights, averaged=weights, epoch=3, step=7, done=True, rows=tuple(rows))
    calibration = {"temperature": 1 / 3, "pixels": 5, "error_before": None, "error_after": 0.1}
    state = RoundState(
        2, 1, weights, {}, rows, rows, rows, (2,), True, calibration, (fit, FitState(weights))
    )
    found = state_from_bytes(state_to_bytes(state))
    assert (found.done, found.kept, found.collapsed, found.cohort) == (2, 1, (2,), True)
    assert found.agreement == found.convergence == found.training == rows
    assert found.calibration == calibration
    assert_same(found.student, weights)
    assert found.control == {}
    assert len(found.fits) == 2
    again = found.fits[0]
    assert (again.epoch, again.step, again.done, again.rows) == (3, 7, True, fit.rows)
    assert_same(again.averaged, weights)
    assert again.first == {}


def test_bytes_that_are_no_state_are_refused_with_a_way_out():
    whole = state_to_bytes(RoundState(0, 0, {"a": np.zeros(3)}, {}))
    for broken in (b"", b"PK\x03\x04", whole[: len(whole) // 2]):
        with pytest.raises(StoreError, match="remove it to train from the start"):
            state_from_bytes(broken)
