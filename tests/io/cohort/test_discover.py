from pathlib import Path

import nibabel as nib
import numpy as np
import tifffile
import yaml
import zarr
from imagecodecs import png_encode

from somray.config import parse_config
from somray.io.cohort.discover import propose
from somray.io.cohort.manifest import load_manifest
from tests.io.dicom_files import make_pet, make_slice, save


def nifti(path, spacing=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.ones((3, 3, 3), np.int16), np.diag([spacing, spacing, 1, 1.0]))
    nib.save(image, path)


def seen(proposal, root):
    return {
        (
            r["subject"],
            r["session"],
            r["protocol"],
            r["channel"],
            r["path"].removeprefix(f"{root}/"),
        )
        for r in proposal.rows
    }


def test_ct_and_pet_of_a_folder_make_one_scan_with_its_truth(tmp_path):
    for subject in ("p1", "p2"):
        for name in ("CT_image", "CT_mask", "PET_image", "PET_mask"):
            nifti(tmp_path / subject / f"{name}.nii.gz")
    found = propose([tmp_path])
    assert seen(found, tmp_path) == {
        (s, "t0", "petct", c, f"{s}/{c}_image.nii.gz") for s in ("p1", "p2") for c in ("CT", "PET")
    }
    assert found.protocols == {"petct": {"modality": "PETCT", "channels": ["CT", "PET"]}}
    truths = {r["path"][-15:-13]: r["truth"][-14:] for r in found.rows if r["subject"] == "p1"}
    assert [r["truth"][-14:] for r in found.rows] == ["CT_mask.nii.gz", ""] * 2
    assert truths
    assert any("PET_mask" in note for note in found.notes)


def test_dicom_folders_below_a_subject_are_paired_and_named_after_it(tmp_path):
    (tmp_path / "anna").mkdir()
    save(tmp_path / "anna" / "CT", [make_slice((0, 0, z)) for z in (0, 3, 6)])
    save(tmp_path / "anna" / "PT", [make_pet(z) for z in (0, 3, 6)])
    found = propose([tmp_path])
    assert seen(found, tmp_path) == {
        ("anna", "t0", "petct", "CT", "anna/CT"), ("anna", "t0", "petct", "PET", "anna/PT"),
    }  # fmt: skip
    assert "Secret" not in repr(found)
    assert "SECRET" not in repr(found)


def test_bids_and_time_points_become_sessions(tmp_path):
    nifti(tmp_path / "a" / "sub-07" / "ses-b" / "sub-07_ses-b_ct.nii.gz")
    for name in ("baseline", "week2"):
        nifti(tmp_path / "mouse_ct" / f"{name}.nii.gz")
        nifti(tmp_path / "rat" / name / "ct.nii.gz")
    found = {(r["subject"], r["session"]) for r in propose([tmp_path]).rows}
    assert found == {("07", "b"), ("mouse_ct", "baseline"), ("mouse_ct", "week2"),
                     ("rat", "baseline"), ("rat", "week2")}  # fmt: skip


def test_no_two_scans_share_subject_and_session(tmp_path):
    for folder in ("x/a", "y/a", "y/A"):
        nifti(tmp_path / folder / "ct.nii.gz")
    rows = propose([tmp_path]).rows
    assert len({(r["subject"].lower(), r["session"].lower()) for r in rows}) == 3


def test_scans_with_other_pixels_get_a_protocol_of_their_own(tmp_path):
    for name, spacing in (("a", 1.0), ("b", 1.4), ("c", 0.02)):
        nifti(tmp_path / name / "ct.nii.gz", spacing)
    assert [r["protocol"] for r in propose([tmp_path]).rows] == ["ct", "ct", "ct-0.02mm"]


def test_tiff_slices_are_one_stack_and_stacks_are_scans(tmp_path):
    (tmp_path / "xct_foam").mkdir()
    for z in range(6):
        tifffile.imwrite(tmp_path / "xct_foam" / f"{z:02}.tif", np.ones((4, 5), np.uint8))
    (tmp_path / "rock_xct").mkdir()
    tifffile.imwrite(
        tmp_path / "rock_xct" / "a.tif", np.ones((2, 4, 5), np.uint8), photometric="minisblack"
    )
    found = propose([tmp_path])
    assert seen(found, tmp_path) == {
        ("xct_foam", "t0", "xct", "XCT", "xct_foam"),
        ("rock_xct", "t0", "xct", "XCT", "rock_xct/a.tif"),
    }


def test_what_cannot_be_used_is_noted_not_dropped_in_silence(tmp_path):
    slices = [make_slice((0, 0, z)) for z in (0, 3, 6)]
    scout = make_slice((0, 0, 9), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    save(tmp_path / "scout", [*slices, scout])
    save(tmp_path / "uneven", [make_slice((0, 0, z)) for z in (0, 3, 8)])
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "ct.nii.gz").write_bytes(b"nothing")
    found = propose([tmp_path])
    assert [r["subject"] for r in found.rows] == ["uneven"]
    for word in ("localizer", "resample", "bad"):
        assert any(word in note for note in found.notes)


def test_nothing_found_gives_no_rows(tmp_path):
    (tmp_path / "note.txt").write_text("x")
    assert propose([tmp_path]).rows == ()


def test_a_proposal_is_a_valid_cohort(tmp_path):
    nifti(tmp_path / "a" / "ct.nii.gz")
    nifti(tmp_path / "b c" / "scan (1).nii.gz")
    found = propose([tmp_path])
    config = {"scans": "scans.csv", "output": "run", "protocols": found.protocols}
    header = list(found.rows[0])
    lines = [",".join(header), *(",".join(r[k] for k in header) for r in found.rows)]
    (tmp_path / "scans.csv").write_text("\n".join(lines))
    parsed = parse_config(yaml.safe_load(yaml.safe_dump(config)))
    assert len(load_manifest(tmp_path / "scans.csv", parsed)) == 2


def test_the_real_data_folder_is_understood(real_data):
    found = propose([real_data / "petct_sarcoma_cohort", real_data / "dicom_ct_head_irregular"])
    pairs = [r for r in found.rows if r["protocol"] == "petct"]
    assert len(pairs) == 14
    assert {r["subject"] for r in pairs} == {f"STS_{n:03}" for n in (1, 3, 4, 12, 14, 22, 31)}
    assert sum(bool(r["truth"]) for r in pairs) == 7
    assert any("localizer" in note for note in found.notes)


def test_png_slices_and_omezarr_groups_are_scans_and_one_png_is_none(tmp_path):
    (tmp_path / "xct_bone").mkdir()
    for z in range(6):
        content = png_encode(np.random.default_rng(z).integers(0, 255, (24, 30), np.uint8))
        (tmp_path / "xct_bone" / f"{z}.png").write_bytes(content)
    for number in range(6):  # previews beside a scan
        (tmp_path / f"preview{number}.png").write_bytes(content)
    nifti(tmp_path / "ct.nii.gz")
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    scale = [{"type": "scale", "scale": [3.0, 2.0, 2.0]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    place = tmp_path / "foam_xct.ome.zarr"
    group = zarr.create_group(str(place), attributes={"ome": {"multiscales": [image]}})
    group.create_array("0", shape=(3, 4, 5), dtype="u1", chunks=(1, 4, 5))
    found = {Path(row["path"]).name for row in propose([tmp_path]).rows}
    assert found == {"xct_bone", "foam_xct.ome.zarr", "ct.nii.gz"}
    (alone,) = propose([place]).rows
    assert alone["path"] == str(place)
