from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.evolution.follow import ChangeThresholds, SessionLesions, follow
from somray.kernels.lesions.instances import lesions
from somray.kernels.lesions.parts import PartLabeller
from tests.kernels.whole_lesions import WholeMap, facts_of, session_lesions

SHAPE, SPACING = (24, 64, 64), (2.0, 1.0, 1.0)
GRID = Geometry.from_spacing(SHAPE, SPACING)
HERE = np.eye(4)


def session(name, *balls, geometry=GRID, pose=HERE):
    """Draw balls ((x, y, z) mm of the common frame, radius mm) as a session in `pose` saw them.

    `pose` takes the session's LPS mm to the common frame.
    """
    z, y, x = np.indices(geometry.shape)
    world = geometry.to_world(np.stack([z, y, x], axis=-1).reshape(-1, 3).astype(float))
    world = world @ pose[:3, :3].T + pose[:3, 3]
    mask = np.zeros(len(world), dtype=bool)
    for centre, radius in balls:
        mask |= ((world - centre) ** 2).sum(axis=1) <= radius**2
    labels = lesions(mask.reshape(geometry.shape), geometry.spacing_mm)
    return session_lesions(name, geometry, labels)


def changes(*sessions, transforms=None, thresholds=None):
    found = follow(sessions, transforms or [HERE] * len(sessions), thresholds or ChangeThresholds())
    return {(c.lesion_id, c.to_session): c for c in found.changes}, found


A, B, C = (14.0, 14.0, 14.0), (44.0, 16.0, 24.0), (30.0, 46.0, 30.0)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [(5, 7, "enlarging"), (7, 5, "shrinking"), (6, 6, "stable"), (6, 6.3, "stable")],
)
def test_change_of_size_is_named(before, after, change):
    found, _ = changes(session("t0", (A, before)), session("t1", (A, after)))
    row = found[1, "t1"]
    assert row.change == change
    assert row.volume_change_fraction == pytest.approx(row.volume_to_mm3 / row.volume_from_mm3 - 1)
    assert row.displacement_mm == pytest.approx(0, abs=0.3)
    assert row.registered


def test_a_large_share_of_a_tiny_lesion_is_stable_below_the_floor():
    before, after = session("t0", (A, 1.5)), session("t1", (A, 2.1))
    found, _ = changes(before, after)
    assert found[1, "t1"].volume_change_fraction > 0.3
    assert found[1, "t1"].change == "stable"
    found, _ = changes(before, after, thresholds=ChangeThresholds(change_floor_mm3=1.0))
    assert found[1, "t1"].change == "enlarging"


def test_new_and_resolved_lesions_have_no_volume_where_they_are_not():
    found, _ = changes(session("t0", (A, 5)), session("t1", (B, 5)))
    gone, came = found[1, "t1"], found[2, "t1"]
    assert (gone.change, gone.volume_to_mm3, gone.volume_change_fraction) == (
        "resolved",
        None,
        None,
    )
    assert (came.change, came.volume_from_mm3, came.displacement_mm) == ("new", None, None)
    assert gone.linked_ids == came.linked_ids == ()


def test_in_a_merge_the_largest_contributor_lives_on():
    small, large = (20.0, 20.0, 20.0), (36.0, 20.0, 20.0)
    bridge = (28.0, 20.0, 20.0)
    found, all_ = changes(
        session("t0", (small, 4), (large, 6)), session("t1", (small, 4), (large, 6), (bridge, 5))
    )
    lived = max(all_.identities[0].values(), key=lambda i: found[i, "t1"].volume_from_mm3)
    absorbed = 3 - lived
    assert {c.change for c in found.values()} == {"merged"}
    assert found[lived, "t1"].linked_ids == (absorbed,)
    assert found[absorbed, "t1"].linked_ids == (lived,)
    assert found[absorbed, "t1"].volume_to_mm3 is None
    assert list(all_.identities[1].values()) == [lived]


def test_in_a_split_the_largest_part_keeps_the_identity():
    ends = ((20.0, 20.0, 20.0), 4), ((36.0, 20.0, 20.0), 6)
    found, _ = changes(session("t0", *ends, ((28.0, 20.0, 20.0), 5)), session("t1", *ends))
    parent, part = found[1, "t1"], found[2, "t1"]
    assert parent.change == part.change == "split"
    assert (parent.linked_ids, part.linked_ids) == ((2,), (1,))
    assert part.volume_from_mm3 is None
    assert parent.volume_to_mm3 > part.volume_to_mm3


def test_touching_neighbours_that_both_live_on_are_no_merge():
    two = ((20.0, 20.0, 20.0), 6), ((36.0, 20.0, 20.0), 6)
    moved = ((27.0, 20.0, 20.0), 6), ((43.0, 20.0, 20.0), 6)
    found, _ = changes(
        session("t0", *two), session("t1", *moved), thresholds=ChangeThresholds(min_overlap=0.01)
    )
    assert {c.change for c in found.values()} == {"stable"}


def test_a_small_lesion_is_found_again_by_distance():
    moved = (A[0] + 4.5, A[1], A[2])
    found, _ = changes(session("t0", (A, 1.5)), session("t1", (moved, 1.5)))
    assert found[1, "t1"].change == "stable"
    assert found[1, "t1"].displacement_mm == pytest.approx(4.5, abs=0.6)
    far = (A[0] + 9.0, A[1], A[2])
    found, _ = changes(session("t0", (A, 1.5)), session("t1", (far, 1.5)))
    assert found[1, "t1"].change == "resolved"


def test_a_merged_lesion_that_parts_again_takes_back_its_identity():
    two = ((20.0, 20.0, 20.0), 4), ((36.0, 20.0, 20.0), 6)
    bridge = ((28.0, 20.0, 20.0), 5)
    found, all_ = changes(
        session("t0", *two), session("t1", *two, bridge), session("t2", *two), session("t3", *two)
    )
    assert all_.identities[0] == all_.identities[2] == all_.identities[3]
    assert {found[i, "t2"].change for i in (1, 2)} == {"split"}
    assert {found[i, "t3"].change for i in (1, 2)} == {"stable"}


def test_a_lesion_that_comes_back_is_new_under_its_old_identity():
    found, all_ = changes(
        session("t0", (A, 5), (B, 4)), session("t1", (B, 4)), session("t2", (A, 4), (B, 4), (C, 3))
    )
    first = next(c.lesion_id for c in found.values() if c.change == "resolved")
    assert found[first, "t2"].change == "new"
    assert sorted(all_.identities[2].values()) == [1, 2, 3]


def test_a_chain_of_four_sessions_keeps_every_identity():
    found, all_ = changes(
        session("t0", (A, 4), (B, 6)),
        session("t1", (A, 5.5), (B, 5)),
        session("t2", (A, 7), (C, 4)),
        session("t3", (A, 7), (C, 4), (B, 3)),
    )
    a = all_.identities[0][1]
    assert [found[a, t].change for t in ("t1", "t2", "t3")] == ["enlarging", "enlarging", "stable"]
    b = 3 - a
    assert [found[b, t].change for t in ("t1", "t2", "t3")] == ["shrinking", "resolved", "new"]
    assert found[3, "t2"].change == "new"
    assert found[3, "t3"].change == "stable"


def test_sessions_in_other_poses_and_spacings_are_compared_in_the_common_frame():
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", [4, -3, 6], degrees=True).as_matrix()
    pose[:3, 3] = (3.0, -5.0, 6.0)
    other = Geometry.from_matrix((44, 70, 50), np.diag([-1.3, 0.9, 1.1, 1.0]) + np.eye(4, k=3) * 62)
    found, _ = changes(
        session("t0", (B, 6), (C, 5)),
        session("t1", (B, 6), (C, 7), geometry=other, pose=pose),
        transforms=[HERE, pose],
    )
    by_change = {c.change: c for c in found.values()}
    assert set(by_change) == {"stable", "enlarging"}
    assert all(c.displacement_mm < 0.5 for c in found.values())


def test_a_lesion_outside_the_other_scan_is_in_doubt_not_resolved_nor_new():
    low = Geometry.from_spacing((10, 64, 64), SPACING)
    high, foot = (30.0, 30.0, 38.0), (30.0, 30.0, 8.0)
    found, all_ = changes(
        session("t0", (foot, 4), (high, 5)), session("t1", (foot, 4), geometry=low),
        session("t2", (foot, 4), (high, 5)),
    )  # fmt: skip
    told = {key: (c.change, c.doubt) for key, c in found.items()}
    assert told == {
        (1, "t1"): ("stable", None), (2, "t1"): (None, "not_covered"),
        (1, "t2"): ("stable", None), (2, "t2"): (None, "not_covered"),
    }  # fmt: skip
    assert found[2, "t1"].volume_from_mm3 == found[2, "t2"].volume_to_mm3 > 0
    assert all_.identities[0] == all_.identities[2]


def test_refused_registration_marks_every_row_of_its_pairs():
    _, found = changes(
        session("t0", (A, 5)), session("t1", (A, 5), (B, 4)), session("t2", (A, 5)),
        transforms=[HERE, None, HERE],
    )  # fmt: skip
    told = {(c.to_session, c.change, c.doubt) for c in found.changes}
    assert told == {(t, None, "not_registered") for t in ("t1", "t2")}
    assert len(found.changes) == 4
    linked = [c for c in found.changes if c.lesion_id == 1]  # what it is stays known, by half of it
    assert [c.volume_change_fraction for c in linked] == [0.0, 0.0]
    assert not any(c.registered for c in found.changes)
    assert all(c.displacement_mm is None for c in found.changes)


def test_sessions_without_lesions_say_nothing():
    found, all_ = changes(session("t0"), session("t1"), session("t2", (A, 4)))
    assert [c.change for c in found.values()] == ["new"]
    assert all_.identities == ({}, {}, {1: 1})


def test_instances_of_one_session_in_another_order_change_nothing_but_numbers():
    before = session("t0", (A, 5), (B, 6), (C, 4))
    after = session("t1", (A, 6.5), (B, 6), (C, 4))
    labels = after.voxels.labels
    shuffled = session_lesions("t1", GRID, np.where(labels > 0, 4 - labels, 0))
    straight, turned = (follow([before, s], [HERE, HERE]) for s in (after, shuffled))
    assert straight.changes == turned.changes
    assert turned.identities[1] == {4 - n: i for n, i in straight.identities[1].items()}


def test_a_thousand_small_lesions_are_followed_quickly():
    rng = np.random.default_rng(1)
    grid = Geometry.from_spacing((60, 200, 200), (1.0, 1.0, 1.0))
    labels = lesions(rng.random(grid.shape) < 0.004, grid.spacing_mm)
    labeller = PartLabeller(grid.shape[1:])
    labeller.add(labels > 0, (0, 0, 0))
    _, facts = labeller.finish()
    both = [SessionLesions(n, grid, facts, WholeMap(labels)) for n in ("t0", "t1")]
    found = follow(both, [HERE, HERE])
    assert len(facts.numbers) > 5000
    assert {c.change for c in found.changes} == {"stable"}
    assert found.identities[0] == found.identities[1]


def test_voxels_that_make_no_sense_are_refused():
    labels = np.zeros((24, 64, 65), dtype=int)
    labels[0, 0, 64] = 1
    with pytest.raises(ShapeError, match="outside"):
        session_lesions("t0", GRID, labels)
    facts = facts_of(np.ones((1, 1, 1)))
    with pytest.raises(ShapeError, match="numbered from 1"):
        SessionLesions("t0", GRID, replace(facts, numbers=facts.numbers - 1), WholeMap(labels))


def test_wrong_arguments_are_refused():
    one = session("t0", (A, 4))
    with pytest.raises(ShapeError, match="transforms"):
        follow([one], [])
    with pytest.raises(ShapeError, match="differ"):
        follow([one, one], [HERE, HERE])
    with pytest.raises(ShapeError, match="determinant"):
        follow([one], [np.diag([-1.0, 1, 1, 1])])
    with pytest.raises(ShapeError, match="shares"):
        ChangeThresholds(min_overlap=0)
    with pytest.raises(ShapeError, match="change_fraction"):
        ChangeThresholds(change_fraction=0)
