"""One subject's lesions from stored masks to rows and labels."""

import numpy as np
import pytest

from somray.config import LesionConfig
from somray.domain.geometry import Geometry
from somray.domain.palette import lesion_rgba
from somray.io.ome.labels import label_look
from somray.io.storage import Storage
from somray.stages.evolution import evolve
from tests.slabs import read_label_slab
from tests.stages.stored import store, texture

SHAPE = (40, 64, 72)
GRID = Geometry.from_spacing(SHAPE, (2.0, 1.0, 1.0))
STILL = tuple(np.eye(4).ravel().tolist())
TEXTURE = texture(SHAPE[0], SHAPE[1:])


def balls(*parts, shape=SHAPE):
    """Draw balls ((z, y, x), radius in pixels) on the grid, half as deep in slices."""
    z, y, x = np.indices(shape)
    mask = np.zeros(shape, dtype=bool)
    for (a, b, c), radius in parts:
        mask |= ((2 * (z - a)) ** 2 + (y - b) ** 2 + (x - c) ** 2) <= radius**2
    return mask


def follow_stored(root, *sessions, config=None, channel=0):
    """Store (image, mask, geometry, to_first) as t0, t1 … and follow them."""
    items = []
    for number, (image, mask, geometry, to_first) in enumerate(sessions):
        labels = {"som": np.where(mask, 3, 1)}
        place = store(root, image, geometry, f"t{number}", labels)
        items.append(evolve.EvolveSession(place, to_first))
    item = evolve.EvolveItem(tuple(items), "som", 3, channel, config or LesionConfig())
    return evolve.run(item).rows


def told(rows):
    return {(r.lesion_id, r.to_session): (r.change, r.doubt) for r in rows["evolution"]}


A, B, C = ((20, 30, 30), 6), ((10, 40, 44), 5), ((31, 24, 40), 5)


def test_rows_and_labels_tell_the_same_lesions(tmp_path):
    both = [balls(A, B), balls(A, C)]
    rows = follow_stored(tmp_path, *((TEXTURE + 50 * m, m, GRID, STILL) for m in both))
    assert sorted(told(rows).values()) == [("new", None), ("resolved", None), ("stable", None)]
    for session, mask in zip(("t0", "t1"), both, strict=True):
        labels = read_label_slab(
            Storage.at(tmp_path), f"scans/sub-s_ses-{session}.ome.zarr", "lesions", 0, 0, SHAPE[0]
        )
        assert np.array_equal(labels > 0, mask)
        of_session = {r.lesion_id: r for r in rows["lesions"] if r.session == session}
        assert set(of_session) == set(np.unique(labels)) - {0}
        for lesion, row in of_session.items():
            values = (TEXTURE + 50 * mask)[labels == lesion]
            assert row.volume_mm3 == pytest.approx(values.size * 2.0)
            found = (row.mean_intensity, row.max_intensity, row.min_intensity, row.std_intensity)
            assert found == pytest.approx(
                (values.mean(), values.max(), values.min(), values.std()), rel=1e-5
            )
    (link,) = rows["links"]
    assert (link.from_id, link.to_id, link.by, link.carried) == (
        link.to_id,
        link.from_id,
        "overlap",
        True,
    )
    assert link.shared_fraction == pytest.approx(1.0)


def test_a_lesion_wears_one_colour_in_all_sessions_and_thousands_of_pores_none(
    tmp_path, monkeypatch
):
    both = [balls(A, B), balls(A, C)]
    stored = [(TEXTURE + 50 * m, m, GRID, STILL) for m in both]
    follow_stored(tmp_path, *stored)
    first, second = (
        label_look(Storage.at(tmp_path), f"scans/sub-s_ses-{session}.ome.zarr", "lesions")[1]
        for session in ("t0", "t1")
    )
    assert len(first) == len(second) == 2
    assert len(first | second) == 3
    assert all(color == lesion_rgba(n) for n, color in [*first.items(), *second.items()])
    monkeypatch.setattr(evolve, "MOST_COLORED", 1)
    follow_stored(tmp_path, *stored)
    assert label_look(Storage.at(tmp_path), "scans/sub-s_ses-t0.ome.zarr", "lesions")[1] == {}


def test_a_jump_is_believed_where_the_tissue_around_agrees_and_left_open_where_it_does_not(
    tmp_path,
):
    first, later = balls(A), balls(A, C)
    shifted = np.roll(TEXTURE, 14, axis=2)
    agree = follow_stored(
        tmp_path / "a", (TEXTURE, first, GRID, STILL), (TEXTURE, later, GRID, STILL)
    )
    apart = follow_stored(
        tmp_path / "b", (TEXTURE, first, GRID, STILL), (shifted, later, GRID, STILL)
    )
    assert told(agree) == {(1, "t1"): ("stable", None), (2, "t1"): ("new", None)}
    assert told(apart) == {(1, "t1"): ("stable", None), (2, "t1"): (None, "misaligned")}
    ncc = [{r.lesion_id: r.surround_ncc for r in rows["evolution"]} for rows in (agree, apart)]
    assert ncc[0] == pytest.approx({1: 1.0, 2: 1.0})
    assert max(ncc[1].values()) < 0.5


def test_no_change_is_named_where_registration_was_refused(tmp_path):
    rows = follow_stored(
        tmp_path, (TEXTURE, balls(A, B), GRID, STILL), (TEXTURE, balls(A, C), GRID, None)
    )
    assert {r.doubt for r in rows["evolution"]} == {"not_registered"}
    assert list(told(rows).values()) == [(None, "not_registered")] * 3
    assert all(r.surround_ncc is None and not r.registered for r in rows["evolution"])


def test_what_the_other_scan_does_not_show_is_left_open(tmp_path):
    low = Geometry.from_spacing((20, *SHAPE[1:]), GRID.spacing_mm)
    rows = follow_stored(
        tmp_path, (TEXTURE, balls(B, C), GRID, STILL), (TEXTURE[:20], balls(B)[:20], low, STILL)
    )
    assert told(rows) == {(1, "t1"): ("stable", None), (2, "t1"): (None, "not_covered")}


def test_one_smallest_lesion_holds_for_all_sessions_of_a_subject(tmp_path):
    """Specks of eight fine voxels, less than one coarse voxel, are no lesions in either session."""
    fine_grid = Geometry.from_matrix(
        (80, 128, 144),
        GRID.matrix @ np.diag([0.5, 0.5, 0.5, 1.0])
        + np.pad([[-0.25], [-0.25], [-0.5], [0]], ((0, 0), (3, 0))),
    )
    fine = np.repeat(np.repeat(np.repeat(TEXTURE, 2, 0), 2, 1), 2, 2)
    mask = np.repeat(np.repeat(np.repeat(balls(A), 2, 0), 2, 1), 2, 2)
    for z, y, x in [(10, 40, 40), (30, 90, 100), (60, 60, 90)]:
        mask[z : z + 2, y : y + 2, x : x + 2] = True
    rows = follow_stored(tmp_path, (TEXTURE, balls(A), GRID, STILL), (fine, mask, fine_grid, STILL))
    assert told(rows) == {(1, "t1"): ("stable", None)}
    assert rows["evolution"][0].volume_change_fraction == pytest.approx(0.0)


def test_a_lesion_about_the_smallest_volume_neither_vanishes_nor_comes_back(tmp_path):
    def bar(voxels):
        mask = balls(A)
        mask[5, 20, 40 : 40 + voxels] = True
        return mask

    masks = [bar(n) for n in (6, 4, 7, 3)]
    rows = follow_stored(tmp_path, *((TEXTURE, m, GRID, STILL) for m in masks))
    assert {change for change, _ in told(rows).values()} == {"stable"}
    assert [r.volume_mm3 for r in rows["lesions"] if r.lesion_id == 1] == [12.0, 8.0, 14.0, 6.0]


def test_a_speck_beside_a_lesion_is_no_part_of_it(tmp_path):
    broken = balls(A)
    broken[20, 30, 37] = False
    broken[20, 30, 38] = True
    rows = follow_stored(tmp_path, (TEXTURE, balls(A), GRID, STILL), (TEXTURE, broken, GRID, STILL))
    assert told(rows) == {(1, "t1"): ("stable", None)}


def test_later_time_points_keep_the_identities_of_the_first(tmp_path):
    times = np.stack([balls(A, B), balls(B, C), balls(A)])
    rows = follow_stored(tmp_path, (np.stack([TEXTURE] * 3), times, GRID, STILL))
    ids = {t: {r.lesion_id for r in rows["lesions"] if r.t == t} for t in range(3)}
    a = next(iter(ids[0] & ids[2]))
    b = next(iter(ids[0] - {a}))
    assert ids == {0: {a, b}, 1: {b, 3}, 2: {a}}
    assert rows["evolution"] == []


def test_a_subject_without_lesions_has_labels_and_a_burden_of_none(tmp_path):
    rows = follow_stored(tmp_path, *[(TEXTURE, balls(), GRID, STILL)] * 2)
    assert [(b.session, b.lesions, b.volume_mm3, b.dmax_mm) for b in rows.pop("burden")] == [
        ("t0", 0, 0.0, None), ("t1", 0, 0.0, None),
    ]  # fmt: skip
    areas = rows.pop("slices")
    assert {(a.method, a.target_area_mm2, a.confidence) for a in areas} == {("lesions", 0.0, None)}
    assert len(areas) == 2 * SHAPE[0]
    assert rows == {"lesions": [], "evolution": [], "links": [], "porosity": []}


def store_objects(root, session, labels, lesions):
    """Store a scan whose objects are drawn; `lesions` are the numbers called so."""
    place = store(root, TEXTURE, GRID, session, {"som": np.ones(SHAPE), "objects": labels})
    return evolve.EvolveSession(place, STILL, (lesions,))


def test_lesions_are_the_objects_called_so_and_touching_ones_stay_apart(tmp_path):
    left, right, organ = balls(((20, 30, 26), 6)), balls(((20, 30, 38), 6)), balls(B)
    labels = np.where(organ, 3, np.where(right, 2, np.where(left, 1, 0)))
    first = store_objects(tmp_path, "t0", labels, (1, 2))
    second = store_objects(tmp_path, "t1", labels, (2,))
    item = evolve.EvolveItem((first, second), "som", 3, 0, LesionConfig())
    rows = evolve.run(item).rows
    volumes = {(r.session, round(r.volume_mm3)) for r in rows["lesions"]}
    one, two = (round(2.0 * np.count_nonzero(labels == n)) for n in (1, 2))
    assert volumes == {("t0", one), ("t0", two), ("t1", two)}
    assert sorted(c for c, _ in told(rows).values()) == ["resolved", "stable"]
    areas = [r.target_area_mm2 for r in rows["slices"] if r.session == "t1"]
    assert sum(areas) == np.count_nonzero(labels == 2)


def test_objects_of_a_map_are_followed_as_connected_parts(tmp_path):
    labels = np.where(balls(((20, 30, 26), 6)), 1, np.where(balls(((20, 30, 38), 6)), 2, 0))
    session = store_objects(tmp_path, "t0", labels, (1, 2))
    rows = evolve.run(evolve.EvolveItem((session,), "som", 3, 0, LesionConfig(), apart=False)).rows
    assert len(rows["lesions"]) == 1
