"""Who is held out, what is trained on, and what a difference says: cases worked out by hand, and laws."""

import numpy as np
import pytest

from somray.stages.finetune.folds import FEWEST, paired, split_subjects, training_scans
from somray.stages.finetune.verdict import arm_to_keep, summary_of

SUBJECTS = ["d", "a", "c", "b", "a", "e", "d"]


@pytest.mark.parametrize("folds", [2, 3, 5, 99])
def test_every_subject_is_held_out_once(folds):
    parts = split_subjects(SUBJECTS, folds, seed=1)
    assert sorted(name for part in parts for name in part) == ["a", "b", "c", "d", "e"]
    assert len(parts) == min(folds, 5)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert parts == split_subjects(sorted(set(SUBJECTS)), folds, seed=1)


def test_one_subject_cannot_be_held_out():
    assert split_subjects(["a", "a"], 5, seed=0) == []


def test_nothing_of_who_is_held_out_is_trained_on():
    scans = [(subject, f"t{n}") for subject in "abc" for n in range(3)]
    assert training_scans(scans, ("b",), None, (0, 1)) == [0, 1, 2, 6, 7, 8]
    for seed in range(10):
        two = training_scans(scans, ("b",), 2, (seed, 1))
        assert {scans[n][0] for n in two} == {"a", "c"}  # of every subject one first
        four = training_scans(scans, ("b",), 4, (seed, 1))
        assert sorted(scans[n][0] for n in four) == ["a", "a", "c", "c"]
    assert len({tuple(training_scans(scans, (), 2, (seed, 0))) for seed in range(10)}) > 1


def test_sessions_of_a_subject_count_as_one():
    one = {("a", "t0"): 0.9, ("a", "t1"): 0.7, ("b", "t0"): 0.6, ("c", "t0"): None}
    other = {("a", "t0"): 0.5, ("a", "t1"): 0.5, ("b", "t0"): 0.5, ("c", "t0"): 0.4}
    found = paired(one, other)
    assert found.subjects == 2
    assert found.better == 2
    assert found.mean == pytest.approx((0.3 + 0.1) / 2)
    # Of two subjects a draw is one of them twice in a quarter of cases each.
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.3))
    assert paired(one, {}) is None


def test_a_difference_is_said_from_six_subjects_on_alone():
    def against_zero(values):
        one = {(str(n), "t0"): value for n, value in enumerate(values)}
        return paired(one, dict.fromkeys(one, 0.0))

    assert not against_zero([0.1] * (FEWEST - 1)).is_told_apart
    assert against_zero([0.1] * FEWEST).is_told_apart
    assert against_zero([-0.1] * FEWEST).is_told_apart
    assert not against_zero([0.1, -0.1] * FEWEST).is_told_apart


def test_the_interval_covers_the_mean_as_often_as_it_says():
    """Twenty subjects, 200 cohorts: 95 % within what chance allows, somewhat less for a percentile bootstrap."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        values = rng.normal(0.05, 0.1, 20)
        one = {(str(n), "t0"): float(v) for n, v in enumerate(values)}
        found = paired(one, dict.fromkeys(one, 0.0))
        hits += found.low <= 0.05 <= found.high
    assert 0.88 <= hits / 200 <= 0.98


def rows(**dice):
    return [
        {"arm": arm, "subject": str(n), "session": "t0", "dice": value}
        for arm, values in dice.items()
        for n, value in enumerate(values)
    ]


def test_the_arm_that_did_better_is_kept():
    better = summary_of(rows(pretrained=[0.8, 0.6], scratch=[0.5, 0.7], label_free=[0.9, None]), 0)
    assert arm_to_keep(("pretrained", "scratch"), better) == "pretrained"
    assert better.arms["label_free"].scans == 1
    assert better.differences["pretrained - scratch"].mean == pytest.approx(0.1)
    worse = summary_of(rows(pretrained=[0.5, 0.6], scratch=[0.8, 0.5]), 0)
    assert arm_to_keep(("pretrained", "scratch"), worse) == "scratch"
    assert arm_to_keep(("scratch",), summary_of([], 0)) == "scratch"
    assert arm_to_keep(("pretrained", "scratch"), summary_of([], 0)) == "pretrained"
