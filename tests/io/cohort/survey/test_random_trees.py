"""Whatever names folders have: a proposal reads back, and patients whom headers tell apart share no subject."""

import random
from pathlib import Path

import pytest

from somray.commands.proposal import propose_cohort
from somray.config import load_config
from somray.io.cohort.discover import propose
from somray.io.cohort.manifest import load_manifest
from tests.io.cohort.trees import nifti, series

FOLDERS = ["P01", "P02", "anna", "ct", "DICOM", "series1", "SE1", "ST1", "PA0001", "baseline", "week2", "t1",
           "t3", "x", "2020-01-01", "arterial", "1", "scan1", "visit1", "sub-01", "sub-02", "ses-1", "Müller",
           "1.2.3.4.5.6", "train", "site1", "a (1)", "images", "imagesTr", "labelsTr", "masks",
           "segmentations", "derivatives"]  # fmt: skip
FILES = ["ct.nii.gz", "pet.nii.gz", "t1.nii.gz", "flair.nii.gz", "P01.nii.gz", "week2.nii.gz", "P02_ct.nii.gz",
         "a_0000.nii.gz", "a_0001.nii.gz", "ct_mask.nii.gz", "liver.nii.gz", "sub-01_ses-1_T1w.nii.gz",
         "t0-ct.nii.gz"]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_patients_of_a_random_tree_share_no_subject(tmp_path, seed):
    chance = random.Random(seed)
    truth: dict[Path, str] = {}
    for _ in range(6):
        folder = tmp_path.joinpath(*chance.choices(FOLDERS, k=chance.randint(1, 4)))
        if any(folder == t or folder in t.parents or t in folder.parents for t in truth):
            continue
        truth[folder] = f"H{chance.randint(1, 3)}"
        series(folder, truth[folder], chance.choice(["20200101", "20200201", ""]), count=2)
    found = propose([tmp_path])
    patients: dict[str, set[str]] = {}
    for row in found.rows:
        patients.setdefault(row["subject"].casefold(), set()).add(truth[Path(row["path"])])
    assert all(len(who) == 1 for who in patients.values())
    assert len(found.rows) + len(found.left_out) == len(truth)


@pytest.mark.parametrize("seed", range(12))
def test_the_proposal_of_a_random_tree_reads_back(tmp_path, seed):
    chance = random.Random(seed)
    nifti(tmp_path / "data" / "P01" / "ct.nii.gz")
    for _ in range(8):
        folder = (tmp_path / "data").joinpath(*chance.choices(FOLDERS, k=chance.randint(0, 3)))
        name = chance.choice(FILES)
        nifti(folder / name, "mask" if "mask" in name or "liver" in name else "image")
    found = propose_cohort([tmp_path / "data"], tmp_path / "out")
    scans = load_manifest(tmp_path / "out/scans.csv", load_config(tmp_path / "out/cohort.yaml"))
    assert len(scans) == found["scans"]
    assert sum(len(scan.paths) for scan in scans) == found["rows"]
