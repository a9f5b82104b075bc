import os
import warnings

import nibabel as nib
import numpy as np
import pydicom
import pytest

from somray.io.cohort.discover import propose
from tests.io.cohort.trees import nifti, seen, series
from tests.io.dicom_files import make_slice


def test_scripts_that_are_empty_and_pages_are_what_they_should_be(tmp_path):
    nifti(tmp_path / "P1/ct.nii.gz")
    held = {
        "view.html": "<html>",
        "old.nii": "<html>",
        "brain.mgz": "x",
        "a.dcm.gz": "x",
        "mcf.par": "0.1 0",
    }
    held |= {"T1.PAR": "# === DATA DESCRIPTION FILE ===", "physio.tsv.gz": ""}
    for name in ("__init__.py", "1.2.840.7", *held):
        (tmp_path / "P1" / name).write_text(held.get(name, ""))
    found = propose([tmp_path])
    assert {left["path"].rpartition("/")[2]: left["why"].partition(";")[0] for left in found.left_out} == {
        "old.nii": "is a web page, not the file that was meant", "1.2.840.7": "is empty",
        "brain.mgz": "is FreeSurfer's", "a.dcm.gz": "is packed by gzip", "T1.PAR": "is Philips PAR/REC",
    }  # fmt: skip
    assert "4 other files are no scans" in "".join(found.notes)


def test_what_pydicom_says_of_values_that_it_doubts_is_not_repeated(tmp_path):
    series(tmp_path / "P1", "A1")
    file = next((tmp_path / "P1").iterdir())
    held = b"1.2.826.0.1.3680043.8.498."
    file.write_bytes(file.read_bytes().replace(held, b"Doe^Jane" + held[8:]))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        propose([tmp_path])
    assert b"Doe^Jane" in file.read_bytes()
    assert said == []


def test_links_are_followed_once_and_dead_ones_named(tmp_path):
    for n in range(4):
        nifti(tmp_path / f"store/sub-{n}/ses-1/sub-{n}_ses-1_ct.nii.gz")
    subset = tmp_path / "subset"
    (subset / "sub-2/ses-1").mkdir(parents=True)
    for n in range(2):
        os.symlink(tmp_path / f"store/sub-{n}", subset / f"sub-{n}")
    name = "sub-{0}/ses-1/sub-{0}_ses-1_ct.nii.gz"
    os.symlink(tmp_path / "store" / name.format(2), subset / name.format(2))
    (subset / "sub-3/ses-1").mkdir(parents=True)
    os.symlink("../../.git/annex/objects/none", subset / name.format(3))
    os.symlink(subset, subset / "sub-2" / "loop")
    rows, notes = seen(subset, "subject", "path")
    assert rows == [(str(n), name.format(n)) for n in range(3)]
    assert f"{name.format(3)}: is a link to nothing" in notes
    assert "sub-2/loop: is a link to a folder that was looked at" in notes
    found = propose([tmp_path])  # the folders themselves come before links to them
    assert sorted({r["path"].split("/store/")[-1] for r in found.rows})[:4] == [
        name.format(n) for n in range(4)
    ]


def test_litter_is_passed_over_and_the_rest_told(tmp_path):
    nifti(tmp_path / "P1/ct.nii.gz")
    for name in (
        "Thumbs.db",
        ".DS_Store",
        "._ct.nii.gz",
        "desktop.ini",
        "VERSION",
        "notes.txt",
        "a.npy",
    ):
        (tmp_path / "P1" / name).write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    (tmp_path / "P1" / "scans.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "P1" / "empty.nii.gz").write_bytes(b"")
    (tmp_path / "P1" / "lfs.nii.gz").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "x.nii.gz").write_bytes(b"x")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "run" / "cohort.yaml").write_text("{}")
    rows, notes = seen(tmp_path, "path")
    assert rows == [("P1/ct.nii.gz",)]
    for words in ("scans.zip: is an archive; unpack", "empty.nii.gz: is empty", "git lfs pull",
                  "run: is a run of somray", "(.txt 1, .npy 1)"):  # fmt: skip
        assert words in notes
    assert "Thumbs" not in notes


def test_damaged_files_are_left_out_with_their_code(tmp_path):
    nifti(tmp_path / "P1/ct.nii.gz")
    (tmp_path / "P1/bad.nii.gz").write_bytes(b"nothing" * 20)
    (tmp_path / "P1/bad.nrrd").write_bytes(b"NRRD0004\ntype: int\n")
    (tmp_path / "P1/bad.mhd").write_bytes(b"NDims = 3\n")
    (tmp_path / "P1/bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 300)
    (tmp_path / "P1/bad.tif").write_bytes(b"II*\0" + b"\xff" * 100)
    found = propose([tmp_path])
    assert [row["path"] for row in found.rows] == [str(tmp_path / "P1/ct.nii.gz")]
    told = {entry["path"].rsplit("/", 1)[-1] for entry in found.left_out}
    assert {"bad.nii.gz", "bad.nrrd", "bad.mhd", "bad.tif"} <= told
    assert all(entry["code"] and entry["why"] for entry in found.left_out)


def test_scouts_do_not_cost_a_series_and_are_named(tmp_path):
    series(tmp_path / "P1", "A1", names=[f"{n}.dcm" for n in range(4)])
    scout = make_slice(
        (0, 0, 50), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesInstanceUID="1.2.9"
    )
    scout.save_as(tmp_path / "P1" / "scout.dcm", enforce_file_format=True)
    found = propose([tmp_path])
    assert len(found.rows) <= 1
    assert any("localizer" in note for note in found.notes)


def test_two_patients_of_one_folder_are_never_one_scan(tmp_path):
    for patient in ("A1", "B2"):
        series(tmp_path / "mix", patient, names=[f"{patient}{n}.dcm" for n in range(4)])
    found = propose([tmp_path])
    assert len({row["subject"] for row in found.rows}) == len(found.rows)
    assert len(found.rows) + len(found.left_out) == 2
    assert not any(row["path"].endswith("/mix") for row in found.rows)


def test_a_copy_of_a_series_is_left_out(tmp_path):
    told = {"SeriesInstanceUID": "1.2.3.4", "StudyInstanceUID": "1.2.3"}
    series(tmp_path / "P1/a", "A1", **told)
    series(tmp_path / "P1/b", "A1", **told)
    series(tmp_path / "P2/a", "B1", SeriesInstanceUID="1.2.3.5")
    series(tmp_path / "P2/b", "B1", count=2, SeriesInstanceUID="1.2.3.5")
    rows, notes = seen(tmp_path, "path")
    assert rows == [("P1/a",)]
    assert "a copy of the series in P1/a" in notes
    assert notes.count("a part of a series") == 2


def test_other_scans_under_one_series_uid_are_scans_of_their_own(tmp_path):
    told = {"SeriesInstanceUID": "1.2.3.4", "StudyInstanceUID": "1.2.3"}
    for n, name in enumerate(("P1", "P2")):
        blank = np.full((6, 8), 900 + n, "<i2").tobytes()
        series(tmp_path / name, "anon", PixelData=blank, **told)
    rows, notes = seen(tmp_path, "subject", "path")
    assert rows == [("P1", "P1"), ("P2", "P2")]
    assert "name one series (SeriesInstanceUID) but hold other slices" in notes


def test_series_whose_uids_were_taken_are_told_apart_by_folder_and_number(tmp_path):
    taken = dict.fromkeys(("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"))
    for name in ("P1", "P2"):
        series(tmp_path / name, "", SeriesNumber="2", PixelData=name.encode() * 48, **taken)
    assert seen(tmp_path, "path")[0] == [("P1",), ("P2",)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_folder_without_permission_is_named(tmp_path):
    nifti(tmp_path / "P1/ct.nii.gz")
    (tmp_path / "shut").mkdir(mode=0)
    _, notes = seen(tmp_path, "path")
    assert "shut: cannot be opened" in notes


def test_a_pair_of_header_and_pixels_is_one_scan(tmp_path):
    for subject in ("s1", "s2"):
        place = tmp_path / subject
        place.mkdir()
        values = np.random.default_rng(0).normal(0, 300, (6, 5, 4)).astype(np.int16)
        nib.save(nib.Nifti1Pair(values, np.diag([-1.0, -1, 2, 1])), place / "ct.img")
    found = propose([tmp_path])
    assert [row["path"] for row in found.rows] == [
        str(tmp_path / s / "ct.hdr") for s in ("s1", "s2")
    ]
    assert found.left_out == ()


def test_slices_with_a_series_each_are_no_scans_of_one_slice(tmp_path):
    folder = series(tmp_path / "P1", count=6)
    for n, file in enumerate(sorted(folder.iterdir())):
        data = pydicom.dcmread(file)
        data.SeriesInstanceUID = f"1.2.{n + 1}"
        data.save_as(file)
    rows, notes = seen(tmp_path, "path")
    assert rows == []
    assert "(mixed_series): P1: each of its 6 slices names another series" in notes


def test_names_that_are_not_utf_8_are_left_out(tmp_path):
    series(tmp_path / "P1")
    os.rename(series(tmp_path / "P2"), os.fsencode(tmp_path / "Z") + b"\xfcrich")
    nifti(tmp_path / "P3/ct.nii.gz")
    os.rename(tmp_path / "P3/ct.nii.gz", os.fsencode(tmp_path / "P3") + b"/\xe4.nii.gz")
    rows, notes = seen(tmp_path, "path")
    assert rows == [("P1",)]
    for name in ("Z?rich", "P3/?.nii.gz"):
        assert f"{name}: has a name that is not UTF-8" in notes


def test_the_index_of_a_disk_points_to_its_folder(tmp_path):
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (left,) = propose([tmp_path / "DICOMDIR"]).left_out
    assert "give its folder" in left["why"]


@pytest.mark.parametrize("glob", ["*", "*/*", "*/*/*"])
@pytest.mark.parametrize("name", ["sub-{0}/ses-{1}/sub-{0}_ses-{1}_ct", "{0}/{1}/ct", "{0}/{1}/x"])
def test_what_a_shell_makes_of_a_star_is_named_as_the_folder_above_is(tmp_path, glob, name):
    for subject in ("P1", "P2"):
        for visit in ("week2", "week10"):
            nifti(tmp_path / f"{name.format(subject, visit)}.nii.gz")
    whole = propose([tmp_path]).rows
    assert [(r["subject"], r["session"]) for r in whole] == [
        (s, v) for s in ("P1", "P2") for v in ("week2", "week10")
    ]
    assert propose(sorted(tmp_path.glob(glob))).rows == whole


def test_files_of_a_series_that_are_given_make_it(tmp_path):
    files = sorted(series(tmp_path / "P1" / "CT").iterdir())
    for given in (files, files[1:2]):
        assert [row["path"] for row in propose(given).rows] == [str(given[0])]
