"""`somray propose`: labels drawn by hand, whose figures are known, and a real run."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from somray.cli import main
from somray.domain.run import RunLayout
from somray.io.ome import image as ome
from somray.io.storage import Storage
from tests.commands.ingested import balls, ingested


def proposed(run, *arguments, capsys, code=0):
    assert main(["propose", str(run), "--json", *arguments]) == code
    return json.loads(capsys.readouterr().out)


def chosen(found, choice="proposed"):
    return [row for row in found["rows"] if row["choice"] == choice]


@pytest.fixture
def drawn(tmp_path):
    """Three subjects, no map; in the second the student sees a ball of 4 × 4 × 4 nowhere, in the third half of it."""
    rows = []
    for n, subject in enumerate("abc"):
        image = np.random.default_rng(n).normal(size=(10, 9, 8)).astype(np.float32)
        nib.Nifti1Image(image, np.diag([-2.0, -2, 5, 1])).to_filename(
            tmp_path / f"{subject}.nii.gz"
        )
        rows.append((subject, "t0", f"{subject}.nii.gz"))
    run = ingested(tmp_path, rows, balls((8, 8, 20, 6)))
    storage = Storage.at(run)
    for subject, kept in (("b", 0), ("c", 4)):
        name = RunLayout.scan(subject, "t0")
        (brick,) = ome.read_meta(storage, name).bricks(0)
        labels = ome.read_label_brick(storage, name, "student", brick)
        labels[kept:] = 0
        ome.create_labels(storage, name, "student", "uint8")
        ome.write_label_brick(storage, name, "student", brick, labels)
        ome.finish_labels(storage, name, "student", {3: "lesion"})
    return run


def test_scans_on_which_map_and_student_disagree_come_first(drawn, capsys):
    found = proposed(drawn, capsys=capsys)
    rows = chosen(found)
    assert [row["subject"] for row in rows] == ["b", "c", "a"]
    storage, name = Storage.at(drawn), RunLayout.scan("c", "t0")
    (brick,) = ome.read_meta(storage, name).bricks(0)
    som = ome.read_label_brick(storage, name, "som", brick) == 3
    assert [row["disagreement"] for row in rows] == [1.0, som[4:].sum() / som.sum(), 0.0]
    assert [row["score"] for row in rows] == [1.0, 0.5, 0.0]
    assert "disagree on 100%" in rows[0]["why"]
    assert rows[0]["rarity"] is None
    assert any("left out of the score: unsure, drift, rarity, doubt" in n for n in found["notes"])


def test_slices_are_proposed_by_the_area_in_question(drawn, capsys):
    rows = chosen(proposed(drawn, "--what", "slices", "--n", "2", capsys=capsys))
    assert [row["subject"] for row in rows] == ["b", "c"]
    storage, name = Storage.at(drawn), RunLayout.scan("b", "t0")
    (brick,) = ome.read_meta(storage, name).bricks(0)
    areas = 4.0 * (ome.read_label_brick(storage, name, "som", brick) == 3).sum(axis=(1, 2))
    assert rows[0]["z"] == int(np.argmax(areas))
    assert rows[0]["disagreement"] == areas.max()


def test_every_time_point_is_looked_at(tmp_path, capsys):
    """A ball that only the map sees, at t 2 of the second subject alone."""
    rows = []
    for n, subject in enumerate("ab"):
        image = np.random.default_rng(n).normal(size=(10, 9, 8, 3)).astype(np.float32)
        nib.Nifti1Image(image, np.diag([-2.0, -2, 5, 1])).to_filename(
            tmp_path / f"{subject}.nii.gz"
        )
        rows.append((subject, "t0", f"{subject}.nii.gz"))
    run = ingested(tmp_path, rows, balls((8, 8, 20, 6)))
    storage, name = Storage.at(run), RunLayout.scan("b", "t0")
    bricks = list(ome.read_meta(storage, name).bricks())
    seen = {brick.t: ome.read_label_brick(storage, name, "student", brick) for brick in bricks}
    ome.create_labels(storage, name, "student", "uint8")
    for brick in bricks:
        ome.write_label_brick(storage, name, "student", brick, seen[brick.t] * (brick.t != 2))
    ome.finish_labels(storage, name, "student", {3: "lesion"})
    first, other = chosen(proposed(run, capsys=capsys))
    assert (first["subject"], first["t"], other["disagreement"]) == ("b", None, 0.0)
    assert first["disagreement"] == pytest.approx(1 / 3)
    found = proposed(run, "--what", "slices", "--n", "1", capsys=capsys)
    (row,) = chosen(found)
    areas = 4.0 * (seen[2] == 3).sum(axis=(1, 2))
    assert (row["subject"], row["t"], row["z"]) == ("b", 2, int(np.argmax(areas)))
    assert row["disagreement"] == areas.max()
    assert any("truth masks belong to t 0" in note for note in found["notes"])


def test_what_is_left_in_a_table_is_what_was_told(drawn, tmp_path, capsys):
    place = tmp_path / "out" / "first.csv"
    found = proposed(drawn, "--out", str(place), "--n", "2", capsys=capsys)
    assert found["file"] == str(place)
    read = list(csv.DictReader(place.read_text().splitlines()))
    assert [(r["choice"], r["rank"], r["subject"]) for r in read] == [
        (r["choice"], str(r["rank"]), r["subject"]) for r in found["rows"]
    ]
    assert main(["propose", str(drawn), "--out", str(tmp_path / "first.txt")]) == 2
    assert "ends in .csv" in capsys.readouterr().err


def test_chance_follows_its_seed_alone(drawn, capsys):
    def drawn_by(seed):
        found = proposed(drawn, "--seed", str(seed), "--n", "2", capsys=capsys)
        return [row["subject"] for row in chosen(found, "random")]

    assert drawn_by(1) == drawn_by(1)
    assert len({tuple(drawn_by(seed)) for seed in range(6)}) > 1


def test_a_scan_with_a_truth_is_proposed_only_where_asked(drawn, capsys):
    table = drawn.parent / "scans.csv"
    lines = table.read_text().splitlines()
    truth = [
        f"{lines[0]},truth",
        *(f"{one},{'c.nii.gz' if one.startswith('b,') else ''}" for one in lines[1:]),
    ]
    table.write_text("\n".join(truth) + "\n")
    assert {row["subject"] for row in proposed(drawn, capsys=capsys)["rows"]} == {"a", "c"}
    rows = chosen(proposed(drawn, "--all", capsys=capsys))
    assert [row["has_truth"] for row in rows] == [True, False, False]


def test_one_scan_alone_is_proposed_without_a_reason(tmp_path, capsys):
    image = np.random.default_rng(0).normal(size=(5, 5, 4)).astype(np.float32)
    nib.Nifti1Image(image, np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    run = ingested(tmp_path, [("s", "t0", "a.nii.gz")], balls((-2, -2, 2, 1.2)))
    found = proposed(run, capsys=capsys)
    (row,) = chosen(found)
    assert (row["score"], row["why"]) == (0.5, "no figure stands out")
    assert any("all are of one subject" in note for note in found["notes"])


def test_a_run_knows_drift_and_rare_nodes(finished, capsys):
    run = finished[0]
    assert main(["propose", str(run)]) == 2
    assert "every scan has a truth already; --all" in capsys.readouterr().err
    found = proposed(run, "--all", "--n", "4", capsys=capsys)
    rows = chosen(found)
    assert {row["subject"] for row in rows[:2]} == {"s01", "s02"}
    for row in found["rows"]:
        assert row["drift"] > 0
        assert 0 <= row["rarity"] <= 1
        assert 0 <= row["disagreement"] <= 1
    again = proposed(run, "--all", "--n", "4", capsys=capsys)
    assert again == found
    slices = chosen(proposed(run, "--all", "--what", "slices", capsys=capsys))
    assert len({(row["subject"], row["session"], row["z"]) for row in slices}) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--what", "slice"], "did you mean 'slices'"),
        (["--protocol", "phantom"], "did you mean 'phantom-ct'"),
    ],
)
def test_what_there_is_not_is_refused_with_the_way_out(finished, arguments, message, capsys):
    assert main(["propose", str(finished[0]), *arguments]) == 2
    assert message in capsys.readouterr().err
