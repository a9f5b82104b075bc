"""What dcm2niix, browsers and preprocessing made of one scan becomes one scan of the proposal."""

import json

import nibabel as nib
import numpy as np
import pytest

from somray.io.cohort.discover import propose


def proposed(folder, names, by="dcm2niix"):
    """Write small scans with their sidecars; return file to subject, and the reasons of those left out."""
    for n, name in enumerate(names):
        values = np.random.default_rng(n).normal(40, 90, (6, 6, 6)).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"{name}.nii.gz")
        if "_ROI" not in name:
            (folder / f"{name}.json").write_text(json.dumps({"ConversionSoftware": by}))
    found = propose([folder])
    taken = {row["path"].rpartition("/")[2].partition(".")[0]: row["subject"] for row in found.rows}
    left = {one["path"].rpartition("/")[2].partition(".")[0]: one for one in found.left_out}
    return taken, left


def test_the_corrected_file_is_taken_and_keeps_the_scans_own_name(tmp_path):
    names = ["P1_head_2", "P1_head_2_Tilt_1", "P2_head_2", "P2_head_2_Eq_1", "P3_head_2"]
    taken, left = proposed(tmp_path, names, by="another")
    assert taken == {
        "P1_head_2_Tilt_1": "P1_head_2", "P2_head_2_Eq_1": "P2_head_2", "P3_head_2": "P3_head_2",
    }  # fmt: skip
    assert set(left) == {"P1_head_2", "P2_head_2"}
    assert "dcm2niix made P1_head_2_Tilt_1.nii.gz of it" in left["P1_head_2"]["why"]


@pytest.mark.parametrize(
    ("names", "best", "words"),
    [
        (["P1_3", "P1_3a", "P1_3_ROI1"], "P1_3", {"P1_3a": "a second time", "P1_3_ROI1": "overlay"}),
        (["P1_3a", "P1_3", "P1_3_Eq_1", "P1_3a_Eq_1"], "P1_3_Eq_1", {"P1_3a_Eq_1": "a second time"}),
        (["P1_4_e2", "P1_4_e1", "P1_4_e1_ph"], "P1_4_e1", {"P1_4_e1_ph": "holds phases", "P1_4_e2": "another echo"}),
        (["P1_3_Tilt", "P1_3_Tilt_Eq_1", "P1_3"], "P1_3_Tilt_Eq_1", {"P1_3_Tilt": "that one is taken"}),
    ],
)  # fmt: skip
def test_other_ends_are_believed_of_dcm2niix_alone(tmp_path, names, best, words):
    taken, left = proposed(tmp_path, names)
    assert list(taken) == [best]
    assert set(left) == {*names} - {best}
    for name, word in words.items():
        assert word in left[name]["why"]


def test_names_that_only_look_like_it_stay_apart(tmp_path):
    taken, left = proposed(tmp_path, ["k12", "k12a", "k12b", "x_e1", "x_e2"], by="another")
    assert len(taken) == 5
    assert not left


@pytest.mark.parametrize(
    ("names", "taken", "words"),
    [
        (["P1_ct", "P1_ct_norm", "P2_ct_norm"], {"P1_ct": "P1", "P2_ct_norm": "P2"},
         {"P1_ct_norm": "is made from P1_ct.nii.gz"}),
        (["P1_ct", "P1_ct - Copy", "P2_ct (1)"], {"P1_ct": "P1", "P2_ct (1)": "P2"},
         {"P1_ct - Copy": "a second scan like"}),
        (["P1_ct_B30f", "P1_ct_B60f", "P2_ct_Br40"],
         {"P1_ct_B30f": "P1", "P1_ct_B60f": "P1", "P2_ct_Br40": "P2"}, {}),
        (["B30f_ct", "B31f_ct", "UCSF_BR26_t1"],
         {"B30f_ct": "B30f", "B31f_ct": "B31f", "UCSF_BR26_t1": "UCSF_BR26"}, {}),
    ],
)  # fmt: skip
def test_ends_of_processing_copies_and_kernels_make_no_subjects(tmp_path, names, taken, words):
    found, left = proposed(tmp_path, names, by="another")
    assert found == taken
    assert set(left) == set(words)
    for name, word in words.items():
        assert word in left[name]["why"]


def test_a_copy_is_one_only_where_it_is_as_large(tmp_path):
    values = np.random.default_rng(0).normal(40, 90, (6, 6, 6)).astype(np.int16)
    for name in ("ct", "ct (1)"):
        (tmp_path / "P1").mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "P1" / f"{name}.nii.gz")
    found = propose([tmp_path])
    assert [one["why"] for one in found.left_out] == ["is a copy of ct.nii.gz"]
    assert [row["path"].rpartition("/")[2] for row in found.rows] == ["ct.nii.gz"]
