"""`somray export --format nnunet`: a raw data set as nnU-Net v2's own integrity check wants it."""

import json
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from somray.cli import main
from tests.commands.ingested import balls, ingested


def export(run, out, *arguments, code=0):
    assert main(["export", str(run), "--format", "nnunet", "--out", str(out), *arguments]) == code


def check_integrity(folder):
    """Demand what nnU-Net demands before it plans: written anew from what it says it checks."""
    facts = json.loads((folder / "dataset.json").read_text())
    assert {"labels", "channel_names", "numTraining", "file_ending"} <= set(facts)
    expected = sorted(facts["labels"].values())
    assert expected == list(range(len(expected)))
    assert facts["labels"]["background"] == 0
    ending = facts["file_ending"]
    images = sorted(p.name for p in (folder / "imagesTr").iterdir())
    cases = sorted({name[: -len(ending) - 5] for name in images})
    assert len(cases) == facts["numTraining"]
    assert [p.name for p in sorted((folder / "labelsTr").iterdir())] == [c + ending for c in cases]
    for case in cases:
        label = SimpleITK.ReadImage(str(folder / "labelsTr" / (case + ending)))
        assert set(np.unique(SimpleITK.GetArrayFromImage(label))) <= set(expected)
        for channel in facts["channel_names"]:
            name = f"{case}_{int(channel):04d}{ending}"
            assert name in images
            image = SimpleITK.ReadImage(str(folder / "imagesTr" / name))
            assert np.isfinite(SimpleITK.GetArrayFromImage(image)).all()
            for told in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
                assert np.allclose(getattr(image, told)(), getattr(label, told)())
    assert len(images) == len(cases) * len(facts["channel_names"])
    return facts, cases


@pytest.fixture(scope="module")
def petct(tmp_path_factory):
    """Two scans of CT and PET, where the PET ends before the CT does."""
    folder, rows = tmp_path_factory.mktemp("petct"), []
    for n, session in enumerate(("t0", "t1")):
        ct = np.random.default_rng(n).normal(40, 10, (7, 6, 5)).astype(np.float32)
        pet = np.random.default_rng(9 + n).random((4, 3, 2)).astype(np.float32) + 1
        nib.Nifti1Image(ct, np.diag([1.0, -1, 2, 1])).to_filename(folder / f"ct{n}.nii.gz")
        nib.Nifti1Image(pet, np.diag([2.0, -2, 4, 1])).to_filename(folder / f"pet{n}.nii.gz")
        rows += [
            ("s.1", session, f"ct{n}.nii.gz", "low"),
            ("s.1", session, f"pet{n}.nii.gz", "PET"),
        ]
    draw = balls((-2, 3, 4, 1.5), (-4, 2, 6, 1.2))
    return ingested(folder, rows, draw, channels=("low", "PET"), modality="PETCT")


def test_a_data_set_passes_the_integrity_check(petct, tmp_path, capsys):
    export(petct, tmp_path, "--json")
    found = json.loads(capsys.readouterr().out)
    facts, cases = check_integrity(tmp_path / "Dataset501_p")
    assert cases == ["sub-s.1_ses-t0", "sub-s.1_ses-t1"]
    assert facts["labels"] == {"background": 0, "lesion": 1, "ignore": 2}
    assert facts["channel_names"] == {"0": "CT", "1": "PET"}  # nnU-Net keeps HU by that name alone
    assert len(found["files"]) == 9
    assert {one["session"] for one in found["notes"]} == {"t0", "t1"}
    assert "lowest value of PET" in found["notes"][0]["note"]
    image = nib.load(tmp_path / "Dataset501_p/imagesTr/sub-s.1_ses-t1_0000.nii.gz")
    assert np.array_equal(image.get_fdata(), nib.load(petct.parent / "ct1.nii.gz").get_fdata())
    label = nib.load(tmp_path / "Dataset501_p/labelsTr/sub-s.1_ses-t1.nii.gz")
    assert np.asarray(label.dataobj)[2, 3, 2] == 1  # both lesions are one class
    assert np.asarray(label.dataobj).sum() > 8


def test_nnunets_own_check_finds_nothing(petct, tmp_path, monkeypatch, capsys):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path))
    verify = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
    # Its processes would import torch again, each.
    here = SimpleNamespace(get_context=lambda _: SimpleNamespace(Pool=ThreadPool))
    monkeypatch.setattr(verify, "multiprocessing", here)
    export(petct, tmp_path)
    verify.verify_dataset_integrity(str(tmp_path / "Dataset501_p"), 1)
    told = capsys.readouterr().out
    assert "verify_dataset_integrity Done" in told
    assert "Error" not in told
    assert "WARNING" not in told


def test_time_points_are_cases_of_their_own(tmp_path):
    image = np.random.default_rng(0).normal(size=(5, 5, 4, 2)).astype(np.float32)
    nib.Nifti1Image(image, np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    run = ingested(tmp_path, [("s", "t0", "a.nii.gz")], balls((-2, -2, 2, 1.2)))
    export(run, tmp_path / "out", "--dataset", "7", "--label", "student")
    _, cases = check_integrity(tmp_path / "out/Dataset007_p")
    assert cases == ["sub-s_ses-t0_t0", "sub-s_ses-t0_t1"]
    for t, case in enumerate(cases):
        written = nib.load(tmp_path / f"out/Dataset007_p/imagesTr/{case}_0000.nii.gz")
        assert np.array_equal(written.get_fdata(), image[..., t])


def test_a_session_named_as_anothers_time_point_is_refused(tmp_path, capsys):
    for name, shape in {"a": (5, 5, 4, 2), "b": (5, 5, 4)}.items():
        image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        nib.Nifti1Image(image, np.eye(4)).to_filename(tmp_path / f"{name}.nii.gz")
    scans = [("s", "t0", "a.nii.gz"), ("s", "t0_t1", "b.nii.gz")]
    run = ingested(tmp_path, scans, balls((-2, -2, 2, 1.2)))
    export(run, tmp_path / "out", "--label", "student", code=2)
    assert "sub-s_ses-t0_t1: is a time point of one session" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    for n, session in enumerate(("t0", "t0_t1"), start=7):
        apart = ["--session", session, "--dataset", str(n), "--label", "student"]
        export(run, tmp_path / "out", *apart)
    assert check_integrity(tmp_path / "out/Dataset008_p")[1] == ["sub-s_ses-t0_t1"]


def test_cases_of_two_exports_are_not_mixed(petct, tmp_path, capsys):
    export(petct, tmp_path)
    export(petct, tmp_path)
    export(petct, tmp_path, "--session", "t0", code=2)
    assert "holds other cases already (sub-s.1_ses-t1)" in capsys.readouterr().err
    export(petct, tmp_path, "--session", "t0", "--dataset", "502")
    assert check_integrity(tmp_path / "Dataset502_p")[1] == ["sub-s.1_ses-t0"]
    export(petct, tmp_path, "--label", "som", "--label", "lesions", code=2)
    assert "takes one --label" in capsys.readouterr().err


def test_a_sheared_grid_is_left_out(tmp_path, capsys):
    affine = np.eye(4)
    affine[0, 2] = 0.5
    image = np.random.default_rng(0).normal(size=(5, 5, 4)).astype(np.float32)
    tilted = nib.Nifti1Image(image, None)
    tilted.set_sform(affine, code=1)
    tilted.to_filename(tmp_path / "a.nii.gz")
    run = ingested(tmp_path, [("s", "t0", "a.nii.gz")], balls((-2, -2, 2, 1.2)))
    export(run, tmp_path / "out", "--json", code=4)
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == []
    assert "sheared" in found["left_out"][0]["reason"]
