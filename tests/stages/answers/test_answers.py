"""A model asked directly gives what a run gives: the same bits whatever threads, bricks or ways in."""

import numpy as np
import pytest

from somray.domain.channel import channels_of
from somray.errors import ConfigError, DataError, ShapeError
from somray.io.run import open_run
from somray.kernels.features.view import ScanSlices
from somray.kernels.teacher.apply import Transfer
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from somray.stages.answers.fitted import Fitted, load_fitted
from somray.stages.answers.held import HeldScan, hold
from somray.stages.answers.scans import StoppedAnswerError, answer_scan
from somray.stages.answers.slices import SliceAsked, answer_slice
from somray.stages.ingest.item import IngestItem
from tests.commands.serve.served import PLANE, SPACING, make_run
from tests.pipeline.tiny import save


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOMRAY_NUM_THREADS", "1")
        return make_run(tmp_path_factory.mktemp("answers"))


@pytest.fixture(scope="module")
def fitted(run):
    return load_fitted(open_run(run), "p")


@pytest.fixture(scope="module")
def held(run, fitted):
    return hold(fitted, [str(run.parent / "a.nii.gz")])


def test_a_scan_held_in_memory_is_the_scan_of_the_run(run, held):
    stored = open_run(run).scan("s1", "t0")
    assert np.array_equal(held.values, stored.image.values)
    assert held.meta.geometry.spacing_mm == pytest.approx(SPACING)
    assert held.meta.geometry.matrix.tolist() == stored.attrs["affine"]
    assert held.level is None


def test_class_map_areas_and_drift_are_those_of_the_run(run, fitted, held):
    found, stored = answer_scan(fitted, held), open_run(run)
    assert np.array_equal(found.labels, stored.scan("s1", "t0").som.values)
    areas = stored.table("areas").set_index(["z", "class_name"])["area_mm2"]
    slices = stored.table("slices").query("method == 'som'").set_index("z")
    for one in found.slices:
        for name, area in one["area_mm2"].items():
            assert area == pytest.approx(areas[one["z"], name])
        assert one["target_area_mm2"] == pytest.approx(slices.loc[one["z"], "target_area_mm2"])
        sure = slices.loc[one["z"], "confidence"]
        assert (one["target_confidence"] is None) == np.isnan(sure)
        assert one["target_confidence"] is None or one["target_confidence"] == pytest.approx(sure)
    drift = stored.table("drift").iloc[0]
    assert found.drift.status == drift.status
    assert found.drift.distance_ratio == drift.distance_ratio
    assert found.facts()["doubts"] == fitted.teacher.doubtful


@pytest.mark.parametrize("method", ["som", "student"])
def test_threads_and_bricks_change_no_bit(fitted, held, method, monkeypatch):
    whole = answer_scan(fitted, held, method)
    monkeypatch.setattr("somray.io.ome.metadata.MAX_SLAB_DEPTH", 2)
    for threads in (1, 3):
        again = answer_scan(fitted, held, method, threads)
        assert np.array_equal(again.labels, whole.labels)
        assert np.array_equal(again.confidence, whole.confidence)
        assert again.slices == whole.slices
        assert again.drift == whole.drift


@pytest.mark.parametrize("method", ["som", "student"])
def test_a_slice_alone_is_the_slice_of_its_scan(fitted, held, method):
    whole = answer_scan(fitted, held, method)
    for z in (0, 3):
        alone = answer_slice(fitted, SliceAsked(held.values[0, :, z], PLANE, method), 2)
        assert np.array_equal(alone.labels[0, 0], whole.labels[0, z])
        assert np.array_equal(alone.confidence[0, 0], whole.confidence[0, z])
        area = whole.slices[z]["target_area_mm2"]
        assert alone.slices[0]["target_area_mm2"] == pytest.approx(area)


def test_volume_is_area_times_distance_of_slices(fitted, held):
    found = answer_scan(fitted, held)
    counts = np.bincount(found.labels.ravel(), minlength=8)
    for value, name in fitted.teacher.class_names.items():
        assert found.volumes_ml[0][name] == pytest.approx(counts[value] * 2.0 * 0.8 * 0.8 / 1000)
    assert np.array_equal(found.mask, found.labels == 3)


def test_a_drifted_scan_is_warned_of(fitted, held):
    assert not any("carry over" in w for w in answer_scan(fitted, held).warnings)
    moved = HeldScan(held.meta, held.values * 2 + 300, None)
    found = answer_scan(fitted, moved)
    assert found.verdict == "drifted"
    assert found.warnings[0].startswith("the teacher may not carry over: ")
    alone = answer_slice(fitted, SliceAsked(moved.values[0, :, 3], PLANE))
    assert "as far as one slice tells" in alone.warnings[0]


def test_holes_have_no_class_and_no_confidence(fitted, held):
    image = held.values[0, :, 3].copy()
    image[:, :5] = np.nan
    for method in ("som", "student"):
        found = answer_slice(fitted, SliceAsked(image, PLANE, method))
        assert not found.labels[..., :5, :].any()
        assert not found.confidence[..., :5, :].any()
        assert found.confidence[..., 8:, :].any()


def test_an_answer_that_nobody_wants_is_not_finished(fitted, held):
    with pytest.raises(StoppedAnswerError):
        answer_scan(fitted, held, is_wanted=lambda: False)


def test_what_a_run_does_not_have_is_refused(run, fitted, held):
    with pytest.raises(ConfigError, match="the run has p"):
        load_fitted(open_run(run), "q")
    bare = Fitted("p", fitted.config, fitted.teacher)
    assert bare.methods == ("som",)
    bare.warm()
    for ask in (
        lambda: answer_scan(bare, held, "student"),
        lambda: answer_scan(bare, held, "magic"),
        lambda: answer_slice(bare, SliceAsked(held.values[0, :, 3], PLANE, "student")),
    ):
        with pytest.raises(ShapeError):
            ask()


def test_a_scan_that_a_run_would_set_aside_is_refused(fitted, tmp_path):
    save(tmp_path / "flat.nii.gz", np.zeros((3, 8, 8), np.int16))
    with pytest.raises(DataError) as refused:
        hold(fitted, [str(tmp_path / "flat.nii.gz")])
    assert refused.value.code == "blank"
    with pytest.raises(DataError) as refused:
        hold(fitted, [str(tmp_path / "none.nii.gz")])
    assert refused.value.code == "missing"


def test_headers_are_looked_at_before_pixels(fitted, run, monkeypatch):
    def check(meta, sources):
        assert meta.shape == (1, 1, 8, 32, 32)
        raise InterruptedError

    monkeypatch.setattr(IngestItem, "facts", None)
    with pytest.raises(InterruptedError):
        hold(fitted, [str(run.parent / "a.nii.gz")], check)


def test_a_teacher_of_three_dimensions_wants_the_scan(fitted, held):
    images = np.moveaxis(held.values[0], 1, 0)
    spec = TeacherSpec(modality="CT", channels=("CT",), windows=(None,), grid=(3, 3), dimensions=3)
    model = fit_teacher(images, spec, SPACING).model
    deep = Fitted("p", fitted.config, model)
    deep.warm()
    with pytest.raises(ShapeError, match="neighbouring"):
        answer_slice(deep, SliceAsked(held.values[0, :, 3], PLANE))
    found = answer_scan(deep, held)
    truth = Transfer(model).label(ScanSlices.of(images, SPACING)).labels
    assert np.array_equal(found.labels[0], truth)


def test_uptake_counts_where_there_is_pet_alone(fitted, held):
    assert not fitted.sees_uptake
    assert channels_of("CT", ("CT",))[0].kind == "CT"
    with pytest.raises(ShapeError, match="PET"):
        answer_slice(fitted, SliceAsked(held.values[0, :, 3], PLANE, level=2.0))
