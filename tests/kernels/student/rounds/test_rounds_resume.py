"""Rounds go on from any epoch as if nothing had happened, also from bytes, slices and volumes alike."""

from dataclasses import replace
from functools import partial

import pytest

import somray.kernels.student.rounds.run as module
import somray.kernels.student.rounds.spec as spec_module
from somray.kernels.student.rounds.run import train_rounds
from somray.kernels.student.rounds.spec import Distributed
from somray.kernels.student.rounds.state import state_from_bytes, state_to_bytes
from tests.kernels.student.round_cases import SPEC, VOLUMES, cohort, lessons, planes, same, volume


@pytest.fixture(scope="module", autouse=True)
def short_epochs():
    """Two steps make an epoch, and no round collapses."""
    with pytest.MonkeyPatch.context() as patch:
        short = partial(spec_module.TrainingSchedule, epoch_steps=2)
        patch.setattr(spec_module, "TrainingSchedule", short)
        patch.setattr(module, "why_collapsed", lambda *_: None)
        patch.setattr(module, "why_cohort_collapsed", lambda *_: None)
        yield


def undisturbed(taught, spec):
    states = []
    return taught, spec, train_rounds(taught, spec, Distributed(save=states.append)), states


@pytest.fixture(scope="module")
def of_slices():
    return undisturbed([*lessons(2), *cohort()], replace(SPEC, rounds=2))


@pytest.fixture(scope="module")
def of_volumes():
    return undisturbed([*planes((5, 6)), volume()], replace(VOLUMES, rounds=2))


@pytest.mark.parametrize("trained", ["of_slices", "of_volumes"])
def test_a_state_is_handed_out_after_every_epoch_and_round(trained, request):
    _, _, _, states = request.getfixturevalue(trained)
    # Two epochs of round 1, of round 2, of its control, and of the cohort's; and every round's end.
    assert [state.done for state in states] == [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3]
    assert [len(state.fits) for state in states] == [1, 1, 0, 1, 1, 2, 2, 0, 1, 1, 0]
    assert [state.cohort for state in states] == [False] * 10 + [True]


@pytest.mark.parametrize("number", range(11))
def test_a_training_resumed_anywhere_ends_like_an_undisturbed_one(of_slices, number):
    assert_resumed(of_slices, number)


@pytest.mark.parametrize("number", [1, 4, 6, 9])
def test_a_training_on_volumes_is_resumed_within_each_of_its_trainings(of_volumes, number):
    assert_resumed(of_volumes, number)


def assert_resumed(trained, number):
    taught, spec, whole, states = trained
    stored, later = state_from_bytes(state_to_bytes(states[number])), []
    again = train_rounds(taught, spec, Distributed(resume=stored, save=later.append))
    assert len(later) == len(states) - 1 - number  # nothing is trained twice
    assert again.agreement == whole.agreement
    assert again.convergence == whole.convergence
    assert again.training == whole.training
    assert again.model.history == whole.model.history
    assert again.model.temperature == whole.model.temperature
    assert same(again.model, whole.model)
    for one, other in zip(later, states[number + 1 :], strict=True):
        assert same(one.student, other.student)
        assert same(one.control, other.control)
