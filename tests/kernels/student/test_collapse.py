"""The guards: each is provoked, and none of them asks the teacher about a slice it did not label."""

from dataclasses import replace

import numpy as np
import pytest

import somray.kernels.student.rounds as module
from somray.kernels.student.collapse import why_collapsed
from somray.kernels.student.lesson import lessons_of
from somray.kernels.student.rounds import StudentSpec, train_rounds
from somray.kernels.student.spec import Distributed

SPEC = StudentSpec(
    channels=("CT",),
    windows=((-5.0, 8.0),),
    feature_names=("intensity",),
    steps=30,
    threads=1,
)
PIXELS = [1000] * 4


def _lessons(count=3):
    """A bright block, on B and C a little brighter all over, so that lies about them can be learned."""
    images = np.random.default_rng(0).normal(0, 0.3, (count, 1, 24, 28)).astype(np.float32)
    images[:, :, 4:16, 6:20] += 3
    images[1:] += 0.9
    return lessons_of(images, images[:, 0] > 2, np.ones(images[:, 0].shape, dtype=bool))


def _row(number, place, **changed):
    good = {"dice": 0.99, "target_fraction": 0.2, "confidence": 0.95}
    return {"round": number, "slice": place, **good, **changed}


def _history(rounds, **changed):
    """Rows of quiet rounds; `changed` maps (round, slice) to what differs there."""
    return [
        _row(number, place, **changed.get(f"r{number}s{place}", {}))
        for number in range(1, rounds + 1)
        for place in range(4)
    ]


def test_quiet_rounds_stand():
    assert why_collapsed(_history(1), [], PIXELS) is None
    assert why_collapsed([_row(2, n) for n in range(4)], _history(1), PIXELS) is None


def test_a_round_that_forgets_the_labelled_slice_collapses():
    why = why_collapsed([_row(2, 0, dice=0.93)], _history(1), PIXELS)
    assert why == "Dice on the labelled slice fell from 0.990 to 0.930"
    assert why_collapsed([_row(2, 0, dice=None)], _history(1), PIXELS) is not None
    slow = _history(2, r2s0={"dice": 0.95})
    assert why_collapsed([_row(3, 0, dice=0.93)], slow, PIXELS) is not None


@pytest.mark.parametrize(("share", "verb"), [(0.41, "grew"), (0.09, "shrank"), (0.0, "shrank")])
def test_a_target_that_runs_away_on_a_slice_trained_on_collapses(share, verb):
    why = why_collapsed([_row(2, 1, target_fraction=share)], _history(1), PIXELS)
    assert f"the target {verb} from 200 to {1000 * share:.0f} pixels on slice B" in why


def test_a_slow_drift_is_seen_against_the_round_that_labelled_the_slice():
    history = _history(3, r2s1={"target_fraction": 0.26}, r3s1={"target_fraction": 0.34})
    why = why_collapsed([_row(4, 1, target_fraction=0.43)], history, PIXELS)
    assert "against round 1" in why


def test_a_student_that_is_no_longer_sure_of_its_target_collapses():
    why = why_collapsed([_row(2, 1, confidence=0.75)], _history(1), PIXELS)
    assert "mean confidence in the target fell from 0.95 to 0.75 on slice B" in why
    assert why_collapsed([_row(2, 1, confidence=0.999)], _history(1), PIXELS) is None


def test_slices_not_trained_on_and_specks_may_change():
    held_out = [_row(2, 2, target_fraction=0.9, confidence=0.1)]
    assert why_collapsed(held_out, _history(1), PIXELS) is None
    speck = _history(1, r1s1={"target_fraction": 0.002})
    assert why_collapsed([_row(2, 1, target_fraction=0.015)], speck, PIXELS) is None
    gone = [_row(2, 1, target_fraction=0.0, confidence=None)]
    assert why_collapsed(gone, speck, PIXELS) is None


def _everything(chance, known):
    return np.ones(chance.shape, dtype=bool), known.astype(np.float32)


def _doubt(chance, known):
    drawn = np.random.default_rng(0).random(chance.shape) < 0.6
    return np.where(chance >= 0.5, drawn, False), known.astype(np.float32)


def _trained(labels, lessons):
    """Train on labels that are not what the student said; return the result and every state."""
    states = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "pseudo_labels", labels)
        return train_rounds(lessons, SPEC, Distributed(save=states.append)), states


@pytest.fixture(scope="module")
def run_away():
    return _trained(_everything, _lessons())


@pytest.fixture(scope="module")
def in_doubt():
    return _trained(_doubt, _lessons())


@pytest.mark.parametrize("name", ["run_away", "in_doubt"])
def test_a_training_on_spoiled_labels_stops_and_keeps_the_round_before(request, name):
    result, states = request.getfixturevalue(name)
    done = [state for state in states if not state.fits]
    assert [row["round"] for row in result.convergence] == [1, 2]
    last = result.convergence[-1]
    assert last["collapse"] is not None
    assert not last["converged"]
    history = result.model.history
    assert (history["kept_round"], history["rounds_done"], history["collapsed"]) == (1, 2, True)
    assert "collapsed in round 2" in history["note"]
    assert last["collapse"] in history["note"]
    assert "may not replace the SOM" in history["verdict"]
    kept = done[0].student
    assert all(np.array_equal(result.model.weights[key], kept[key]) for key in kept)


def test_the_teachers_masks_of_other_slices_do_not_decide_a_collapse(run_away):
    first, *others = _lessons()
    lied = [first, *(replace(lesson, teacher=~lesson.teacher) for lesson in others)]
    found, _ = _trained(_everything, lied)
    assert [row["collapse"] for row in found.convergence] == [
        row["collapse"] for row in run_away[0].convergence
    ]
