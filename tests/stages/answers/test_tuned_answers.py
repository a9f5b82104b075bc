"""What `finetune` trained, asked from memory: the voxels of `somray apply --method finetuned`, whatever the way in."""

import shutil

import numpy as np
import pytest

from somray.commands.apply.model import apply_model
from somray.domain.brick import Brick
from somray.domain.run import RunLayout
from somray.errors import ShapeError
from somray.io.models import write_segmenter
from somray.io.ome.image import read_label_brick, read_meta
from somray.io.run import open_run
from somray.io.storage import Storage
from somray.kernels.student import window
from somray.stages.answers.fitted import load_fitted
from somray.stages.answers.held import hold
from somray.stages.answers.scans import answer_scan
from somray.stages.answers.slices import SliceAsked, answer_slice
from tests.commands.serve.served import PLANE, make_run
from tests.stages.answers.tuned import noisy_segmenter


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOMRAY_NUM_THREADS", "1")
        return make_run(tmp_path_factory.mktemp("tuned"), with_student=False)


@pytest.fixture
def taught(run, tmp_path):
    """Lays a segmenter of so many dimensions beside the teacher of a copy of the run."""

    def lay(dimensions):
        place = tmp_path / f"run{dimensions}"
        shutil.copytree(run, place)
        write_segmenter(Storage.at(place), "p", noisy_segmenter(dimensions))
        return place

    return lay


def of_apply(run, out):
    """The mask that `apply` writes."""
    told = apply_model(str(run), "p", [str(run.parent / "a.nii.gz")], out, "finetuned")
    storage, name = Storage.at(out), RunLayout.scan("new", "t0")
    shape = read_meta(storage, name).shape
    whole = Brick.of_slices(0, 0, shape[2], shape[3:])
    found = read_label_brick(storage, name, "finetuned", whole)[None]
    assert 0.02 < (found > 0).mean() < 0.98
    return found, told["target_area_mm2"]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_voxels_are_those_of_apply(run, taught, tmp_path, dimensions):
    place = taught(dimensions)
    shutil.copy(run.parent / "a.nii.gz", place.parent)
    truth, areas = of_apply(place, tmp_path / "applied")
    fitted = load_fitted(open_run(place), "p")
    assert fitted.methods == ("som", "finetuned")
    fitted.warm()
    held = hold(fitted, [str(place.parent / "a.nii.gz")])
    for threads in (1, 3):
        found = answer_scan(fitted, held, "finetuned", threads)
        assert np.array_equal(found.labels, truth)
        assert [one["target_area_mm2"] for one in found.slices] == pytest.approx(areas)
    assert found.drift is not None
    assert ((found.confidence >= 50) | ~np.isfinite(held.values[:, 0])).all()
    asked = SliceAsked(held.values[0, :, 3], PLANE, "finetuned")
    if dimensions == 3:
        with pytest.raises(ShapeError, match="sees whole volumes"):
            answer_slice(fitted, asked)
        return
    alone = answer_slice(fitted, asked)
    assert np.array_equal(alone.labels[0, 0], truth[0, 3])
    assert np.array_equal(alone.confidence[0, 0], found.confidence[0, 3])


def test_large_slices_are_seen_in_the_same_parts(run, taught, tmp_path, monkeypatch):
    place = taught(2)
    shutil.copy(run.parent / "a.nii.gz", place.parent)
    monkeypatch.setattr(window, "MOST_PIXELS", 500)
    monkeypatch.setattr(window, "SIDE", 20)
    truth, _ = of_apply(place, tmp_path / "applied")
    fitted = load_fitted(open_run(place), "p")
    held = hold(fitted, [str(place.parent / "a.nii.gz")])
    assert np.array_equal(answer_scan(fitted, held, "finetuned").labels, truth)


def test_what_has_no_data_is_never_target(taught):
    fitted = load_fitted(open_run(taught(2)), "p")
    image = np.full((1, 32, 32), 40.0, np.float32)
    image[:, :5] = np.nan
    found = answer_slice(fitted, SliceAsked(image, PLANE, "finetuned"))
    assert not found.labels[..., :5, :].any()
    assert not found.confidence[..., :5, :].any()
    assert found.confidence[..., 8:, :].any()


def test_it_is_refused_where_nothing_was_finetuned(run):
    fitted = load_fitted(open_run(run), "p")
    with pytest.raises(ShapeError, match="has no segmenter of `somray finetune`"):
        answer_slice(fitted, SliceAsked(np.zeros((1, 32, 32), np.float32), PLANE, "finetuned"))
    with pytest.raises(ShapeError, match="no segmenter"):
        _ = fitted.tuned
