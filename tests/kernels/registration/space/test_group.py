import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.kernels.registration.space.group import (
    GroupPair,
    align_group,
    bridging_pairs,
    first_pairs,
)
from somray.kernels.registration.space.motions import apart_mm, corners_of, is_rigid
from tests.kernels.registration.known_motion import rigid

GRID = Geometry.from_spacing((30, 60, 60), (3.0, 2.0, 2.0))
CORNERS = corners_of(GRID)
TOLERANCE = 6.0


def poses(sessions, seed=0):
    """Each session's motion from the first: session 0 to session k."""
    rng = np.random.default_rng(seed)
    drawn = [rigid(GRID, rng.uniform(-6, 6, 3), rng.uniform(-20, 20, 3)) for _ in range(sessions)]
    return [np.eye(4), *drawn[1:]]


def pair(moves, key, jitter_mm=0.0, seed=0, status="ok"):
    """What a registration of `key` says: moving to fixed, off by a jitter."""
    a, b = key
    rng = np.random.default_rng([seed, a, b])
    off = rigid(GRID, rng.normal(0, jitter_mm / 3, 3), rng.normal(0, jitter_mm, 3))
    return GroupPair(moves[a] @ np.linalg.inv(moves[b]) @ off, status)


def said(moves, keys, **facts):
    return {key: pair(moves, key, **facts) for key in keys}


def points(moves):
    """The corners as each session sees them; the sessions need share no coordinates."""
    return [CORNERS @ m[:3, :3].T + m[:3, 3] for m in moves]


def error_mm(member, moves, k):
    return apart_mm(member.to_first @ moves[k], np.eye(4), CORNERS)


def test_a_group_begins_with_the_chain_and_with_pairs_to_the_first():
    assert first_pairs(4) == [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3)]
    assert first_pairs(2) == [(0, 1)]
    assert first_pairs(1) == []


def test_exact_pairs_give_the_exact_group():
    moves = poses(5)
    found = align_group(5, said(moves, first_pairs(5)), points(moves), TOLERANCE)
    for k, member in enumerate(found):
        assert (member.status, member.reason) == ("ok", None)
        assert error_mm(member, moves, k) < 1e-6
    assert found[4].cycle_error_mm == pytest.approx(0, abs=1e-6)
    assert found[4].drift_mm == pytest.approx(0, abs=1e-6)


def test_one_session_alone_is_its_own_group():
    (only,) = align_group(1, {}, [CORNERS], TOLERANCE)
    assert (only.status, only.cycle_error_mm, only.drift_mm) == ("ok", None, None)
    assert np.array_equal(only.to_first, np.eye(4))


def test_two_sessions_keep_what_their_one_pair_says():
    moves = poses(2)
    for status in ("ok", "weak"):
        pairs = said(moves, [(0, 1)], status=status)
        member = align_group(2, pairs, points(moves), TOLERANCE)[1]
        assert (member.status, member.cycle_error_mm) == (status, None)
        assert np.allclose(member.to_first, pairs[(0, 1)].matrix)


def test_loops_lower_the_error_of_the_chain():
    chained, grouped = [], []
    for seed in range(20):
        moves = poses(6, seed)
        pairs = said(moves, first_pairs(6), jitter_mm=0.5, seed=seed)
        found = align_group(6, pairs, points(moves), TOLERANCE)
        assert all(is_rigid(m.to_first) for m in found)
        grouped += [error_mm(m, moves, k) for k, m in enumerate(found)][2:]
        chain = np.eye(4)
        for k in range(1, 6):
            chain = chain @ pairs[(k - 1, k)].matrix
            if k > 1:
                chained.append(apart_mm(chain @ moves[k], np.eye(4), CORNERS))
    assert np.mean(grouped) < 0.6 * np.mean(chained)


def test_a_broken_chain_is_bridged_by_the_pair_to_the_first():
    moves = poses(4)
    pairs = said(moves, first_pairs(4))
    pairs[(1, 2)] = GroupPair(None, "refused")
    found = align_group(4, pairs, points(moves), TOLERANCE)
    assert [m.status for m in found] == ["ok", "ok", "repaired", "ok"]
    assert "sessions 2 and 3 was refused" in found[2].reason
    assert all(error_mm(m, moves, k) < 1e-6 for k, m in enumerate(found))
    assert found[3].drift_mm is None
    assert found[2].cycle_error_mm is None


@pytest.mark.parametrize("wrong", [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3)])
def test_one_outlier_is_found_by_the_loops_it_spoils_and_repaired(wrong):
    moves = poses(4)
    pairs = said(moves, first_pairs(4))
    pairs[wrong] = GroupPair(rigid(GRID, (15, 0, 0), (40.0, 0, 0)), "ok")
    for key in bridging_pairs(4, pairs, points(moves), TOLERANCE):
        pairs[key] = pair(moves, key)
    found = align_group(4, pairs, points(moves), TOLERANCE)
    assert all(error_mm(m, moves, k) < 1e-6 for k, m in enumerate(found))
    states = {k: m.status for k, m in enumerate(found)}
    assert states.pop(wrong[1]) == "repaired"
    assert set(states.values()) == {"ok"}


def test_no_more_pairs_are_asked_for_where_all_loops_close():
    moves = poses(5)
    assert bridging_pairs(5, said(moves, first_pairs(5)), points(moves), TOLERANCE) == []
    assert bridging_pairs(2, said(moves, first_pairs(2)), points(moves), TOLERANCE) == []


def test_a_contradiction_that_nothing_decides_is_refused():
    moves = poses(3)
    pairs = said(moves, first_pairs(3))
    pairs[(0, 2)] = GroupPair(rigid(GRID, (0, 0, 0), (90.0, 0, 0)), "ok")
    assert bridging_pairs(3, pairs, points(moves), TOLERANCE) == []
    found = align_group(3, pairs, points(moves), TOLERANCE)
    assert [m.status for m in found] == ["ok", "refused", "refused"]
    assert all(m.to_first is None and "contradict" in m.reason for m in found[1:])


def test_a_small_contradiction_leaves_the_sessions_weak():
    moves = poses(3)
    pairs = said(moves, first_pairs(3))
    off = rigid(GRID, (0, 0, 0), (10.0, 0, 0))
    pairs[(0, 2)] = GroupPair(off @ pairs[(0, 2)].matrix, "ok")
    found = align_group(3, pairs, points(moves), TOLERANCE)
    assert [m.status for m in found] == ["ok", "weak", "weak"]
    assert found[2].cycle_error_mm == pytest.approx(10.0)
    assert found[2].drift_mm > 5


def test_a_session_that_nothing_leads_to_is_refused_alone():
    moves = poses(4)
    pairs = said(moves, first_pairs(4))
    for key in ((1, 2), (2, 3), (0, 2)):
        pairs[key] = GroupPair(None, "refused")
    found = align_group(4, pairs, points(moves), TOLERANCE)
    assert [m.status for m in found][:3] == ["ok", "ok", "refused"]
    assert found[2].to_first is None
    assert "no registered pair" in found[2].reason
    assert found[3].status == "repaired"
    assert error_mm(found[3], moves, 3) < 1e-6


def test_the_order_in_which_pairs_are_told_changes_no_bit():
    moves = poses(5)
    pairs = said(moves, first_pairs(5), jitter_mm=0.5)
    there = align_group(5, pairs, points(moves), TOLERANCE)
    back = align_group(5, dict(reversed(pairs.items())), points(moves), TOLERANCE)
    assert all(np.array_equal(a.to_first, b.to_first) for a, b in zip(there, back, strict=True))


def test_a_chain_that_the_pair_to_the_first_does_not_confirm_is_weak():
    moves = poses(3)
    pairs = said(moves, first_pairs(3))
    pairs[(0, 2)] = GroupPair(None, "refused")
    found = align_group(3, pairs, points(moves), TOLERANCE)
    assert [m.status for m in found] == ["ok", "ok", "weak"]
    assert "sessions 1 and 3 was refused" in found[2].reason
    assert error_mm(found[2], moves, 2) < 1e-6


def test_a_loop_of_other_pairs_confirms_a_session_whose_pair_to_the_first_was_refused():
    moves = poses(4)
    pairs = said(moves, first_pairs(4))
    pairs[(0, 3)] = GroupPair(None, "refused")
    asked = bridging_pairs(4, pairs, points(moves), TOLERANCE)
    assert asked == [(1, 3)]
    pairs |= said(moves, asked)
    found = align_group(4, pairs, points(moves), TOLERANCE)
    assert {m.status for m in found} == {"ok"}
