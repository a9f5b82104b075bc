"""What stands in for a scan says so, whatever its name, and how to get the scan."""

import os

import numpy as np
import pytest
import SimpleITK
import tifffile

from somray.errors import DataError
from somray.io.readers import open_source
from somray.io.readers.dicom.dataset import is_dicom_file

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
ANNEX = "/annex/objects/MD5E-s17--1f2e.nii.gz\n"
PAGE = "\n<!DOCTYPE html><html><head><title>Sign in</title></head></html>"


def refused(path):
    with pytest.raises(DataError) as caught:
        open_source(path)
    return caught.value


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mhd", "a.tif", "a.png", "a.dcm", "a"])
@pytest.mark.parametrize(
    ("text", "advice"), [(LFS, "git lfs pull"), (ANNEX, "git annex get"), (PAGE, "download it")]
)
def test_pointers_and_web_pages_are_called_so(tmp_path, name, text, advice):
    (tmp_path / name).write_text(text)
    error = refused(tmp_path / name)
    assert (error.code, advice in error.message) == ("unreadable", True)


def test_a_link_to_nothing_is_called_so_and_does_not_say_where_it_leads(tmp_path):
    (tmp_path / "a.nii.gz").symlink_to(tmp_path / "Anna" / "b.nii.gz")
    error = refused(tmp_path / "a.nii.gz")
    assert (error.code, "datalad get" in error.message, "Anna" in error.message) == (
        "missing", True, False,
    )  # fmt: skip


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.nii.gz")
    error = refused(tmp_path / "a.nii.gz")
    assert (error.code, "pipe" in error.message) == ("unreadable", True)
    assert not is_dicom_file(tmp_path / "a.nii.gz")


def test_a_pointer_among_slices_is_called_so(tmp_path):
    for z in range(3):
        tifffile.imwrite(tmp_path / f"s{z}.tif", np.zeros((4, 5), np.uint16))
    (tmp_path / "s1.tif").write_text(LFS)
    assert "s1.tif: is a pointer of Git LFS" in refused(tmp_path).message


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.zraw", "name the header"), ("a.vol", "name the header"), ("a.npy", "save the volume as NIfTI"),
        ("a.MAT", "save the volume as NIfTI"), ("a.tar.gz", "unpack it, and name the scan inside"),
        ("IM1.gz", "is packed; unpack it"), ("a.stl", "name the volume itself"), ("a.mgz", "mri_convert"),
    ],
)  # fmt: skip
def test_files_that_are_no_scan_by_themselves_say_what_to_name_instead(tmp_path, name, advice):
    (tmp_path / name).write_bytes(bytes(100))
    error = refused(tmp_path / name)
    assert (error.code, advice in error.message) == ("unreadable", True)


def test_a_folder_of_a_format_that_is_not_read_names_it(tmp_path):
    for name in ("s1.jp2", "s2.jp2", "notes.txt"):
        (tmp_path / name).write_bytes(bytes(100))
    assert "holds no scan; s1.jp2 is a picture in JPEG 2000; export" in refused(tmp_path).message


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_a_folder_of_volumes_is_called_so(tmp_path, ending):
    for name in ("a", "b"):
        image = SimpleITK.GetImageFromArray(np.zeros((2, 3, 4), np.int16))
        SimpleITK.WriteImage(image, str(tmp_path / f"{name}.{ending}"))
    error = refused(tmp_path)
    assert (error.code, f"such as a.{ending}; name one" in error.message) == ("unreadable", True)
