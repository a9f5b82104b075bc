"""What `somray phantom --region body|head` writes beside images: physiology, and the lesions' notes."""

import csv
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813  # the name its own documents use

from somray.config import load_config
from somray.phantom import make_subject
from somray.phantom.files.dicom import suv_to_activity
from somray.phantom.files.write import write_phantom

REGIONS = {"body": ("PETCT", ["CT", "PET"]), "head": ("MR", ["MR"])}


@pytest.fixture(scope="module")
def regions(tmp_path_factory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("regions")
    for region, shape in (("body", (60, 36, 36)), ("head", (16, 48, 48))):
        write_phantom(base / region, 1, 2, shape, None, "nifti", 5, region)
    return {region: base / region for region in REGIONS}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stored(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(path))


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_names_its_protocol_and_modality(regions, region):
    modality, channels = REGIONS[region]
    cohort = load_config(regions[region] / "cohort.yaml")
    ((name, protocol),) = cohort.protocols.items()
    assert name == f"phantom-{modality.lower()}-{region}"
    assert (protocol.modality, protocol.channels) == (modality, channels)
    rows = table(regions[region] / "scans.csv")
    assert [r["channel"] for r in rows] == channels * 2
    assert all((regions[region] / r["path"]).exists() for r in rows)


@pytest.mark.parametrize("region", REGIONS)
def test_physiology_lies_on_the_grid_of_the_truth_with_its_names(regions, region):
    out = regions[region]
    names = json.loads((out / "truth/physiology/names.json").read_text())
    for time in ("t0", "t1"):
        mask = sitk.ReadImage(out / f"truth/physiology/sub-s01_ses-{time}.nii.gz")
        lesions = sitk.ReadImage(out / f"truth/sub-s01_ses-{time}.nii.gz")
        assert mask.GetSize() == lesions.GetSize()
        assert mask.GetSpacing() == lesions.GetSpacing()
        assert mask.GetOrigin() == lesions.GetOrigin()
        seen = {str(n) for n in np.unique(sitk.GetArrayFromImage(mask)) if n}
        assert seen <= set(names)
    if region == "body":
        first = ["brain", "heart", "kidney_left", "kidney_right", "urinary_bladder"]
        assert [names[str(n)] for n in range(1, 6)] == first


@pytest.mark.parametrize("region", REGIONS)
def test_lesions_say_where_and_what_they_are(regions, region):
    rows = table(regions[region] / "truth/lesions.csv")
    assert list(rows[0])[-2:] == ["region", "kind"]
    places = {"head_neck", "chest", "abdomen", "liver", "pelvis", "bone"}
    assert {r["region"] for r in rows} <= (places if region == "body" else {"brain"})
    assert {r["kind"] for r in rows} <= {"solid", "faint", "cold_core"}
    masks = {
        t: stored(regions[region] / f"truth/identities/sub-s01_ses-{t}.nii.gz")
        for t in ("t0", "t1")
    }
    for row in rows:
        assert int(row["voxels"]) == (masks[row["session"]] == int(row["lesion_id"])).sum()


def test_pet_alone_is_written_as_dicom(tmp_path):
    write_phantom(tmp_path, 1, 1, (40, 32, 32), "pet", None, 2, "body")
    read = [pydicom.dcmread(f) for f in sorted((tmp_path / "scans/s01_t0_PET").iterdir())]
    assert len(read) == 40
    assert {d.Modality for d in read} == {"PT"}
    (session,) = make_subject("pet", (40, 32, 32), 1, 2, 0, region="body")
    image = np.stack([d.pixel_array * float(d.RescaleSlope) for d in read]) / suv_to_activity()
    assert np.abs(image - session.images["PET"]).max() < float(image.max()) / 3e4


def test_writing_a_body_again_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_phantom(tmp_path / name, 1, 1, (40, 32, 32), "pet", "nifti", 2, "body")
    files = [f.relative_to(tmp_path / "a") for f in (tmp_path / "a").rglob("*") if f.is_file()]
    assert len(files) > 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
