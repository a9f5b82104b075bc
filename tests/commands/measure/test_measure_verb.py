"""`somray measure` on the command line: what it answers, and its exit codes."""

import json

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from somray.commands.measure.verb import exit_code, measure, measure_text
from somray.errors import ConfigError
from tests.commands.ingested import balls, ingested
from tests.io.masks.structures import box, write_structures

APP = typer.Typer()
APP.command()(measure)
DONE = {"state": "done", "left": 0, "failed": 0, "stages": []}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two scans without registration, of one grid each."""
    folder = tmp_path_factory.mktemp("ingested")
    rows = []
    for n, session in enumerate(("t0", "t1")):
        values = np.random.default_rng(n).normal(size=(16, 14, 6 + n)).astype(np.float32)
        nibabel.save(
            nibabel.Nifti1Image(values, np.diag([-1.0, -1.0, 2.0, 1.0])), folder / f"{session}.nii"
        )
        rows.append(("a", session, f"{session}.nii"))
        mask = np.zeros(values.shape, np.uint8)
        mask[4:9, 4:9, 2:4], mask[11:14, 4:8, 2:4] = 1, 2
        (folder / "masks").mkdir(exist_ok=True)
        named = folder / f"masks/sub-a_ses-{session}.nii"
        nibabel.save(nibabel.Nifti1Image(mask, np.diag([-1.0, -1.0, 2.0, 1.0])), named)
    (folder / "masks/dataset.json").write_text(json.dumps({"labels": {"background": 0, "big": 1}}))
    place = ingested(folder, rows, balls((6.0, 6.0, 5.0, 3.0)))
    (place / "work").mkdir(exist_ok=True)
    (place / "work/state.json").write_text(json.dumps(DONE))
    return place


def asked(*words):
    found = CliRunner().invoke(APP, [str(word) for word in words])
    return found.exit_code, found.stdout, found.exception


def test_the_answer_is_one_object_and_3_says_that_something_was_set_aside(run, tmp_path):
    masks = run.parent / "masks"
    code, out, _ = asked(run, masks, "--out", tmp_path / "out", "--label", "big", "--json")
    told = json.loads(out)
    assert (code, told["state"], told["left_out"]) == (0, "done", [])
    assert [pair["voxels"] for pair in told["pairs"]] == [50, 50]
    assert not any(pair["resampled"] for pair in told["pairs"])
    one = asked(run, masks / "sub-a_ses-t1.nii", "--out", tmp_path / "one", "--json")
    assert one[0] == 3
    assert [gone["session"] for gone in json.loads(one[1])["left_out"]] == ["t0"]


def test_a_dry_run_writes_nothing(run, tmp_path):
    code, out, _ = asked(
        run, run.parent / "masks", "--out", tmp_path / "out", "--dry-run", "--json"
    )
    assert code == 0
    assert [pair["session"] for pair in json.loads(out)["pairs"]] == ["t0", "t1"]
    assert not (tmp_path / "out").exists()


def test_a_region_counts_as_it_was_drawn_whatever_covers_it(run, tmp_path):
    for session in ("t0", "t1"):
        rois = [
            (1, "Breast", "GTV", [box(z, 1.5, 9.5, 1.5, 9.5) for z in (4, 6)]),
            (2, "Tumor Bed", "CTV", [box(z, 3.5, 6.5, 3.5, 7.5) for z in (4, 6)]),
        ]
        write_structures(tmp_path / f"masks/sub-a_ses-{session}.dcm", rois)
    asking = (run, tmp_path / "masks", "--json", "--out")
    for label, voxels in (("tumor_bed", 24), ("2", 24), ("Breast,Tumor Bed", 128), ("1", 128)):
        code, out, error = asked(*asking, tmp_path / f"out {label}", "--label", label)
        assert code == 0, error
        assert [pair["voxels"] for pair in json.loads(out)["pairs"]] == [voxels, voxels]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--as", "voxels"), "expected parts or instances"),
        (("--label", "none"), "names big, and not none"),
        (("--label", "0"), "labels from 1 on"),
    ],
)
def test_what_cannot_be_asked_is_refused(run, tmp_path, words, message):
    code, _, error = asked(run, run.parent / "masks", "--out", tmp_path / "out", *words)
    assert code != 0
    assert isinstance(error, ConfigError)
    assert message in str(error)
    assert not (tmp_path / "out").exists()


def test_words_tell_what_reading_a_mask_told():
    pair = {"subject": "a", "session": "t0", "masks": ["m.nii", "n.nii"], "voxels": 7, "resampled": True,
            "inside_fraction": 0.8}  # fmt: skip
    gone = {
        "subject": None,
        "session": None,
        "mask": "z.nii",
        "code": "missing",
        "message": "whose?",
    }
    found = {"pairs": [pair], "left_out": [gone], "notes": ["old"], "run": "out", **DONE}
    text = measure_text(found)
    assert "a t0: m.nii and 1 more (brought from another grid, 80% of it lie in the scan)" in text
    assert "set aside: no scan: [missing] whose?" in text
    assert (exit_code(found), exit_code({**found, "left_out": []})) == (3, 0)
    assert exit_code({**found, "broken": 1}) == 4
