"""Pixels and lines of a tile: geometry first, in drawing units and mm."""

import re

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.report.data import SliceFrame
from somray.report.drawing.display import (
    DisplayWindow,
    checkerboard,
    differences,
    grey,
    painted,
    presets,
    round_length_mm,
    two_colours,
)
from somray.report.drawing.style import LineStyle
from somray.report.drawing.tiles import Outline, TileText, matches_tile, outline_path, tile

NO_DATA = [38, 46, 56]


def points(path: str) -> np.ndarray:
    """Return the corners of all lines of a path, each written as a first corner and steps from it."""
    found = []
    for first, steps in re.findall(r"M([^l]+)l([^z]+)z", path):
        moves = [first.split(), *np.reshape(re.findall(r"-?[\d.]+", steps), (-1, 2))]
        found.append(np.cumsum(np.asarray(moves, dtype=float), axis=0))
    return np.concatenate(found)


def test_an_outline_runs_half_way_between_pixels_in_mm():
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:5, 3:8] = True  # rows 2..4, columns 3..7: edges at 2, 5 and 3, 8 pixels
    found = points(outline_path(mask, (400.0, 200.0)))
    assert found.min(axis=0) == pytest.approx([3 * 40, 2 * 20])
    assert found.max(axis=0) == pytest.approx([8 * 40, 5 * 20])


def test_an_outline_closes_at_the_image_border_and_around_holes():
    mask = np.ones((6, 6), dtype=bool)
    mask[3, 3] = False
    path = outline_path(mask, (60.0, 60.0))
    assert path.count("M") == path.count("z") == 2
    assert points(path).min() == pytest.approx(0.0)
    assert points(path).max() == pytest.approx(60.0)


def test_no_mask_gives_no_outline():
    assert outline_path(np.zeros((4, 4), dtype=bool), (10.0, 10.0)) == ""


def test_a_ragged_outline_stays_bounded():
    mask = np.random.default_rng(0).random((400, 400)) < 0.5
    assert len(outline_path(mask, (400.0, 400.0))) < 100_000


def test_an_outline_of_many_specks_is_coarsened_without_losing_one():
    mask = np.zeros((900, 901), dtype=bool)
    y, x = np.indices(mask.shape)
    mask[(y % 20 < 5) & (x % 20 < 5) & ((x + y) % 2 == 0)] = True  # 45 × 46 ragged specks
    path = outline_path(mask, (901.0, 900.0))
    assert path.count("M") == 45 * 46
    assert len(points(path)) <= 20_000
    assert points(path).max() <= 901.0


def test_an_outline_has_a_corner_only_where_it_turns():
    mask = np.zeros((8, 40), dtype=bool)
    mask[2:6, 3:37] = True
    assert len(points(outline_path(mask, (400.0, 80.0)))) == 8  # corners are cut


def test_oblong_pixels_give_an_oblong_picture():
    frame = SliceFrame((10, 20), (3.0, 1.0))  # 30 mm high, 20 mm wide
    width, height = frame.size
    assert height / width == pytest.approx(1.5)
    assert frame.units_per_mm == pytest.approx(height / 30)


@pytest.mark.parametrize(
    ("width", "length"), [(100.0, 20.0), (200.0, 50.0), (9.0, 2.0), (0.4, 0.1), (430.0, 100.0)]
)
def test_the_scale_bar_is_a_round_length_of_at_most_a_quarter(width, length):
    assert round_length_mm(width) == pytest.approx(length)


def test_letters_follow_the_affine():
    shape = (2, 3, 4)
    plain = Geometry.from_spacing(shape, (1, 1, 1))
    flipped = Geometry.from_matrix(shape, np.diag([-1.0, 1, 1, 1]))
    coronal = Geometry.from_matrix(
        shape, np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=float)
    )
    assert SliceFrame.of(plain, True).towards == ("L", "P")
    assert SliceFrame.of(flipped, True).towards == ("R", "P")
    assert SliceFrame.of(coronal, True).towards == ("L", "I")
    assert SliceFrame.of(plain, False).towards is None


def test_a_tile_escapes_its_words():
    pixels = np.zeros((4, 4), dtype=np.uint8)
    drawn = str(tile(pixels, SliceFrame((4, 4), (1, 1)), '<b>"alt"', TileText("<i>")))
    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert "&lt;i&gt;" in drawn


def test_line_styles_differ_without_colour():
    mask = np.zeros((4, 4), dtype=bool)
    mask[1:3, 1:3] = True
    path = outline_path(mask, (400, 400))
    lines = tuple(Outline(path, LineStyle("#fff", dash)) for dash in ("", "5 4"))
    drawn = str(
        tile(np.zeros((4, 4), np.uint8), SliceFrame((4, 4), (1, 1)), "a", TileText("", lines))
    )
    assert drawn.count("stroke-dasharray") == 1
    assert drawn.index('class="halo"') < drawn.index('class="outline')


def test_windows_map_their_ends_to_black_and_white_and_mark_no_data():
    window = DisplayWindow("soft", -160, 240, "HU")
    image = np.array([[-1000, -160, 40], [240, 3000, 40]], dtype=np.float32)
    assert grey(image, window).tolist() == [[0, 0, 128], [255, 255, 128]]
    image[0, 0] = np.nan
    shown = grey(image, window)
    assert shown.shape == (2, 3, 3)
    assert shown[0, 0].tolist() == NO_DATA
    inverted = DisplayWindow("SUV", 0, 10, "SUVbw", inverted=True)
    assert grey(np.array([[0, 10]], np.float32), inverted).tolist() == [[255, 0]]


def test_presets_follow_the_unit():
    image = np.linspace(0, 100, 50, dtype=np.float32).reshape(5, 10)
    assert [w.name for w in presets("HU", None, image)] == ["soft tissue", "lung", "bone"]
    (pet,) = presets("SUVbw", None, image)
    assert pet.inverted
    (raw,) = presets("raw", (3.0, 70.0), image)
    assert (raw.low, raw.high) == (3.0, 70.0)
    (auto,) = presets("raw", None, image)
    assert 0 <= auto.low < auto.high <= 100
    (blank,) = presets("raw", None, np.full((2, 2), np.nan, np.float32))
    assert blank.low < blank.high
    (uptake,) = presets("raw", (1.3, 2.4), image, is_uptake=True)
    assert (uptake.low, uptake.inverted) == (0.0, True)
    assert uptake.high > 90


def test_a_window_is_told_in_words():
    assert str(DisplayWindow("soft tissue", -160, 240, "HU")) == "soft tissue −160 to 240 HU"
    assert str(DisplayWindow("SUV", 0, 10, "SUVbw")) == "SUV 0 to 10"
    assert str(DisplayWindow("grey values", 0, 23100, "raw")) == "grey values 0 to 23\u202f100"


def test_an_assumed_spacing_gives_a_scale_in_pixels():
    geometry = Geometry.from_spacing((1, 100, 100), (1, 1, 1))
    drawn = str(tile(np.zeros((100, 100), np.uint8), SliceFrame.of(geometry, False, "px"), "alt"))
    assert ">20 px<" in drawn
    assert " mm<" not in drawn


def test_an_overlay_is_grey_where_both_agree():
    fixed = np.array([[0.5, 1.0, 0.0, np.nan]])
    moving = np.array([[0.5, 0.0, 1.0, 0.5]])
    shown = two_colours(fixed, moving)[0]
    assert len(set(shown[0].tolist())) == 1
    assert shown[1].tolist() == [0, 255, 0]
    assert shown[2].tolist() == [255, 0, 255]
    assert shown[3].tolist() == NO_DATA


def test_equal_differences_get_equal_colours_on_one_scale():
    before = differences(np.array([[0.0, 5.0, 10.0, 99.0]]), 10.0)[0]
    after = differences(np.array([[5.0, np.nan]]), 10.0)[0]
    assert after[0].tolist() == before[1].tolist()
    assert before[2].tolist() == before[3].tolist()  # larger ones saturate
    assert after[1].tolist() == NO_DATA


def test_painted_leaves_unknown_values_as_no_data():
    shown = painted(np.array([[0, 3]]), {3: "#D9541E"})[0]
    assert shown.tolist() == [NO_DATA, [0xD9, 0x54, 0x1E]]


def test_a_checkerboard_takes_squares_by_turns_and_keeps_what_is_missing():
    fixed, moving = np.zeros((6, 8), np.float32), np.ones((6, 8), np.float32)
    moving[0, 7] = np.nan
    board = checkerboard(fixed, moving, squares=4)
    assert board[0].tolist()[:7] == [0, 0, 1, 1, 0, 0, 1]
    assert np.isnan(board[0, 7])
    assert board[2, 0] == 1
    assert board[2, 2] == 0


def test_matches_of_slices_of_different_size_are_drawn_on_one_scale():
    frames = SliceFrame((20, 40), (1.0, 1.0)), SliceFrame((20, 20), (0.5, 0.5))
    grey_levels = np.zeros((20, 40), np.uint8), np.zeros((20, 20), np.uint8)
    points = np.array([[39.5, 0.0]]), np.array([[-0.5, 19.5]])
    drawn = str(matches_tile(grey_levels, points, frames, "matches"))
    assert 'viewBox="0 0 510.0 200.0"' in drawn  # 40 mm are 400 units, 10 mm are 100, 10 between
    assert "M400.0 5.0L410.0 100.0" in drawn
