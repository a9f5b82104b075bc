"""What dcm2niix wrote of one scan becomes one scan of the proposal."""

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
