"""Masks at URLs: what has a reader of its own for masks is read there as it is here."""

import tempfile

import fsspec
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from somray.errors import DataError
from somray.io.masks.anatomy import organ_names
from somray.io.masks.opening import open_mask
from somray.io.masks.rtstruct import check_frame
from tests.io.dicom_files import make_slice, save
from tests.io.masks.structures import box, write_structures
from tests.io.masks.test_dicom_seg import SHAPE, write
from tests.io.masks.test_rtstruct import GRID

HOME = "memory://remote-masks"


@pytest.fixture
def held(tmp_path, monkeypatch):
    """Return what was fetched and is still there; masks of every kind lie at a URL and, the same, in `in`."""
    folder, fetch = tmp_path / "in", tmp_path / "fetch"
    for one in (folder / "organs", fetch):
        one.mkdir(parents=True)
    rois = [(1, "Liver", "ORGAN", [box(33.0, -6.5, -2.5, 8.5, 10.5)]),
            (2, "GTV", "GTV", [box(33.0, -5.5, -1.5, 8.5, 10.5)])]  # fmt: skip
    write_structures(folder / "rs.dcm", rois)
    half = np.zeros(SHAPE[1:], np.uint8)
    half[:3] = 1
    write(folder / "seg.dcm", [((1, 0), half), ((2, 0), 1 - half)])
    Image.fromarray(np.array([[[0, 0, 0], [255, 0, 0]]], np.uint8)).save(folder / "colors.png")
    for name, at in (("kidney", 0), ("spleen", 1)):
        mask = np.zeros((2, 1, 1), np.uint8)
        mask[at] = 1
        nib.save(nib.Nifti1Image(mask, np.eye(4)), folder / "organs" / f"{name}.nii")
    monkeypatch.setattr(tempfile, "tempdir", str(fetch))
    files = fsspec.filesystem("memory")
    files.put(f"{folder}/", "/remote-masks/", recursive=True)
    yield lambda: list(fetch.iterdir())
    files.rm("/remote-masks", recursive=True)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("rs.dcm", {1: "Liver", 2: "GTV"}),
        ("rs.dcm#channel=GTV", {1: "Liver", 2: "GTV"}),
        ("seg.dcm#channel=2", {1: "organ 1", 2: "organ 2"}),
        ("colors.png", {}),
        ("organs", {1: "kidney", 2: "spleen"}),
    ],
)
def test_a_mask_at_a_url_is_read_as_it_is_here(tmp_path, held, name, names):
    with (
        open_mask(f"{tmp_path}/in/{name}", GRID) as here,
        open_mask(f"{HOME}/{name}", GRID) as there,
    ):
        there.verify()
        here.verify()
        depth = here.header.shape[1]
        assert there.header.geometry.is_same_grid(here.header.geometry)
        assert there.read(0, 0, depth).any()
        np.testing.assert_array_equal(there.read(0, 0, depth), here.read(0, 0, depth))
        assert (there.notes, len(held())) == (here.notes, 1)
    assert organ_names(f"{HOME}/{name}") == names
    assert held() == []


def test_the_frame_of_a_structure_set_at_a_url_is_compared(tmp_path, held):
    scan = make_slice((0, 0, 0))
    scan.FrameOfReferenceUID = "9.9.9"
    save(tmp_path / "ct", [scan])
    with pytest.raises(DataError, match="another frame of reference") as caught:
        check_frame(f"{HOME}/rs.dcm", str(tmp_path / "ct"))
    assert caught.value.code == "mask_mismatch"
    check_frame(f"{HOME}/seg.dcm", str(tmp_path / "ct"))
    assert held() == []


def test_what_is_not_there_is_named_by_its_url(held):
    for ask in (open_mask, organ_names):
        with pytest.raises(
            DataError, match=r"memory://remote-masks/none\.dcm: does not exist"
        ) as caught:
            ask(f"{HOME}/none.dcm")
        assert caught.value.code == "missing"
