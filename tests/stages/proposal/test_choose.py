"""Choosing by ranks: small cases worked out by hand, and laws."""

import numpy as np
import pytest

from somray.stages.proposal.choose import LabelCandidate, pick, rank_shares, rare_shares, scores


def test_ranks_go_from_0_to_1_and_equal_values_share_theirs():
    np.testing.assert_array_equal(rank_shares([30.0, 10.0, 20.0]), [1, 0, 0.5])
    np.testing.assert_array_equal(
        rank_shares([5.0, 7.0, 7.0, 9.0, 1.0]), [0.25, 0.625, 0.625, 1, 0]
    )
    np.testing.assert_array_equal(rank_shares([2.0, None, 1.0]), [1, np.nan, 0])


def test_a_figure_that_is_the_same_everywhere_says_nothing():
    assert np.isnan(rank_shares([3.0, 3.0, 3.0])).all()
    assert np.isnan(rank_shares([3.0])).all()
    assert np.isnan(rank_shares([None, None])).all()
    both = {"says": [1.0, 2.0], "silent": [4.0, 4.0]}
    np.testing.assert_array_equal(scores(both), [0, 1])
    np.testing.assert_array_equal(scores({"silent": [4.0, 4.0]}), [0.5, 0.5])


@pytest.mark.parametrize("seed", range(3))
def test_ranks_do_not_depend_on_units_or_order(seed):
    values = np.random.default_rng(seed).normal(size=9).round(1)
    ranks = rank_shares(values.tolist())
    np.testing.assert_array_equal(rank_shares(np.exp(3 * values).tolist()), ranks)
    order = np.random.default_rng(seed).permutation(9)
    np.testing.assert_array_equal(rank_shares(values[order].tolist()), ranks[order])


def test_rare_nodes_are_the_least_frequent_up_to_a_twentieth():
    hits = np.array([[970, 30, 0, 0], [960, 0, 40, 0], [900, 0, 0, 100]])
    # Shares of the cohort: 0.943, 0.01, 0.0133, 0.0333; the three rare ones exceed a twentieth, two do not.
    np.testing.assert_allclose(rare_shares(hits), [0.03, 0.04, 0.0])
    np.testing.assert_allclose(rare_shares(10 * hits), rare_shares(hits))
    large = hits * [[1], [1], [1000]]
    np.testing.assert_allclose(rare_shares(large), rare_shares(hits))  # a large scan is no norm
    assert np.isnan(rare_shares(np.zeros((2, 4), dtype=np.int64))).all()
    assert np.isnan(rare_shares(np.zeros((2, 0), dtype=np.int64))).all()


def test_slices_are_measured_by_what_is_rare_among_scans():
    norm = np.array([[990, 10], [1000, 0]])
    np.testing.assert_allclose(
        rare_shares(np.array([[5, 5], [10, 0], [0, 0]]), norm), [0.5, 0, np.nan]
    )


def test_every_subject_has_its_turn_before_one_comes_again():
    scans = [LabelCandidate(s, f"t{t}") for s in "abc" for t in range(3)]
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert pick(scans, score, 5) == [0, 3, 6, 1, 4]
    assert pick(scans, score, 3, had={"a": 1}) == [3, 6, 0]
    assert sorted(pick(scans, score, 99)) == list(range(9))


def test_slices_of_one_scan_keep_apart_while_there_are_others():
    slices = [LabelCandidate("a", "t0", 5.0 * z) for z in range(10)]
    score = np.linspace(1, 0, 10)
    assert pick(slices, score, 3, gap_mm=20.0) == [0, 4, 8]
    assert pick(slices, score, 4, gap_mm=20.0) == [0, 4, 8, 1]
    other = [*slices, LabelCandidate("a", "t1", 0.0)]
    assert pick(other, np.append(score, 0.95), 2, gap_mm=20.0) == [0, 10]


def test_of_equal_scores_the_earlier_is_taken():
    scans = [LabelCandidate(s, "t0") for s in "abcd"]
    assert pick(scans, np.full(4, 0.5), 2) == [0, 1]
