"""Scans at URLs: fetched with their companions, removed on close, named without credentials."""

import tempfile

import fsspec
import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import tifffile

from somray.errors import DataError
from somray.io.readers import open_source, remote

VALUES = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(np.int16)
HOME = "memory://remote-test"


@pytest.fixture(autouse=True)
def fetched(tmp_path, monkeypatch):
    """Return what lies in the task's temporary folder, in a fixture that empties the memory's files."""
    (tmp_path / "fetch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "fetch"))
    yield lambda: list((tmp_path / "fetch").iterdir())
    files = fsspec.filesystem("memory")
    if files.exists("/remote-test"):
        files.rm("/remote-test", recursive=True)


def put(folder):
    fsspec.filesystem("memory").put(f"{folder}/", "/remote-test/", recursive=True)


def write(folder):
    folder.mkdir()
    image = SimpleITK.GetImageFromArray(VALUES)
    for name in ("a.nii.gz", "b.mhd", "c.nhdr", "d.mha"):
        SimpleITK.WriteImage(image, str(folder / name))
    nib.save(nib.Nifti1Pair(VALUES.T, np.eye(4)), folder / "e.hdr")
    (folder / "slices").mkdir()
    for z, plane in enumerate(VALUES):
        tifffile.imwrite(folder / "slices" / f"s{z}.tif", plane)
    return folder


@pytest.mark.parametrize(
    "name", ["a.nii.gz", "b.mhd", "c.nhdr", "d.mha", "e.hdr", "e.img", "slices"]
)
def test_every_format_is_fetched_whole_and_removed(tmp_path, fetched, name):
    put(write(tmp_path / "in"))
    with open_source(f"{HOME}/{name}") as source:
        source.verify()
        np.testing.assert_array_equal(source.read(0, 0, 5), VALUES)
        assert source.path == f"{HOME}/{name}"
        assert len(fetched()) == 1
    assert fetched() == []


def test_a_file_url_is_its_path(tmp_path, fetched):
    with open_source(f"file://{write(tmp_path / 'in')}/b.mhd") as source:
        np.testing.assert_array_equal(source.read(0, 0, 5), VALUES)
        assert fetched() == []


@pytest.mark.parametrize(
    ("url", "code", "word"),
    [(f"{HOME}/none.nii", "missing", "does not exist"), ("zzz://a/b.nii", "unreadable", "Protocol not known"),
     ("http://127.0.0.1:9/a.nii", "unreadable", "cannot be reached")],
)  # fmt: skip
def test_a_url_that_cannot_be_read_is_coded(fetched, url, code, word):
    with pytest.raises(DataError, match=word) as caught:
        open_source(url)
    assert caught.value.code == code
    assert fetched() == []


def test_credentials_stay_out_of_messages():
    with pytest.raises(DataError) as caught:
        open_source("http://user:secret@127.0.0.1:9/a.nii?signature=hidden")
    assert "http://127.0.0.1:9/a.nii" in caught.value.message
    assert not any(word in str(caught.value) for word in ("secret", "hidden", "user:"))


def test_errors_of_fetched_files_name_the_url(tmp_path, fetched):
    folder = write(tmp_path / "in")
    content = (folder / "a.nii.gz").read_bytes()
    (folder / "a.nii.gz").write_bytes(content[:-20])
    (folder / "d.mha").write_bytes(b"nonsense")
    put(folder)
    for name in ("a.nii.gz", "d.mha"):
        with pytest.raises(DataError) as caught, open_source(f"{HOME}/{name}") as source:
            source.read(0, 0, 5)
        assert caught.value.code in ("truncated", "unreadable")
        assert f"{HOME}/{name}" in caught.value.message
        assert "somray-fetch" not in caught.value.message
    assert fetched() == []


def test_companions_outside_the_folder_are_not_fetched(tmp_path, fetched):
    folder = write(tmp_path / "in")
    header = (folder / "b.mhd").read_text().replace("b.raw", "../../etc/b.raw")
    (folder / "b.mhd").write_text(header)
    put(folder)
    with pytest.raises(DataError) as caught:
        open_source(f"{HOME}/b.mhd")
    assert caught.value.code == "missing"


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    tmp_path, monkeypatch, fetched
):
    put(write(tmp_path / "in"))
    monkeypatch.setattr(remote, "_SPARE", 1e15)
    with pytest.raises(DataError, match="TMPDIR") as caught:
        open_source(f"{HOME}/a.nii.gz")
    assert caught.value.code == "storage"
    assert fetched() == []
