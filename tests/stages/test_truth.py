"""A scan's masks beside its truth, from files and storage."""

import tracemalloc

import nibabel
import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.domain.work import WORKER_BYTES
from somray.errors import DataError
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.stages.truth import TruthItem, TruthMethod, needs, run
from tests.stages.stored import store

SHAPE = (6, 20, 24)
SOM, LESIONS = TruthMethod("som", "som", (3,)), TruthMethod("lesions", "lesions")


def block(x0, x1, value=1, into=None):
    mask = np.zeros(SHAPE, dtype=np.int32) if into is None else into
    mask[2:4, 5:9, x0:x1] = value
    return mask


def scored(tmp_path, truth, methods=(SOM,), affine=None, **labels):
    place = store(tmp_path / "run", np.zeros(truth.shape, np.float32), labels=labels)
    matrix = read_meta(Storage.at(place.root), place.name).geometry.matrix
    own = np.diag([-1.0, -1.0, 1.0, 1.0]) @ (matrix if affine is None else affine)
    nibabel.save(nibabel.Nifti1Image(truth.T.astype(np.int16), own), tmp_path / "truth.nii")
    rows = run(TruthItem(place, str(tmp_path / "truth.nii"), tuple(methods))).rows["truth"]
    return {(row.method, row.label): row for row in rows}


def test_the_union_stands_beside_every_label(tmp_path):
    truth = block(2, 6, 1, block(10, 14, 300))
    rows = scored(tmp_path, truth, som=3 * (truth > 0))
    assert set(rows) == {("som", 0), ("som", 1), ("som", 300)}
    for row in rows.values():
        assert row.dice == row.precision == row.lesion_precision == row.surface_dice_2mm == 1.0
        assert row.lesions_true == row.lesions_predicted == (2 if row.label == 0 else 1)


def test_what_belongs_to_other_labels_is_no_fault_of_one(tmp_path):
    truth = block(2, 6, 1, block(10, 14, 2))
    som = block(9, 15, 3, block(18, 20, 3))  # a rim round the second label, and something false
    rows = scored(tmp_path, truth, som=som)
    ml = 2.0 * 0.8 * 0.8 / 1000
    first, second, union = (rows["som", n] for n in (1, 2, 0))
    assert first.false_positive_ml == first.false_positive_lesions_ml == pytest.approx(16 * ml)
    assert (first.recall, first.lesion_recall, first.lesion_precision) == (0.0, 0.0, 0.0)
    assert first.false_negative_lesions_ml == pytest.approx(32 * ml)
    assert second.false_positive_ml == union.false_positive_ml == pytest.approx(32 * ml)
    assert (second.lesions_predicted, second.lesion_precision) == (2, 0.5)
    assert union.dice == pytest.approx(2 * 32 / (64 + 64))
    assert union.lesion_recall == 0.5


def test_an_empty_truth_has_the_union_alone_and_nulls(tmp_path):
    rows = scored(tmp_path, np.zeros(SHAPE), som=block(2, 4, 3))
    (row,) = rows.values()
    assert (row.label, row.lesions_true, row.precision, row.dice) == (0, 0, 0.0, 0.0)
    assert row.recall is row.hd95_mm is row.lesion_recall is None
    assert row.false_positive_lesions_ml == row.false_positive_ml > 0


def test_nothing_predicted_of_nothing_has_no_figure(tmp_path):
    (row,) = scored(tmp_path, np.zeros(SHAPE), som=np.ones(SHAPE)).values()
    for name in ("dice", "iou", "precision", "recall", "hd95_mm", "lesion_precision"):
        assert getattr(row, name) is None
    assert row.surface_dice_2mm is None


def test_objects_are_every_id_above_zero(tmp_path):
    truth = block(2, 6, 1, block(10, 14, 1))
    ids = block(2, 6, 7, block(10, 14, 9))
    rows = scored(tmp_path, truth, (SOM, LESIONS), som=block(2, 6, 3), lesions=ids)
    assert rows["lesions", 0].dice == 1.0
    assert rows["som", 0].recall == 0.5


def test_the_first_time_point_is_compared(tmp_path):
    later = np.stack([block(2, 6, 3), block(10, 14, 3)])
    series = np.zeros((2, *SHAPE), np.float32)
    place = store(tmp_path / "run", series, labels={"som": later})
    matrix = np.diag([-0.8, -0.8, 2.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(block(2, 6).T, matrix), tmp_path / "truth.nii")
    rows = run(TruthItem(place, str(tmp_path / "truth.nii"), (SOM,))).rows["truth"]
    assert {row.dice for row in rows} == {1.0}


def test_a_coarser_truth_covers_the_whole_of_its_voxels(tmp_path):
    place = store(tmp_path / "run", np.zeros(SHAPE, np.float32), labels={"som": np.full(SHAPE, 3)})
    matrix = np.diag([-1.6, -1.6, 4.0, 1.0])
    matrix[:3, 3] = (-0.4, -0.4, 1.0)  # two voxels along each axis make one of the truth
    coarse = np.ones([n // 2 for n in SHAPE], np.uint8)
    nibabel.save(nibabel.Nifti1Image(coarse.T, matrix), tmp_path / "truth.nii")
    rows = run(TruthItem(place, str(tmp_path / "truth.nii"), (SOM,))).rows["truth"]
    assert {row.dice for row in rows} == {1.0}


def test_a_truth_elsewhere_is_refused(tmp_path):
    away = Geometry.from_spacing(SHAPE, (2.0, 0.8, 0.8)).matrix.copy()
    away[:3, 3] = 500.0
    with pytest.raises(DataError, match="outside the scan"):
        scored(tmp_path, block(2, 6), affine=away, som=block(2, 6, 3))


def test_memory_stays_within_what_is_declared_even_for_noise(tmp_path):
    rng = np.random.default_rng(0)
    shape = (64, 128, 128)
    truth = np.where(rng.random(shape) > 0.5, np.where(rng.random(shape) > 0.5, 300, 1), 0)
    som = np.where(rng.random(shape) > 0.5, 3, 1)
    (tmp_path / "small").mkdir()
    scored(tmp_path / "small", block(2, 6), som=block(2, 6, 3))  # loops are compiled by now
    (tmp_path / "big").mkdir()
    place = store(tmp_path / "big/run", np.zeros(shape, np.float32), labels={"som": som})
    own = np.diag([-0.8, -0.8, 2.0, 1.0])
    path = tmp_path / "big/truth.nii"
    nibabel.save(nibabel.Nifti1Image(truth.T.astype(np.int16), own), path)
    tracemalloc.start()
    run(TruthItem(place, str(path), (SOM,)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= needs((1, 1, *shape)).memory_bytes - WORKER_BYTES
