"""Lesions of bodies and heads: where they are placed, how they are painted, what their truth holds."""

import numpy as np
import pytest
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.phantom.drawing.canvas import Canvas, Material
from somray.phantom.lesion_sites import Lesion, Site, blob_surface, paint_placed, place_lesions
from somray.phantom.lesions import Blob, Course, Field

NOISE = np.random.default_rng(0).standard_normal((16, 16, 16)).astype(np.float32)
SITES = (Site("chest", (-40, 0, 0), (30, 30, 30), (3, 10), ""),
         Site("bone", (40, 0, 0), (30, 30, 30), (5, 20), ""))  # fmt: skip


def field(sessions=1, least=3.0) -> Field:
    return Field((), ((0, 0, 0), (1, 1, 1)), (100, 60, 60), (np.eye(4),) * sessions,
                 (least, least), 4.0)  # fmt: skip


def place(wishes, seed=0, inside=lambda *_: True, **options):
    return place_lesions(np.random.default_rng(seed), wishes, SITES, field(**options), inside)


def canvas(fill=0.0) -> Canvas:
    grid = Geometry.from_spacing((40, 40, 40), (2.0, 2.0, 2.0))
    return Canvas(grid, np.eye(4), np.zeros((40, 2)), Material(fill))


def one(kind="solid", core=0.0, radius=15.0) -> Lesion:
    course = Course("stable", 0, (40, 40, 40), (radius,) * 3, (1, 0), 0, (1, 2), 1.0)
    return Lesion(course, kind, SITES[0], 8.0, core)


def test_every_wish_gets_a_lesion_where_there_is_room_and_none_touch():
    found = place(["solid"] * 6 + ["faint"] * 2)
    assert [f.kind for f in found] == ["solid"] * 6 + ["faint"] * 2
    assert sorted(f.course.ids[0] for f in found) == list(range(1, 9))
    for k, a in enumerate(found):
        for b in found[:k]:
            apart = np.linalg.norm(np.subtract(a.course.center, b.course.center))
            assert apart > max(a.course.radii) + max(b.course.radii) + 4


def test_lesions_lie_in_their_organ_or_nowhere():
    left = place(["solid"] * 5, inside=lambda site, *_: site.region == "chest")
    assert {f.site.region for f in left} == {"chest"}
    assert place(["solid"] * 5, inside=lambda *_: False) == []


def test_a_cold_core_needs_a_large_lesion_and_leaves_a_rim_of_five_millimetres():
    for seed in range(10):
        for found in place(["cold_core"], seed):
            radius = found.course.radii[0]
            assert max(found.course.radii) >= 10
            assert (1 - found.core) * radius > 4
            assert found.site.region == "bone"


def test_faint_lesions_are_twice_their_background_and_others_hot():
    values = {k: [f.value for s in range(20) for f in place([k], s)] for k in ("faint", "solid")}
    assert all(2.0 <= v <= 2.5 for v in values["faint"])
    assert all(3.5 <= v <= 20.0 for v in values["solid"])


def test_one_session_has_no_change_and_more_have_some():
    assert {f.course.kind for s in range(8) for f in place(["solid"] * 4, s)} == {"stable"}
    kinds = {f.course.kind for s in range(8) for f in place(["solid"] * 4, s, sessions=3)}
    assert kinds == {"stable", "enlarging", "shrinking", "new", "resolved"}


@pytest.mark.parametrize("seed", range(12))
def test_the_smallest_lesion_holds_a_voxel_wherever_it_lies(seed):
    rng = np.random.default_rng(seed)
    drawn, radius = canvas(), 0.85 * 1.1 * 2.0 * 0.95
    blob = Blob(1, tuple(40 + rng.uniform(-1, 1, 3)), (radius,) * 3)
    _, distance = blob_surface(drawn, blob, NOISE)
    assert (distance < 0).any()


def test_a_large_lesion_is_lobed_and_still_one_piece():
    _, distance = blob_surface(canvas(), Blob(1, (40, 40, 40), (20, 20, 20)), NOISE)
    round_one = 4 / 3 * np.pi * 20**3 / 8
    assert ndimage.label(distance < 0, np.ones((3, 3, 3)))[1] == 1
    assert (distance < 0).sum() == pytest.approx(round_one, rel=0.25)
    assert (distance < 0).sum() != pytest.approx(round_one, rel=0.001)


def test_the_truth_of_a_cold_core_holds_the_core():
    drawn = canvas(1.0)
    stuff = (Material(8.0), Material(0.5))
    mask = paint_placed(drawn, [one("cold_core", 0.5)], 0, NOISE, lambda *_: stuff)
    assert drawn.value[20, 20, 20] == 0.5
    assert drawn.value.max() == 8.0
    assert mask[20, 20, 20] == 1
    assert (mask[drawn.value > 7] == 1).all()


def test_a_lesion_is_told_what_surrounds_it():
    told = []

    def materials(lesion, around):
        told.append(around)
        return Material(1.0), Material(1.0)

    drawn = canvas(3.0)
    drawn.value[20, 20, 20] = 99.0
    paint_placed(drawn, [one()], 0, NOISE, materials)
    assert told == [3.0]


def test_what_lies_outside_the_grid_is_not_painted():
    far = Course("stable", 0, (900, 40, 40), (9, 9, 9), (1, 0), 0, (1, 2), 1.0)
    lesion = Lesion(far, "solid", SITES[0], 8.0)
    drawn = canvas()
    mask = paint_placed(drawn, [lesion], 0, NOISE, lambda *_: (Material(8.0), Material(0.5)))
    assert not mask.any()
    assert not drawn.value.any()
