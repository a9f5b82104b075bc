"""Scans whose slices are cut into tiles: the labels, rows and signatures of whole slices, through storage."""

import numpy as np
import pytest

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.errors import DataError
from somray.io.ome import image as ome_zarr
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.kernels.features.view import FeatureView, view_of
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from somray.stages import drift
from somray.stages.segment import labels, rows, scales
from somray.stages.segment.som import run_som
from tests.slabs import read_label_slab
from tests.stages.stored import pores, store_bricks

SHAPE = (6, 90, 150)


@pytest.fixture(scope="module")
def volume():
    image = pores(SHAPE, seed=1)
    image[2, 50:70, 60:70] = np.nan
    return image


@pytest.fixture(scope="module")
def model():
    spec = TeacherSpec("XCT", ("XCT",), windows=((0.0, 255.0),), epochs=2, smoothing_mm=1.0)
    return fit_teacher(pores(SHAPE, seed=2)[:1, None], spec, (0.8, 0.8)).model


def transferred(root, volume, model):
    """Label a scan as a run does; return its place, the rows and the merged drift rows."""
    place = store_bricks(root, volume)
    storage = Storage.at(root)
    meta = ome_zarr.read_meta(storage, place.name)
    group = labels.LabelItem(place, "som", classes=tuple(model.class_names.items()))
    labels.open_labels(group)
    found = scales.all_scales(place, meta, None, model) if meta.is_cut else {}
    results = []
    for brick in meta.bricks():
        told = ()
        if meta.is_cut:
            span = brick.z0, brick.z1
            told = scales.scales_for(found, brick.t, span, meta.shape[2], model.dimensions)
        item = rows.BrickItem(place, "lesion", brick, scales=told)
        results.append(run_som(item, model))
    judged = drift.run(drift.DriftItem(place, tuple(r.value["signature"] for r in results)), model)
    if not meta.is_cut:
        labels.close_labels(group)
        tables = {
            name: [row for r in results for row in r.rows[name]] for name in ("slices", "areas")
        }
    else:
        assert not any(r.rows for r in results)
        counts = tuple(count for r in results for count in r.value["counts"])
        tables = rows.close_counted(rows.CountedItem(group, model.value_of("lesion"), counts)).rows
    assert ome_zarr.labels_complete(storage, place.name, "som")
    drawn = np.concatenate(
        [read_label_slab(storage, place.name, "som", 0, z, z + 1) for z in range(SHAPE[0])]
    )
    voxels = sum(r.value["voxels"] for r in results)
    return drawn, {**tables, **judged.rows}, voxels


def test_a_cut_scan_has_the_labels_rows_and_drift_of_the_same_scan_in_whole_slices(
    tmp_path, volume, model, monkeypatch
):
    whole, tables, voxels = transferred(tmp_path / "whole", volume, model)
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * 64 * 64 * 4)
    cut, others, others_voxels = transferred(tmp_path / "cut", volume, model)
    assert np.array_equal(cut, whole)
    assert (cut == model.value_of("lesion")).sum() == voxels == others_voxels > 100
    assert set(tables) == {"slices", "areas", "profiles", "drift", "notes"}
    for name, found in tables.items():
        assert list(others[name]) == list(found), name
    assert [row.z for row in tables["slices"]] == list(range(SHAPE[0]))
    assert tables["slices"][2].target_fraction < 1


def test_whole_slices_are_counted_plainly(tmp_path, volume, model):
    drawn, tables, _ = transferred(tmp_path, volume, model)
    value = model.value_of("lesion")
    for row in tables["slices"]:
        assert row.target_fraction == (drawn[row.z] == value).mean()
        assert row.target_area_mm2 == (drawn[row.z] == value).sum() * (0.8 * 0.8)
    for row in tables["areas"]:
        (of_class,) = (v for v, name in model.class_names.items() if name == row.class_name)
        assert row.fraction == (drawn[row.z] == of_class).mean()


def test_counts_of_parts_join_in_any_order():
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 4, (1, 9, 14)).astype(np.uint8)
    sure = rng.random((1, 9, 14)).astype(np.float32)
    brick = Brick(0, 5, 6, 0, 9, 0, 14)
    (whole,) = rows.count_slices(brick, plane, sure, 3)
    parts = [
        rows.count_slices(brick, plane[:, a:b], sure[:, a:b], 3)[0] for a, b in ((4, 9), (0, 4))
    ]
    parts = [rows.SliceCount.from_json(part.as_json()) for part in parts]
    assert rows.joined_counts(parts) == [whole]
    assert whole.sure / 2**30 == pytest.approx(sure[plane == 3].sum(dtype=float), rel=1e-8)
    assert whole.labels[:4] == tuple(np.bincount(plane.ravel(), minlength=4))


def test_pet_ct_that_is_cut_is_refused_with_a_reason(model):
    windows = ((-150.0, 40.0), (0.0, 5.0))
    view = FeatureView("PETCT", ("CT", "PET"), windows, ("intensity",), (1.0, 1.0))
    place = ScanPlace("nowhere", "s", "t0")
    with pytest.raises(DataError, match="PET/CT") as caught:
        scales.check_cut(view, place)
    assert caught.value.code == "too_large"
    scales.check_cut(view_of(model), place)
