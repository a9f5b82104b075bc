import csv
import json
import os

import numpy as np
import pytest
import tifffile

from somray.cli import main
from somray.commands.proposal import propose_cohort, told
from somray.config import load_config
from somray.errors import ConfigError
from somray.io.cohort.manifest import load_manifest
from tests.io.cohort.trees import nifti, series


def proposed(root, out):
    """Propose, then read both files as `check` does."""
    found = propose_cohort([root], out)
    config = load_config(out / "cohort.yaml")
    return found, config, load_manifest(out / "scans.csv", config)


def test_what_is_proposed_is_a_cohort_that_reads_back(tmp_path):
    study = tmp_path / "étude $HOME ~"
    for n in (1, 2):
        for session in ("week2", "week10"):
            nifti(study / f"Müller {n}" / session / "ct, 1 'x' \"y\".nii.gz")
        nifti(study / f"Müller {n}" / "week10" / "lesion_mask.nii.gz", "mask")
    found, config, scans = proposed(study, tmp_path / "out")
    assert (found["scans"], found["subjects"], found["truth"]) == (4, 2, 2)
    assert [(s.session, s.order, s.days) for s in scans] == [
        ("week2", 0, 14),
        ("week10", 1, 70),
    ] * 2
    assert [s.path.startswith(str(study)) for s in scans] == [True] * 4
    assert sum(s.truth is not None for s in scans) == 2
    assert list(config.protocols) == ["ct"]


def test_the_configuration_says_what_to_look_at_and_fill_in(tmp_path):
    (tmp_path / "rock_xct").mkdir()
    tifffile.imwrite(tmp_path / "rock_xct/a.tif", np.arange(40, dtype=np.uint8).reshape(2, 4, 5))
    series(tmp_path / "P1", "A1", ConvolutionKernel="B70f\n: [x")
    found, config, _ = proposed(tmp_path, tmp_path / "out")
    text = (tmp_path / "out/cohort.yaml").read_text()
    assert set(config.protocols) == {"xct", "ct"}
    assert "1 scan(s) of 1 subject(s)" in text
    assert "    # spacing_mm: [z, y, x]" in text
    assert "kernel B70f" in text
    assert any("no voxel size" in note for note in found["notes"])


def test_the_words_say_how_many_and_what_was_left_out(tmp_path, capsys):
    nifti(tmp_path / "data/P1/ct.nii.gz")
    (tmp_path / "data/P1/bad.nii.gz").write_bytes(b"nothing" * 30)
    assert main(["init", str(tmp_path / "data"), "--out", str(tmp_path / "a")]) == 0
    words = capsys.readouterr().err
    assert "1 scan of 1 subject (ct 1)" in words
    assert "1 left out" in words
    assert "somray check" in words
    assert main(["init", str(tmp_path / "data"), "--out", str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["protocols"] == {"ct": 1}
    assert [(e["code"], e["path"]) for e in found["left_out"]] == [
        ("unreadable", str(tmp_path / "data/P1/bad.nii.gz"))
    ]
    assert "left out (unreadable)" in told(found)
    with (tmp_path / "b/scans.csv").open() as file:
        assert [row["subject"] for row in csv.DictReader(file)] == ["P1"]


def test_what_is_left_out_of_one_folder_for_one_reason_is_counted(tmp_path):
    for name in ("P1/ct.nii.gz", "P2/ct.nii.gz"):
        nifti(tmp_path / "data" / name)
    for n in range(9):
        (tmp_path / "data" / f"P{1 + n // 7}" / f"{n}.mgz").write_bytes(b"x")
    found = propose_cohort([tmp_path / "data"], tmp_path / "out")
    assert len(found["left_out"]) == 9
    lines = [line for line in told(found).splitlines() if "FreeSurfer" in line]
    starts = [line.split(": ")[1].replace(f"{tmp_path}/data/", "") for line in lines]
    assert starts == ["P1/0.mgz", "P1/1.mgz", "5 more in P1", "P2/7.mgz", "P2/8.mgz"]


def test_where_nothing_is_a_scan_the_reasons_are_given(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/scans.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match=r"(?s)no scan .*is an archive; unpack it"):
        propose_cohort([tmp_path / "data"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_places_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "dead").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="does not exist"):
        propose_cohort([tmp_path / "none"], tmp_path)
    with pytest.raises(ConfigError, match="link to nothing"):
        propose_cohort([tmp_path / "dead"], tmp_path)


def test_a_path_with_dots_is_written_plainly(tmp_path):
    nifti(tmp_path / "data/P1/ct.nii.gz")
    (tmp_path / "here").mkdir()
    _, _, scans = proposed(tmp_path / "here/../data", tmp_path / "out")
    assert [s.path for s in scans] == [str(tmp_path / "data/P1/ct.nii.gz")]


def test_names_that_a_table_does_not_keep_are_kept_or_refused(tmp_path):
    series(tmp_path / "data" / "P1 ", "A1")
    nifti(tmp_path / "data" / "line\nbreak" / "ct.nii.gz")
    found, _, scans = proposed(tmp_path / "data", tmp_path / "out")
    assert [s.paths[0] for s in scans] == [str(tmp_path / "data" / "P1 ")]
    assert "line?break: has a name with a line break" in told(found)
    for name in (b"\xe9t", b"line\nbreak"):
        place = tmp_path / os.fsdecode(name)
        nifti(place / "ct.nii.gz")
        with pytest.raises(ConfigError, match="no table can hold"):
            propose_cohort([place], tmp_path / "none")
