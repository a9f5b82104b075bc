"""The guards: each is provoked, and none of them asks the teacher about a slice it did not label."""

from dataclasses import replace

import numpy as np
import pytest

import somray.kernels.student.rounds.run as module
import somray.kernels.student.rounds.teaching as teaching
from somray.kernels.student.rounds.collapse import (
    LEAST_TAUGHT,
    why_agreement_says_little,
    why_cohort_collapsed,
    why_collapsed,
)
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.run import train_rounds
from somray.kernels.student.rounds.spec import Distributed
from tests.kernels.student.round_cases import SPEC, cohort, same
from tests.student_fixtures import lessons_of

LONG = replace(SPEC, steps=25)
PIXELS = [1000] * 4


def _lessons(count=3):
    """A bright block, on B and C a little brighter all over, so that lies about them can be learned."""
    images = np.random.default_rng(0).normal(0, 8, (count, 1, 24, 28)).astype(np.float32)
    images[:, :, 4:16, 6:20] += 120
    masks = images[:, 0] > 60
    images[1:] += 30
    return lessons_of(images, masks, np.ones(masks.shape, dtype=bool))


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
        patch.setattr(teaching, "pseudo_labels", labels)
        return train_rounds(lessons, LONG, Distributed(save=states.append)), states


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
    assert same(result.model, done[0].student)


def test_the_teachers_masks_of_other_slices_do_not_decide_a_collapse(run_away):
    first, *others = _lessons()
    lied = [first, *(replace(lesson, target=1 - lesson.target) for lesson in others)]
    found, _ = _trained(_everything, lied)
    assert [row["collapse"] for row in found.convergence] == [
        row["collapse"] for row in run_away[0].convergence
    ]


def _spoil(monkeypatch, number, what="why_collapsed"):
    """Let one round's guard speak."""
    monkeypatch.setattr(module, "why_cohort_collapsed", lambda *_: None)
    if what == "why_collapsed":
        monkeypatch.setattr(
            module, what, lambda rows, *_: "on purpose" if rows[0]["round"] == number else None
        )
    else:
        monkeypatch.setattr(module, "why_collapsed", lambda *_: None)
        monkeypatch.setattr(module, what, lambda *_: "on purpose")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_cohort_goes_on_from_the_last_student_that_was_believed(monkeypatch, number):
    _spoil(monkeypatch, number)
    states = []
    result = train_rounds([*_lessons(), *cohort()], SPEC, Distributed(save=states.append))
    stages = ["A", "A+B", "A+B+C"][:number]
    assert [row["stage"] for row in result.convergence] == [*stages, "cohort"]
    assert [row["collapse"] for row in result.convergence] == [
        *[None] * (number - 1),
        "on purpose",
        None,
    ]
    history = result.model.history
    assert (history["kept_round"], history["rounds_done"]) == (number + 1, number + 1)
    assert history["collapsed"]
    assert f"collapsed in round {number} (on purpose)" in history["note"]
    between = [state for state in states if not state.fits]
    kept = between[number - 2].student if number > 1 else between[0].student
    assert same(between[number - 1].student, kept)
    assert not same(result.model, kept)


def test_a_cohorts_round_that_collapses_leaves_the_student_of_the_slices(monkeypatch):
    _spoil(monkeypatch, 0, "why_cohort_collapsed")
    result = train_rounds([*_lessons(), *cohort()], SPEC)
    assert [row["collapse"] for row in result.convergence] == [None, None, None, "on purpose"]
    history = result.model.history
    assert (history["kept_round"], history["rounds_done"], history["collapsed"]) == (3, 4, True)
    assert "the cohort's round collapsed and was dropped" in history["verdict"]
    assert "collapsed in round 4 (on purpose): the student before it was kept" in history["note"]
    alone = train_rounds(_lessons(), SPEC)
    assert same(result.model, alone.model)
    assert result.model.temperature == alone.model.temperature


def _taught(share):
    """A lesson of the cohort and probabilities whose Dice with it is `share`."""
    target = np.zeros((10, 20), dtype=np.float32)
    target[:, :10] = 1
    lesson = Lesson(np.zeros((1, 10, 20), np.float32), target, np.ones_like(target), cohort=True)
    chance = np.zeros_like(target)
    chance.ravel()[np.flatnonzero(target)[: round(100 * share)]] = 0.9
    chance.ravel()[np.flatnonzero(target == 0)[: round(100 * (1 - share))]] = 0.9
    return chance, lesson


def test_a_student_that_no_longer_shows_what_it_was_taught_is_not_believed():
    good, poor = _taught(LEAST_TAUGHT + 0.02), _taught(LEAST_TAUGHT - 0.02)
    assert why_cohort_collapsed([good[0]], [good[1]]) is None
    assert "Dice with what taught it is 0.28" in why_cohort_collapsed([poor[0]], [poor[1]])
    empty = np.zeros_like(good[0])
    assert "is 0.00" in why_cohort_collapsed([empty, empty], [good[1], poor[1]])
    whole = good[1].target
    assert why_cohort_collapsed([whole, empty], [good[1], poor[1]]) is None  # over all together


def test_agreement_is_doubted_where_the_student_shows_what_taught_it_and_nothing_of_the_map():
    doubt = why_agreement_says_little(0.0, 0.81)
    assert "Dice 0.81" in doubt
    assert "agreement with the SOM says nothing of it" in doubt
    for mean_iou, dice in ((None, 0.9), (0.7, 0.9), (0.0, 0.1)):
        assert why_agreement_says_little(mean_iou, dice) is None


def test_pixels_that_do_not_count_do_not_decide():
    chance, lesson = _taught(1.0)
    lesson = replace(lesson, weight=(lesson.target > 0).astype(np.float32))
    assert why_cohort_collapsed([np.ones_like(chance)], [lesson]) is None
