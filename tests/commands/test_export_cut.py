"""Masks of scans whose slices are cut leave row by row, with the bytes of whole slices."""

import gzip
import json

import nibabel as nib
import nrrd
import numpy as np
import pytest

from somray.cli import main
from somray.domain.geometry import Geometry
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.io.writers import voxels
from somray.io.writers.nifti import write_nifti
from tests.commands.ingested import balls, ingested

BALLS = (10.0, 30.0, 2.0, 9.0), (60.0, 40.0, 3.0, 12.0)


def image(path, shape=(5, 80, 100), spacing=(1.0, 1.0, 1.0)):
    values = np.random.default_rng(0).normal(40, 200, shape).astype(np.float32)
    nib.Nifti1Image(values.T, np.diag([-spacing[2], -spacing[1], spacing[0], 1])).to_filename(path)
    return path


def exported(run, out, form, capsys, *further):
    arguments = ["export", str(run), "--format", form, "--out", str(out), "--json", *further]
    assert main(arguments) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "TILE_PIXELS", 32)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * 32 * 32 * 4)
    monkeypatch.setattr(voxels, "PIECE_VOXELS", 1000)
    monkeypatch.setattr(voxels, "SLICE_BYTES", 1000)
    paths = [("a", "t0", image(tmp_path / "a.nii"))]
    return ingested(tmp_path, paths, balls(*BALLS))


def test_masks_of_cut_slices_come_back_where_they_were_drawn(run, tmp_path, capsys):
    exported(run, tmp_path / "out", "nifti", capsys, "--label", "lesions", "--label", "som")
    z, y, x = np.mgrid[:5, :80, :100]
    drawn = balls(*BALLS)(np.stack([x, y, z], axis=-1).reshape(-1, 3), 0).reshape(z.shape)
    found = np.asarray(nib.load(tmp_path / "out" / "sub-a_ses-t0_lesions.nii.gz").dataobj).T
    np.testing.assert_array_equal(found, drawn)
    som = np.asarray(nib.load(tmp_path / "out" / "sub-a_ses-t0_som.nii.gz").dataobj).T
    np.testing.assert_array_equal(som, 2 + (drawn > 0))
    exported(run, tmp_path / "out", "nrrd", capsys, "--label", "lesions")
    np.testing.assert_array_equal(
        nrrd.read(tmp_path / "out" / "sub-a_ses-t0_lesions.nrrd")[0].T, drawn
    )


def test_a_training_set_of_cut_slices_holds_images_and_labels(run, tmp_path, capsys):
    exported(run, tmp_path / "out", "nnunet", capsys)
    (folder,) = (tmp_path / "out").iterdir()
    found = nib.load(next((folder / "imagesTr").iterdir()))
    expected = np.asarray(nib.load(tmp_path / "a.nii").dataobj)
    np.testing.assert_array_equal(np.asarray(found.dataobj), expected)
    labels = np.asarray(nib.load(next((folder / "labelsTr").iterdir())).dataobj)
    assert set(np.unique(labels)) == {0, 1}


def test_rows_give_the_bytes_of_whole_slices_and_are_all_that_is_held(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 200, (3, 70, 90)).astype(np.uint8)
    asked = []

    def read(box):
        asked.append(box.voxels)
        return values[box.box]

    mask = voxels.Voxels(Geometry.from_spacing(values.shape, (1, 1, 1)), 1, "uint8", read)
    storage = Storage.at(tmp_path)
    write_nifti(storage, "whole.nii.gz", mask)
    monkeypatch.setattr(voxels, "PIECE_VOXELS", 500)
    monkeypatch.setattr(voxels, "SLICE_BYTES", 1000)
    asked.clear()
    write_nifti(storage, "rows.nii.gz", mask)
    assert max(asked) <= 1000
    whole, rows = (
        gzip.decompress((tmp_path / f"{n}.nii.gz").read_bytes()) for n in ("whole", "rows")
    )
    assert whole == rows
