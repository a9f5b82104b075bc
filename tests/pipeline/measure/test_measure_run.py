"""A run measured on foreign masks: its own give its own tables, another's are refused, truth's are true."""

import csv
import json
import shutil

import nibabel
import numpy as np
import pandas as pd
import pytest
import tifffile

from somray.commands.export.masks import export_masks
from somray.commands.export.request import ExportRequest
from somray.errors import ConfigError
from somray.io.run import open_run
from somray.io.status import read_status
from somray.pipeline.measure.planned import plan_measure
from somray.pipeline.measure.request import MeasureRequest, WantedLabels
from somray.pipeline.measure.run import measure_run
from somray.report.pages import write_report
from somray.runtime.serial import SerialExecutor
from tests.pipeline.tiny import QUICK, body, run_tiny, save, write_manifest

SPACING = (2.0, 0.8, 0.8)
SAME = (
    "scans",
    "registration",
    "alignment",
    "residuals",
    "lesions",
    "links",
    "evolution",
    "burden",
)
EVIL = "<script>alert('mask')</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two subjects, of two sessions and one, and a scan that the run could not read; one has truth."""
    folder = tmp_path_factory.mktemp("measured")
    rows = []
    for seed, (subject, session, depth) in enumerate(
        (("a", "t0", 10), ("a", "t1", 10), ("b", "t0", 9))
    ):
        save(folder / f"{subject}_{session}.nii.gz", body((depth, 32, 32), seed, 4 + seed), SPACING)
        rows.append((subject, session, "p", f"{subject}_{session}.nii.gz"))
    truth = np.zeros((9, 32, 32), np.uint8)
    truth[3:5, 8:13, 9:14] = 1
    save(folder / "truth.nii.gz", truth, SPACING)
    rows.append(("c", "t0", "p", "none.nii.gz"))
    drawn = {"objects": {"rule": "none"}}  # residuals are told by the map's own pixels
    write_manifest(
        folder, rows, {"p": {**QUICK, **drawn, "registration": {"pairs": ["slices", "sessions"]}}}
    )
    lines = list(csv.reader((folder / "scans.csv").read_text().splitlines()))
    with (folder / "scans.csv").open("w", newline="") as file:
        given = {"b": "truth.nii.gz"}
        csv.writer(file).writerows(
            [[*line, "truth" if n == 0 else given.get(line[0], "")] for n, line in enumerate(lines)]
        )
    run_tiny(folder)
    export_masks(
        str(folder / "run"), ExportRequest("nifti", str(folder / "own"), labels=("lesions",))
    )
    return folder


def measured(run, masks, out, report=None, **more):
    plan = plan_measure(MeasureRequest(str(run / "run"), (str(masks),), str(out), **more))
    return measure_run(plan, SerialExecutor(), report or (lambda root: None))


def same(one, other, table):
    first, second = (open_run(place).table(table).reset_index(drop=True) for place in (one, other))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    return len(first)


@pytest.fixture(scope="module")
def own(run, tmp_path_factory):
    """The run measured on its own lesions, with a report."""
    out = tmp_path_factory.mktemp("own") / "out"
    return out, measured(run, run / "own", out, write_report, source=EVIL)


def test_a_runs_own_lesions_give_its_own_tables(run, own):
    out, _ = own
    rows = {table: same(run / "run", out, table) for table in SAME}
    assert min(rows[table] for table in ("registration", "alignment", "lesions", "burden")) > 0
    assert rows["evolution"] > 0
    slices = open_run(out).table("slices")
    assert set(slices.method) == {"foreign", "lesions"}
    for table in ("clusters", "areas", "objects", "agreement", "drift"):
        assert open_run(out).table(table).empty
        assert list(open_run(out).table(table)) == list(open_run(run / "run").table(table))


def test_it_is_a_run_like_any_other(run, own):
    out, told = own
    assert read_status(str(out))["state"] == "done"
    assert told["failed"] == 1  # what the run had set aside is so here, for the same reason
    assert open_run(out).table("failures")[["subject", "code"]].values.tolist() == [
        ["c", "missing"]
    ]
    scan = open_run(out).scan("a", "t1")
    assert np.array_equal(scan.image.values, open_run(run / "run").scan("a", "t1").image.values)
    left = export_masks(
        str(out), ExportRequest("nifti", str(out.parent / "again"), labels=("lesions",))
    )
    assert len(left["files"]) == 6
    info = json.loads((out / "run.json").read_text())["measured"]
    assert info["run"] == str(run / "run")
    assert len(info["run_digest"]) == len(info["masks_digest"]) == 32
    assert info["images"] == "linked"


def test_every_page_says_whose_the_masks_are(own):
    pages = sorted((own[0] / "report").glob("*.html"))
    assert len(pages) >= 3
    for page in pages:
        text = page.read_text()
        assert (
            text.count("Masks from outside: &lt;script&gt;alert(&#39;mask&#39;)&lt;/script&gt;.")
            == 1
        )
        assert EVIL not in text


def test_done_again_it_does_nothing_and_another_mask_only_its_own(run, own, tmp_path):
    masks, out = tmp_path / "masks", tmp_path / "out"
    shutil.copytree(run / "own", masks)
    assert measured(run, masks, out)["executed"] > 0
    again = measured(run, masks, out)
    assert again["executed"] == 0
    file = nibabel.load(masks / "sub-b_ses-t0_lesions.nii.gz")
    corrected = np.zeros(file.shape, np.uint8)
    corrected[10:13, 10:13, 3:6] = 1
    nibabel.save(nibabel.Nifti1Image(corrected, file.affine), masks / "sub-b_ses-t0_lesions.nii.gz")
    assert 0 < measured(run, masks, out)["executed"] < 8
    lesions = open_run(out).table("lesions").set_index("subject")
    assert lesions.loc["b", "volume_mm3"] == pytest.approx(27 * 2 * 0.64)
    others = open_run(own[0]).table("lesions").set_index("subject")
    pd.testing.assert_frame_equal(lesions.loc[["a"]], others.loc[["a"]])


def test_truth_measured_on_truth_is_true(run, tmp_path):
    masks = tmp_path / "b" / "lesion.nii.gz"
    masks.parent.mkdir()
    shutil.copy(run / "truth.nii.gz", masks)
    told = measured(run, tmp_path, tmp_path.parent / "true", labels=WantedLabels((), ("lesion",)))
    truth = open_run(told["run"]).table("truth").set_index(["subject", "method", "label"])
    assert truth.loc[("b", "foreign", 0), "dice"] == truth.loc[("b", "lesions", 0), "dice"] == 1.0
    scans = open_run(told["run"]).table("scans").set_index(["subject", "session"])
    assert scans.status.to_dict() == {
        ("a", "t0"): "quarantined", ("a", "t1"): "quarantined", ("b", "t0"): "done",
        ("c", "t0"): "quarantined",
    }  # fmt: skip
    assert [one["subject"] for one in told["left_out"]] == ["a", "a"]
    assert not (tmp_path.parent / "true/scans/sub-a_ses-t0.ome.zarr").exists()


def test_masks_in_tiff_are_found_in_a_folder(run, tmp_path):
    mask = np.zeros((9, 32, 32), np.uint8)
    mask[3:5, 8:13, 9:14] = 1
    tifffile.imwrite(tmp_path / "sub-b_ses-t0_lesions.tif", mask)
    plan = plan_measure(MeasureRequest(str(run / "run"), (str(tmp_path),), str(tmp_path / "out")))
    told = plan.told()
    assert [pair["subject"] for pair in told["pairs"]] == ["b"]


def test_masks_of_other_scans_are_refused(run, tmp_path):
    """One of a subject that the run has not, one of another scan by its grid; of two, none is guessed."""
    masks = tmp_path / "masks"
    masks.mkdir()
    shutil.copy(run / "own/sub-a_ses-t0_lesions.nii.gz", masks / "sub-z_ses-t0.nii.gz")
    shutil.copy(run / "own/sub-a_ses-t0_lesions.nii.gz", masks / "sub-b_ses-t0.nii.gz")
    shutil.copy(run / "own/sub-a_ses-t0_lesions.nii.gz", masks / "sub-a_ses-t0_one.nii.gz")
    shutil.copy(run / "own/sub-a_ses-t0_lesions.nii.gz", masks / "sub-a_ses-t0_two.nii.gz")
    shutil.copy(run / "own/sub-a_ses-t1_lesions.nii.gz", masks / "sub-a_ses-t1.nii.gz")
    told = measured(run, masks, tmp_path / "out")
    assert [(one["subject"], one["session"]) for one in told["pairs"]] == [("a", "t1")]
    found = {(one["subject"], one["session"]): one for one in told["left_out"]}
    assert "voxel for voxel on a t0, not on b t0" in found["b", "t0"]["message"]
    assert "there are one, two; choose with --label NAME" in found["a", "t0"]["message"]
    assert found[None, None]["mask"] == str(masks / "sub-z_ses-t0.nii.gz")
    failures = open_run(tmp_path / "out").table("failures").set_index(["subject", "session"]).code
    assert failures.to_dict() == {
        ("a", "t0"): "mask_ambiguous", ("b", "t0"): "mask_mismatch", ("c", "t0"): "missing",
    }  # fmt: skip
    lesions = open_run(tmp_path / "out").table("lesions")
    assert set(lesions.session) == {"t1"}  # followed alone, its first session now
    chosen = plan_measure(
        MeasureRequest(
            str(run / "run"), (str(masks),), str(tmp_path / "x"), WantedLabels((), ("two",))
        )
    )
    assert str(masks / "sub-a_ses-t0_two.nii.gz") in str(chosen.told()["pairs"])


def test_a_table_says_it_exactly(run, tmp_path):
    shutil.copy(run / "own/sub-a_ses-t1_lesions.nii.gz", tmp_path / "x.nii.gz")
    table = tmp_path / "masks.csv"
    table.write_text("subject,session,path,label\na,t1,x.nii.gz,1\n")
    told = measured(run, table, tmp_path / "out")
    assert told["pairs"][0]["masks"] == [str(tmp_path / "x.nii.gz")]
    table.write_text("subject,session,path\na,t9,x.nii.gz\na,t1,y.nii.gz\n")
    with pytest.raises(ConfigError, match=r"row 2 \(a t9\): the run has no such scan\nrow 3"):
        measured(run, table, tmp_path / "other")


def refused(run, tmp_path, masks, out, message):
    with pytest.raises(ConfigError, match=message):
        plan_measure(MeasureRequest(str(run / "run"), (str(masks),), str(out)))


def test_places_that_would_be_harmed_are_refused(run, own, tmp_path):
    masks = run / "own"
    for out in (run / "run", run / "run/scans/x", run):
        refused(run, tmp_path, masks, out, "overlaps the run")
    refused(run, tmp_path, masks, masks, "holds the masks|overlaps")
    refused(run, tmp_path, run / "none", tmp_path / "o", "does not exist")
    refused(run, tmp_path, run / "truth.nii.gz", own[0], "no mask names a scan")
    other = tmp_path / "masks"
    shutil.copytree(masks, other)
    refused(run, tmp_path, other, own[0], "holds another measurement")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    refused(run, tmp_path, masks, tmp_path / "full", "is not empty")
