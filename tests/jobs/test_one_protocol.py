import csv

import pytest
import yaml

from jobs.one_protocol import main
from somray.commands.launch import load_cohort

ROWS = [
    ("s01", "t0", "one", "a.nii.gz", "CT", "0", "mask.nii.gz"),
    ("s01", "t0", "one", "b.nii.gz", "PET", "0", ""),
    ("s02", "t0", "two", "c.nii.gz", "", "", ""),
    ("s01", "t1", "one", "d.nii.gz", "CT", "31.5", ""),
]


@pytest.fixture
def folder(tmp_path):
    config = {
        "scans": "scans.csv",
        "output": "run",
        "seed": 4,
        "protocols": {"one": {"modality": "PETCT"}, "two": {"modality": "CT"}},
    }
    (tmp_path / "cohort.yaml").write_text(yaml.safe_dump(config))
    write(tmp_path, ROWS)
    (tmp_path / "part").mkdir()
    return tmp_path


def write(folder, rows):
    titles = ("subject", "session", "protocol", "path", "channel", "days", "truth")
    with (folder / "scans.csv").open("w", newline="") as file:
        csv.writer(file).writerows([titles, *rows])


def split(folder, number, *settings):
    return main([str(folder / "part"), str(number), str(folder / "cohort.yaml"), *settings])


def test_a_protocol_becomes_a_cohort_with_an_output_of_its_own(folder, capsys):
    whole = load_cohort(folder / "cohort.yaml")
    assert split(folder, 0, "--set", "protocols.one.teacher.epochs=3") == 0
    printed = capsys.readouterr().out.strip()
    part = load_cohort(folder / "part" / "cohort.yaml")
    assert printed == str(folder / "part" / "cohort.yaml")
    assert list(part.config.protocols) == ["one"]
    assert part.config.protocols["one"].teacher.epochs == 3
    assert part.config.seed == 4
    assert part.storage.root == str(folder / "run" / "one")
    known = [scan for scan in whole.scans if scan.protocol == "one"]
    assert [(s.paths, s.days, s.truth, s.order) for s in part.scans] == [
        (s.paths, s.days, s.truth, s.order) for s in known
    ]


def test_a_number_without_a_protocol_is_told(folder, capsys):
    assert split(folder, 2) == 2
    assert "--array=0-1 (one, two)" in capsys.readouterr().err


def test_a_subject_is_not_torn_apart(folder, capsys):
    write(folder, [*ROWS, ("s01", "t2", "two", "e.nii.gz", "", "60", "")])
    assert split(folder, 0) == 2
    assert "subject s01 has sessions of one and of two" in capsys.readouterr().err


def test_a_protocol_without_scans_is_told(folder, capsys):
    write(folder, [row for row in ROWS if row[2] == "one"])
    assert split(folder, 1) == 2
    assert "'two'" in capsys.readouterr().err
