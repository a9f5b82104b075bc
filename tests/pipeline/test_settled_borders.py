"""Lesions that a map draws end half way to normal tissue, whatever their scan is cut into; masks stay as drawn."""

import csv

import numpy as np
import pytest
from scipy import ndimage

from somray.io.ome import metadata
from somray.io.run import open_run
from tests.pipeline.tiny import run_tiny, save, write_manifest

SHAPE = (10, 48, 48)


def pores(seed=3):
    """Draw a solid with thin dark pores, blurred; return values and truth (z, y, x)."""
    rng = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2.5)
    truth = truth > np.quantile(truth, 0.85)
    values = ndimage.gaussian_filter(np.where(truth, 600.0, 1500.0), 0.8)
    return np.rint(values + rng.normal(0, 25, SHAPE)).astype(np.int16), truth


def ran(folder, modality="XCT", rule="auto", judged=False):
    folder.mkdir()
    values, truth = pores()
    values = values if modality == "XCT" else 1500 - values  # dense things on CT
    save(folder / "a.nii.gz", values, (0.05, 0.05, 0.05))
    protocol = {
        "modality": modality,
        "segment": "som",
        "registration": {"pairs": []},
        "objects": {"rule": rule},
        "intensity": {"XCT": {"window": [400, 1700]}} if modality == "XCT" else {},
    }
    write_manifest(folder, [("s", "t0", "p", "a.nii.gz")], {"p": protocol})
    if judged:
        save(folder / "truth.nii.gz", truth.astype(np.uint8), (0.05, 0.05, 0.05))
        lines = list(csv.reader((folder / "scans.csv").read_text().splitlines()))
        with (folder / "scans.csv").open("w", newline="") as file:
            csv.writer(file).writerows([[*lines[0], "truth"], [*lines[1], "truth.nii.gz"]])
    run_tiny(folder)
    return open_run(folder / "run")


def dice(run, method):
    truth = run.table("truth")
    return float(truth[(truth.method == method) & (truth.label == 0)].dice.iloc[0])


@pytest.fixture(scope="module", params=["XCT", "CT"])
def uncut(request, tmp_path_factory):
    """A modality, and its run in one slab."""
    folder = tmp_path_factory.mktemp("uncut") / "auto"
    return request.param, ran(folder, request.param, judged=True)


def test_lesions_are_nearer_to_the_truth_than_the_mask_they_come_from(uncut):
    modality, run = uncut
    assert dice(run, "lesions") > dice(run, "som") + 0.03
    scan = run.scan("s", "t0")
    lesion, drawn = scan.lesions.values > 0, scan.som.values == 3
    assert not (lesion & ~ndimage.binary_dilation(drawn[0], np.ones((3, 3, 3)))).any()
    if modality == "XCT":
        fraction = run.table("porosity").query("axis == 'z'").fraction.mean()
        assert fraction == pytest.approx(pores()[1].mean(), rel=0.15)


def test_without_a_rule_lesions_keep_the_pixels_that_were_drawn(tmp_path):
    run = ran(tmp_path / "none", rule="none", judged=True)
    scan = run.scan("s", "t0")
    assert dice(run, "lesions") == pytest.approx(dice(run, "som"), abs=0.01)
    assert not ((scan.lesions.values > 0) & (scan.som.values != 3)).any()


def test_slabs_and_tiles_give_the_same_lesions(uncut, tmp_path, monkeypatch):
    modality, run = uncut
    first = run.scan("s", "t0")
    whole = first.lesions.values
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 3 * 48 * 48 * 4)
    slabs = ran(tmp_path / "slabs", modality).scan("s", "t0").lesions.values
    assert np.array_equal(whole, slabs)
    monkeypatch.setattr(metadata, "TILE_PIXELS", 24)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 4 * 24 * 24 * 4)
    cut = ran(tmp_path / "tiles", modality).scan("s", "t0")
    assert np.array_equal(first.som.values, cut.som.values)
    assert np.array_equal(whole, cut.lesions.values)
