"""Labels by a student of slices: at the pixel size it learned at, on the scan's own pixels."""

from dataclasses import replace

import numpy as np
import pytest

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.domain.student import StudentModel
from somray.io.ome import image as ome_zarr
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.kernels.student import predict
from somray.kernels.student.network import new_unet, unet_weights
from somray.kernels.student.predict import predict_student
from somray.stages.segment import labels as groups
from somray.stages.segment.rows import BrickItem, SliceCount, class_rows, joined_counts
from somray.stages.segment.student import run_student
from tests.slabs import read_label_slab
from tests.stages.stored import store, texture
from tests.student_fixtures import WINDOW, small_shape

DEPTH = 4


@pytest.fixture(scope="module")
def student():
    """An untrained student of CT slices of 1 mm that says target here and there."""
    weights = unet_weights(new_unet(small_shape(), 1))
    weights["out.weight"] = 5 * weights["out.weight"]
    network = {**small_shape().as_numbers(), "kinds": "CT"}
    return StudentModel(weights, network, ("CT",), (WINDOW,), spacing_mm=(1.0, 1.0))


def segmented(root, volume, student, spacing, pieces=((0, DEPTH),)):
    place = store(root, volume, Geometry.from_spacing(volume.shape, (2.0, *spacing)))
    for group in ("student", groups.CONFIDENCE):
        groups.open_labels(groups.LabelItem(place, group))
    rows = []
    for z0, z1 in pieces:
        item = BrickItem(
            place, "lesion", Brick.of_slices(0, z0, z1, volume.shape[1:]), value=5, confidence=True
        )
        rows += run_student(item, student).rows["slices"]
    storage = Storage.at(place.root)
    labels, sure = (
        read_label_slab(storage, place.name, group, 0, 0, len(volume))
        for group in ("student", groups.CONFIDENCE)
    )
    return rows, labels, sure


def test_at_the_students_pixel_size_labels_are_its_probabilities(student, tmp_path):
    volume = texture(DEPTH)
    chance = predict_student(student, volume[:, None])
    rows, labels, sure = segmented(tmp_path, volume, student, (1.0, 1.0))
    np.testing.assert_array_equal(labels, np.where(chance >= 0.5, 5, 0))
    assert 0 < (labels > 0).mean() < 1
    np.testing.assert_array_equal(sure, np.rint(100 * np.maximum(chance, 1 - chance)))
    assert [row.target_area_mm2 for row in rows] == [(plane > 0).sum() for plane in labels]


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_scan_of_other_pixels_is_seen_as_the_student_learned_to_see(student, tmp_path, factor):
    """A smooth image on finer or coarser pixels gets about the same mask, in mm."""
    y, x = (np.arange(64) + 0.5)[:, None], np.arange(72) + 0.5
    rows, columns = round(64 / factor), round(72 / factor)

    def image(y, x):
        return (120 * np.sin(y / 9) * np.cos(x / 11))[None].repeat(DEPTH, 0).astype(np.float32)

    own = image(y, x)
    other = image((np.arange(rows) + 0.5)[:, None] * factor, (np.arange(columns) + 0.5) * factor)
    chance = np.clip(predict_student(student, own[:1, None]), 1e-6, 1 - 1e-6)
    weights = dict(student.weights)
    weights["out.bias"] = weights["out.bias"] - np.median(np.log(chance / (1 - chance)))
    student = replace(student, weights=weights)  # half of the image is target
    _, expected, _ = segmented(tmp_path / "own", own, student, (1.0, 1.0))
    told, found, _ = segmented(tmp_path / "other", other, student, (factor, factor))
    assert found.shape == (DEPTH, rows, columns)
    share = (expected > 0).mean()
    assert 0.3 < share < 0.7
    assert (found > 0).mean() == pytest.approx(share, abs=0.05)
    assert told[0].target_area_mm2 == pytest.approx((found[0] > 0).sum() * factor**2)


def test_pixels_without_data_are_no_target_at_any_size(student, tmp_path):
    volume = texture(DEPTH)
    volume[:, :20] = np.nan
    for factor in (1.0, 0.5):
        _, labels, sure = segmented(tmp_path / str(factor), volume, student, (factor, factor))
        assert not labels[:, :20].any()
        assert not sure[:, :20].any()
        assert (sure[:, 20:] >= 50).all()


def cut_into_tiles(monkeypatch):
    """Let tiles have 64 × 64 pixels, and the network's 32 × 32."""
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * 64 * 64 * 4)
    monkeypatch.setitem(predict.TILES, 2, 32)


@pytest.mark.parametrize("spacing", [1.0, 0.6])
def test_a_scan_cut_into_tiles_has_the_masks_of_whole_slices(
    student, tmp_path, monkeypatch, spacing
):
    volume = texture(DEPTH, (100, 150))
    volume[1, 40:60, 60:70] = np.nan
    monkeypatch.setitem(predict.TILES, 2, 32)
    rows, whole, sure = segmented(tmp_path / "whole", volume, student, (spacing, spacing))
    cut_into_tiles(monkeypatch)
    geometry = Geometry.from_spacing(volume.shape, (2.0, spacing, spacing))
    place = store(tmp_path / "cut", volume, geometry)
    storage = Storage.at(place.root)
    for group in ("student", groups.CONFIDENCE):
        groups.open_labels(groups.LabelItem(place, group))
    counts = []
    for brick in ome_zarr.read_meta(storage, place.name).bricks():
        item = BrickItem(place, "lesion", brick, value=5, confidence=True)
        result = run_student(item, student)
        assert not result.rows
        counts += result.value["counts"]
    everything = Brick.of_slices(0, 0, DEPTH, volume.shape[1:])
    labels, percent = (
        ome_zarr.read_label_brick(storage, place.name, group, everything)
        for group in ("student", groups.CONFIDENCE)
    )
    if spacing == 1.0:
        np.testing.assert_array_equal(labels, whole)
        np.testing.assert_array_equal(percent, sure)
    else:  # to rounding: none flips here, and a percent may
        assert (labels != whole).mean() < 1e-4
        assert np.abs(percent.astype(int) - sure).max() <= 1
    counted = joined_counts(map(SliceCount.from_json, counts))
    again = class_rows(place, counted, {5: "lesion"}, 5, spacing**2, "student")
    assert list(again) == ["slices"]
    for row, other in zip(rows, again["slices"], strict=True):
        assert (other.method, other.z) == ("student", row.z)
        assert other.target_area_mm2 == pytest.approx(row.target_area_mm2, rel=1e-3)
        assert other.target_fraction == pytest.approx(row.target_fraction, rel=1e-3)
        assert other.confidence == pytest.approx(row.confidence, rel=1e-3)
