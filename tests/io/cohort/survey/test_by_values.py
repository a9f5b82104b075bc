"""Files that name no modality: Hounsfield units are told by air and soft tissue, nothing else is."""

import nibabel as nib
import numpy as np
import pytest

from somray.io.cohort.discover import propose


def save(path, values, spacing=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([spacing, spacing, 5.0, 1.0])
    image = nib.Nifti1Image(values.astype(np.int16).transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def body(outside, inside):
    values = np.full((4, 32, 32), outside)
    values[:, 8:24, 8:24] = inside
    return values


def kinds(folder):
    return sorted(p["modality"] for p in propose([folder]).protocols.values())


def test_a_body_in_air_without_a_name_is_one_and_has_a_protocol_of_its_own(tmp_path):
    save(tmp_path / "P1/scan.nii.gz", body(-1000, 40))
    save(tmp_path / "P2/scan.nii.gz", body(0, 600))
    found = propose([tmp_path])
    assert kinds(tmp_path) == ["CT", "other"]
    assert "Hounsfield" in found.remarks["ct"][1]


@pytest.mark.parametrize(
    "values",
    [
        body(-1000, -1000),  # air alone
        body(-3024, 40),  # no air
        body(0, 1024),  # stored values
        body(-900, 900),  # no soft tissue
    ],
)
def test_what_shows_no_body_in_air_stays_other(tmp_path, values):
    save(tmp_path / "P1/scan.nii.gz", values)
    assert kinds(tmp_path) == ["other"]


def test_the_name_has_the_first_word_and_micro_ct_is_left_alone(tmp_path):
    save(tmp_path / "a/P1/t1.nii.gz", body(-1000, 40))
    save(tmp_path / "b/P1/scan.nii.gz", body(-1000, 40), spacing=0.05)
    assert kinds(tmp_path / "a") == ["MR"]
    assert kinds(tmp_path / "b") == ["other"]
