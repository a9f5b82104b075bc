"""Slices too large for a task, and slabs of another depth: the same masks and tables."""

import numpy as np
import pandas
import pytest

import somray
from somray.io.ome import metadata
from somray.kernels.student import predict
from tests.pipeline.tiny import run_tiny, save, write_manifest

SHAPE = (8, 100, 112)
PROTOCOL = {"modality": "XCT", "segment": "som", "registration": {"pairs": ["sessions"]}}
EQUAL = ("lesions", "evolution", "slices", "areas", "clusters", "burden", "links")


def solid(seed):
    """Draw pores of several sizes in a noisy solid, some of them across the borders of tiles and slabs."""
    random = np.random.default_rng(seed)
    z, y, x = np.indices(SHAPE)
    values = 170 + 4 * np.sin(y / 17) + random.normal(0, 3, SHAPE)
    for cz, cy, cx, r in (
        (4, 64, 64, 5),
        (2, 30, 64, 4),
        (5, 84, 90, 6),
        (4, 64, 20, 3),
        (1, 40, 100, 4),
    ):
        values[(2 * (z - cz)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= (r + 0.45) ** 2] = 60
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def ran(folder, previous=None, sessions=2):
    """Run the solids, with a teacher of an earlier run where there is one."""
    folder.mkdir()
    for n in range(sessions):
        save(folder / f"{n}.nii", solid(n))
    rows = [("a", f"t{n}", "p", f"{n}.nii") for n in range(sessions)]
    carried = {} if previous is None else {"teacher": {"previous": previous.root}}
    write_manifest(folder, rows, {"p": {**PROTOCOL, **carried}})
    assert run_tiny(folder)["failed"] == 0
    return somray.open_run(folder / "run")


def assert_same(one, other, **digits):
    for name in EQUAL:
        assert len(one.table(name)), name
        pandas.testing.assert_frame_equal(one.table(name), other.table(name), **digits)
    pandas.testing.assert_frame_equal(one.table("drift"), other.table("drift"), rtol=1e-9)
    for session in ("t0", "t1"):
        for array in ("image", "som", "lesions"):
            np.testing.assert_array_equal(
                one.scan("a", session)[array].values, other.scan("a", session)[array].values
            )


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A run of two solids in whole slices, each in one slab."""
    return ran(tmp_path_factory.mktemp("deep") / "deep")


def test_slabs_of_any_depth_give_the_same(deep, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "MAX_SLAB_DEPTH", 2)
    assert_same(deep, ran(tmp_path / "flat"), check_exact=True)


def test_tiles_give_the_same_as_whole_slices(deep, tmp_path, monkeypatch):
    """The teacher is carried over: tiles are fitted on as a fold, which adds up in another order."""
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 4 * 2 * 64 * 64)
    assert metadata.is_cut((1, *SHAPE[1:]))
    cut = ran(tmp_path / "cut", deep)
    assert_same(deep, cut, rtol=1e-9)  # floats of a lesion add up tile by tile


def test_a_cut_scan_is_fitted_and_learned_from(tmp_path, monkeypatch):
    monkeypatch.setitem(predict.TILES, 2, 64)
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 4 * 2 * 64 * 64)
    monkeypatch.setitem(PROTOCOL, "segment", "student")
    monkeypatch.setitem(PROTOCOL, "student", {"rounds": 2, "steps": 6})
    run = ran(tmp_path / "cut", sessions=1)
    slices = run.table("slices")
    assert slices.groupby("method").size().to_dict() == {"lesions": 8, "som": 8, "student": 8}
    assert run.scan("a", "t0")["student"].values.shape[-3:] == SHAPE
