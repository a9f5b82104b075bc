"""Slices that no task can hold: registered and compared on a level of their pyramid, told in their own pixels."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy import ndimage

from somray.config.parts import RegistrationConfig
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome import image, metadata
from somray.io.storage import Storage
from somray.stages.reading import planes, sessions
from somray.stages.registration import register, residuals
from somray.stages.registration.register_sessions import SessionPairItem, run_sessions
from tests.stages.stored import texture

SHAPE = (176, 200)
MASKS = residuals.Masks("som", 3)


@pytest.fixture
def cut(monkeypatch):
    """Cut slices of this size into tiles, and hold no more than a fourth of one."""
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 4 * 64 * 64 * 8)
    monkeypatch.setattr(metadata, "COARSEST_PIXELS", 64)
    held = SHAPE[0] * SHAPE[1] // 4
    for module, name in ((register, "MOST_PIXELS"), (register, "KEYPOINT_PIXELS"),
                         (residuals, "MOST_PIXELS"), (sessions, "REDUCED_PIXELS")):  # fmt: skip
        monkeypatch.setattr(module, name, held)


def tiled(root, volume, labels, session="t0", place_mm=(0.0, 0.0, 0.0)):
    matrix = np.diag([0.8, 0.8, 2.0, 1.0])
    matrix[:3, 3] = place_mm
    grid = Geometry.from_matrix(volume.shape, matrix)
    meta = image.ScanMeta((1, 1, *volume.shape), grid, ("CT",), "HU", f"digest-{session}")
    assert meta.is_cut
    storage, place = Storage.at(root), ScanPlace(str(root), "s", session)
    image.create_scan(storage, place.name, meta)
    for brick in meta.bricks():
        image.write_brick(storage, place.name, brick, volume[None][(slice(None), *brick.box)])
    image.finish_scan(storage, place.name, meta)
    image.create_labels(storage, place.name, "som", "uint8")
    for brick in meta.bricks():
        image.write_label_brick(storage, place.name, "som", brick, labels[brick.box])
    image.finish_labels(storage, place.name, "som", {})
    return place


def smooth(depth, seed=0):
    return ndimage.gaussian_filter(texture(depth, SHAPE, seed), (0, 1.5, 1.5))


def moved_up(volume, z, by):
    moved = volume.copy()
    moved[z] = ndimage.shift(volume[z], by, order=1, mode="nearest")
    return moved


def item(place, depth, model="auto"):
    named = "kaze", model, "ransac"
    return register.SlicePairsItem(place, 0, 0, depth, *named, "work/p.json", "d")


@pytest.mark.parametrize("model", ["auto", "affine"])
def test_a_misplaced_slice_is_told_in_pixels_of_the_scan(tmp_path, cut, model):
    volume = moved_up(smooth(4), 2, (5.0, -8.0))
    place = tiled(tmp_path, volume, np.ones(volume.shape, np.uint8))
    rows = register.run_slices(item(place, 4, model)).rows["registration"]
    assert [row.status for row in rows] == ["ok"] * 3
    for row, aim in zip(rows, ((0, 0), (8, -5), (-8, 5)), strict=True):
        there = np.reshape(row.matrix, (3, 3)) @ (99.5, 87.5, 1.0)
        assert there[:2] - (99.5, 87.5) == pytest.approx(aim, abs=0.7)


def test_a_turn_is_about_the_same_place_on_every_level(tmp_path, cut):
    """A motion between means of pixels, and the same between the pixels: half a pixel apart if forgotten."""
    flat = planes.level_geometry(Geometry.from_spacing((1, *SHAPE), (1, 1, 1)), 1)
    assert flat.to_world(np.array([[0, 0, 0]]))[0] == pytest.approx((0.5, 0.5, 0.0))
    turn = register.on_finer_pixels(np.array([[0, -1, 90], [1, 0, 10], [0, 0, 1.0]]), 2.0)
    # Coarse pixel (3, 4) is the mean about (6.5, 8.5); it goes to (86, 13), about (172.5, 26.5).
    assert turn @ (6.5, 8.5, 1.0) == pytest.approx((172.5, 26.5, 1.0))
    back = register.on_finer_pixels(turn, 0.5)
    assert back[:2].ravel() == pytest.approx((0, -1, 90, 1, 0, 10))


def test_residuals_of_a_cut_scan_follow_its_motions(tmp_path, cut):
    volume = moved_up(smooth(3), 1, (4.0, 6.0))
    labels = np.ones(volume.shape, np.uint8)
    labels[:, 60:120, 80:140] = 3
    place = tiled(tmp_path, volume, labels)
    rows = register.run_slices(item(place, 3)).rows["registration"]
    told = residuals.SliceResidualItem(place, 0, tuple(asdict(row) for row in rows), MASKS)
    for row in residuals.run_slices(told).rows["residuals"]:
        assert row.ncc_after > 0.97
        assert row.mad_after < 0.6 * row.mad_before
        assert row.pixels <= 88 * 100  # of the level


def test_sessions_of_cut_slices_meet_in_millimetres(tmp_path, cut):
    volume = smooth(8)
    labels = np.ones(volume.shape, np.uint8)
    first = tiled(tmp_path, volume, labels)
    second = tiled(tmp_path, volume, labels, "t1", (6.4, -4.0, 4.0))
    pair = SessionPairItem(first, second, RegistrationConfig(), seed=0)
    found = run_sessions(pair).value
    matrix = np.reshape(found["matrix"], (4, 4))
    assert matrix[:3, 3] == pytest.approx((-6.4, 4.0, -4.0), abs=0.4)
    thin = SessionPairItem(first, second, RegistrationConfig(sessions="plane"), seed=0)
    (row,) = run_sessions(thin).rows["registration"]
    assert np.reshape(row.matrix, (3, 3))[:2, 2] == pytest.approx((0.0, 0.0), abs=0.5)
    between = residuals.SessionResidualItem(first, second, tuple(found["matrix"]), MASKS)
    outside = residuals.run_sessions(between).rows["residuals"][1]
    assert outside.ncc_after > 0.98 > outside.ncc_before


def test_what_is_declared_follows_the_level_and_not_the_slice():
    for model in ("auto", "affine"):
        wide = [register.plane_bytes((1, 1, 4, n, n), model) for n in (16384, 65536)]
        assert wide[0] == wide[1] <= 64 * 1024**2
        assert register.needs_slices(wide[0], model).memory_bytes < 4096 * 1024**2
        assert register.plane_bytes((1, 1, 4, 512, 300), model) == 4 * 512 * 300
    plane = residuals.plane_bytes((1, 1, 4, 65536, 65536))
    assert residuals.needs_slices(plane).memory_bytes < 4096 * 1024**2
    assert residuals.needs_sessions(plane).memory_bytes < 4096 * 1024**2
