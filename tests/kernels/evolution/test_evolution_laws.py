"""Laws that hold for any lesions: many parts that touch, merge, fall apart, vanish and come back by chance."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from somray.domain.geometry import Geometry
from somray.kernels.evolution.follow import ChangeThresholds, follow
from somray.kernels.lesions.instances import lesions
from tests.kernels.whole_lesions import session_lesions

GRID = Geometry.from_spacing((12, 40, 40), (2.0, 1.0, 1.1))
LIMITS = ChangeThresholds(change_floor_mm3=20.0, reach_mm=4.0, min_volume_mm3=11.0)
SEEDS = range(8)


def by_chance(seed, count=4):
    """Sessions whose lesions come from a field that changes slowly, so that all kinds of change occur."""
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=GRID.shape), (1, 2, 2)) for _ in range(2)]
    found = []
    for number in range(count):
        angle = 0.45 * number
        field = np.cos(angle) * fields[0] + np.sin(angle) * fields[1]
        labels = lesions(field > 1.4 * field.std(), GRID.spacing_mm)
        found.append(session_lesions(f"t{number}", GRID, labels))
    return found


def followed(sessions, transforms=None, limits=LIMITS):
    return follow(sessions, transforms or [np.eye(4)] * len(sessions), limits)


def volumes(session, identities):
    """Volume of each identity of a session."""
    counts = np.bincount(session.voxels.labels.ravel())
    return {i: counts[n] * session.geometry.voxel_mm3 for n, i in identities.items()}


def test_chance_makes_every_kind_of_change():
    kinds = Counter(c.change for seed in SEEDS for c in followed(by_chance(seed)).changes)
    assert set(kinds) == {"new", "resolved", "enlarging", "shrinking", "stable", "merged", "split"}
    assert min(kinds.values()) >= 5


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_lesion_of_either_session_has_one_row_per_pair(seed, refused):
    sessions = by_chance(seed)
    frames = [np.eye(4), np.eye(4), None if refused else np.eye(4), np.eye(4)]
    found = followed(sessions, frames)
    for number in range(1, len(sessions)):
        ids = [set(found.identities[n].values()) for n in (number - 1, number)]
        rows = [c.lesion_id for c in found.changes if c.to_session == f"t{number}"]
        assert Counter(rows) == Counter(ids[0] | ids[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_identities_are_unique_within_a_session_and_start_at_one_without_gaps(seed):
    found = followed(by_chance(seed))
    for ids in found.identities:
        assert len(set(ids.values())) == len(ids)
    every = {i for ids in found.identities for i in ids.values()}
    assert every == set(range(1, len(every) + 1))


@pytest.mark.parametrize("seed", SEEDS)
def test_volumes_of_changes_are_those_of_the_lesions(seed):
    sessions = by_chance(seed)
    found = followed(sessions)
    known = {s.session: volumes(s, ids) for s, ids in zip(sessions, found.identities, strict=True)}
    for row in found.changes:
        assert row.volume_from_mm3 == pytest.approx(known[row.from_session].get(row.lesion_id))
        assert row.volume_to_mm3 == pytest.approx(known[row.to_session].get(row.lesion_id))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_links_are_the_graph_that_the_changes_tell_of(seed):
    found = followed(by_chance(seed))
    near = {(k.from_session, k.to_session) for k in found.links if k.from_session[1] != "t"}
    assert near
    for row in found.changes:
        ends = [k for k in found.links if (k.from_session, k.to_session) ==
                (row.from_session, row.to_session)]  # fmt: skip
        mine = [k for k in ends if row.lesion_id in (k.from_id, k.to_id)]
        if row.change in ("new", "resolved"):
            side = "to_id" if row.change == "new" else "from_id"
            assert all(getattr(k, side) != row.lesion_id for k in mine)
        else:
            assert mine
        for other in row.linked_ids:
            assert any({k.from_id, k.to_id} >= {row.lesion_id, other} for k in mine) or any(
                other in (k.from_id, k.to_id) for k in ends
            )


@pytest.mark.parametrize("seed", SEEDS)
def test_numbering_the_instances_otherwise_renames_and_nothing_else(seed):
    sessions = by_chance(seed)
    rng = np.random.default_rng(100 + seed)
    shuffled = []
    for s in sessions:
        labels = s.voxels.labels
        order = np.append(0, 1 + rng.permutation(int(labels.max())))
        shuffled.append(session_lesions(s.session, GRID, order[labels]))
    straight, turned = followed(sessions), followed(shuffled)
    names = {}
    for one, other, a, b in zip(
        sessions, shuffled, straight.identities, turned.identities, strict=True
    ):
        both = np.stack([one.voxels.labels, other.voxels.labels], axis=-1)
        for first, second in np.unique(both[both[..., 0] > 0], axis=0).tolist():
            assert (first in a) == (second in b)
            if first in a:
                assert names.setdefault(a[first], b[second]) == b[second]
    assert len(set(names.values())) == len(names)

    def told(changes, name):
        return sorted(
            (c.to_session, name[c.lesion_id], c.change, sorted(name[i] for i in c.linked_ids))
            for c in changes
        )

    same = {i: i for i in names.values()}
    assert told(straight.changes, names) == told(turned.changes, same)


MIRRORED = {"new": "resolved", "resolved": "new", "merged": "split", "split": "merged"}


@pytest.mark.parametrize("seed", SEEDS)
def test_time_run_backwards_swaps_coming_with_going_and_merging_with_parting(seed):
    before, after = by_chance(seed, 2)
    there, back = followed([before, after]), followed([after, before])
    one = [(k.shared_mm3, k.distance_mm, k.carried) for k in there.links]
    other = [(k.shared_mm3, k.distance_mm, k.carried) for k in back.links]
    assert np.sort(one, axis=0) == pytest.approx(np.sort(other, axis=0))

    def jumps(changes, swap):
        both = {c.lesion_id for c in changes if c.volume_from_mm3 and c.volume_to_mm3}
        return Counter(
            (swap.get(c.change, c.change), round(c.volume_from_mm3 or c.volume_to_mm3, 6))
            for c in changes
            if c.lesion_id not in both
        )

    assert jumps(there.changes, {}) == jumps(back.changes, MIRRORED)


@pytest.mark.parametrize("seed", SEEDS)
def test_sessions_that_lie_elsewhere_are_followed_alike_once_they_are_registered(seed):
    sessions = by_chance(seed)
    rng = np.random.default_rng(seed)
    moved, frames = [sessions[0]], [np.eye(4)]
    for s in sessions[1:]:
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-20, 20, 3), degrees=True).as_matrix()
        pose[:3, 3] = rng.uniform(-30, 30, 3)
        away = Geometry.from_matrix(GRID.shape, np.linalg.inv(pose) @ GRID.matrix)
        moved.append(replace(s, geometry=away))
        frames.append(pose)
    still, placed = followed(sessions), followed(moved, frames)
    assert still.identities == placed.identities
    assert [(c.lesion_id, c.change, c.linked_ids) for c in still.changes] == [
        (c.lesion_id, c.change, c.linked_ids) for c in placed.changes
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_study_that_goes_on_keeps_what_was_told_before(seed):
    sessions = by_chance(seed)
    limits = replace(LIMITS, min_volume_mm3=0.0)
    whole, early = followed(sessions, limits=limits), followed(sessions[:-1], limits=limits)
    assert whole.identities[:-1] == early.identities
    assert whole.changes[: len(early.changes)] == early.changes
