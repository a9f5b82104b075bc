"""Files that do not say how large their voxels are: what a person gives, and masks drawn on such scans."""

import nibabel
import numpy as np
import pytest
import tifffile

from somray.domain.geometry import Geometry
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.report.data.truth import TruthMask
from somray.stages.ingest import IngestItem, probe, run
from somray.stages.truth import TruthItem, TruthMethod
from somray.stages.truth import run as compare
from tests.stages.stored import store

GIVEN = (0.003, 0.002, 0.001)


def test_a_given_voxel_size_reaches_scan_row_and_plan(tmp_path):
    values = np.random.default_rng(0).integers(0, 999, (3, 20, 30)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    scan = Scan("s", "t0", "p", (str(tmp_path / "a.tif"),), "a.tif")
    item = IngestItem(
        str(tmp_path / "run"), scan, "XCT", ("XCT",), (None,), "refuse", 0.01, spacing_mm=GIVEN
    )  # fmt: skip
    assert probe(item)["spacing_mm"] == pytest.approx(GIVEN)
    (row,) = run(item).rows["scans"]
    assert (row.spacing_z_mm, row.spacing_y_mm, row.spacing_x_mm) == pytest.approx(GIVEN)
    assert row.repairs == "spacing_given"
    meta = read_meta(Storage.at(item.root), RunLayout.scan("s", "t0"))
    assert meta.geometry.spacing_mm == pytest.approx(GIVEN)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_mask_that_names_no_size_lies_on_the_scan_it_was_drawn_on(tmp_path, noise):
    grid = Geometry.from_spacing((3, 8, 9), GIVEN)
    truth = np.zeros((3, 8, 9), np.uint8)
    truth[1, 2:5, 3:6] = 1
    drawn = (truth + noise * np.cos(np.arange(truth.size)).reshape(truth.shape)).astype(np.float32)
    tifffile.imwrite(tmp_path / "truth.tif", drawn, photometric="minisblack")
    place = store(
        tmp_path / "run", np.zeros(truth.shape, np.float32), grid, labels={"som": 3 * truth}
    )
    item = TruthItem(place, str(tmp_path / "truth.tif"), (TruthMethod("som", "som", (3,)),))
    assert {row.label: row.dice for row in compare(item).rows["truth"]} == {0: 1.0, 1: 1.0}
    np.testing.assert_array_equal(TruthMask(item.path).on_slice(grid, 0, 1), truth[1] > 0)
    assert not TruthMask(item.path).on_slice(grid, 0, 2).any()


def test_masks_of_micrometre_scans_are_not_taken_for_one_grid(tmp_path):
    """A thousandth of a millimetre is a whole voxel here."""
    truth = np.zeros((3, 8, 9), np.uint8)
    truth[1, 2:6, 2:6] = 1
    matrix = np.diag([1e-3, 1e-3, 1e-3, 1.0])
    matrix[0, 3] = 5e-3
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    nibabel.save(nibabel.Nifti1Image(truth.T, ras), tmp_path / "truth.nii")
    matrix[0, 3] = 6e-3  # the scan begins one voxel further
    grid = Geometry.from_matrix((3, 8, 9), matrix)
    moved = np.roll(truth, -1, axis=2)
    place = store(
        tmp_path / "run", np.zeros(truth.shape, np.float32), grid, labels={"som": 3 * moved}
    )
    item = TruthItem(place, str(tmp_path / "truth.nii"), (TruthMethod("som", "som", (3,)),))
    assert {row.label: row.dice for row in compare(item).rows["truth"]} == {0: 1.0, 1: 1.0}
