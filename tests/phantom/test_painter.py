"""Named tissues on a canvas: what is on top, where an organ lies, what a voxel is labelled."""

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.phantom.drawing.canvas import Canvas, Material
from somray.phantom.drawing.painter import OrganPlace, Painter, Solid, draw_place
from somray.phantom.drawing.shapes import turned
from somray.phantom.drawing.vessels import Rod

PALETTE = {"a": Material(1.0), "b": Material(5.0)}


def painter(places=None) -> Painter:
    grid = Geometry.from_spacing((40, 40, 40), (2.0, 2.0, 2.0))
    canvas = Canvas(grid, np.eye(4), np.zeros((40, 2)), Material(0.0))
    return Painter(canvas, PALETTE, places or {}, (0.0,) * 12)


def test_a_part_has_its_volume_in_image_and_labels():
    drawn = painter()
    drawn.parts([Solid("a", (40, 40, 40), (20, 14, 10), 3)])
    volume = 4 / 3 * np.pi * 20 * 14 * 10
    assert float(drawn.canvas.value.sum()) * 8 == pytest.approx(volume, rel=0.02)
    assert (drawn.labels == 3).sum() * 8 == pytest.approx(volume, rel=0.03)


def test_a_later_part_takes_the_voxels_of_an_earlier_one():
    drawn = painter()
    drawn.parts([Solid("a", (40, 40, 40), (20, 20, 20), 1), Solid("b", (40, 40, 40), (8, 8, 8), 2)])
    assert drawn.canvas.value[20, 20, 20] == 5.0
    assert drawn.labels[20, 20, 20] == 2
    drawn.parts([Solid("a", (40, 40, 40), (30, 30, 30))])
    assert not drawn.labels.any()


def test_an_organ_lies_and_measures_as_its_place_says():
    drawn = painter({"liver": OrganPlace((10.0, 0.0, -6.0), 0.5)})
    drawn.parts([Solid("a", (40, 40, 40), (20, 20, 20), 1, "liver")])
    index = np.argwhere(drawn.labels == 1) * 2.0  # z, y, x
    assert np.allclose(index.mean(axis=0), (34, 40, 50), atol=0.2)
    assert len(index) * 8 == pytest.approx(4 / 3 * np.pi * 10**3, rel=0.1)


def test_rods_follow_their_organ_and_are_labelled():
    drawn = painter({"kidney": OrganPlace((0.0, 12.0, 0.0))})
    drawn.rods([Rod((20, 40, 40), (60, 40, 40), (6, 6))], "b", 4, organ="kidney")
    index = np.argwhere(drawn.labels == 4) * 2.0
    assert np.allclose(index.mean(axis=0), (40, 52, 40), atol=0.2)


def test_what_lies_outside_the_grid_is_no_part():
    drawn = painter()
    drawn.parts([Solid("a", (500, 0, 0), (5, 5, 5), 1)])
    assert drawn.part(Solid("a", (500, 0, 0), (5, 5, 5))) is None
    drawn.fill(None, np.zeros(1, dtype=np.float32), "a", 1)
    assert not drawn.labels.any()


def test_a_turned_part_points_along_its_own_axis():
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # its third axis is x
    drawn = painter()
    drawn.parts([Solid("a", (40, 40, 40), (6, 6, 24), 1, turn=turn)])
    spread = (np.argwhere(drawn.labels == 1) * 2.0).std(axis=0)  # z, y, x
    assert spread[2] > 3 * spread[0]
    at = turned(tuple(np.array([v], dtype=np.float32) for v in (47, 40, 40)), (40, 40, 40), turn)
    assert [float(v[0]) for v in at] == [0, 0, 7]


def test_places_are_drawn_within_two_deviations():
    places = [draw_place(np.random.default_rng(k), (3, 0, 5), 0.1) for k in range(200)]
    shifts = np.array([p.shift for p in places])
    assert (np.abs(shifts) <= (6, 0, 10)).all()
    assert shifts[:, 0].std() == pytest.approx(3, rel=0.2)
    assert all(0.8 <= p.size <= 1.2 for p in places)
