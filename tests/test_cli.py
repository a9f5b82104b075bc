import json
from pathlib import Path

import pytest

from somray.cli import main
from tests.pipeline.same import differences
from tests.pipeline.tiny import body, run_tiny, save, write_manifest


def _json(capsys):
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def _cohort(folder: Path, rows: str, protocols: str = "{ct: {modality: CT}}") -> str:
    (folder / "scans.csv").write_text(f"subject,session,protocol,path\n{rows}\n")
    text = f"scans: scans.csv\noutput: run\nprotocols: {protocols}\n"
    (folder / "cohort.yaml").write_text(text)
    return str(folder / "cohort.yaml")


def test_help_explains_every_verb_with_an_example(capsys):
    for verb in ("demo", "phantom", "init", "check", "run", "status", "report", "apply", "export"):
        assert main([verb, "--help"]) == 0
        assert f"somray {verb}" in capsys.readouterr().out.replace("\n", " ")


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "0.1.0\n"


@pytest.mark.parametrize(
    "arguments", [["chek"], ["check"], ["check", "none.yaml"], ["status", "nowhere", "--jsn"]]
)
def test_wrong_usage_is_exit_2(arguments):
    assert main(arguments) == 2


def test_a_wrong_manifest_is_exit_2_before_anything_starts_and_names_all_rows(tmp_path, capsys):
    config = _cohort(tmp_path, "a b,t0,ct,x.nii\ns1,t0,mr,x.nii\ns1,t1,ct,y.nii\ns1,t1,ct,y.nii")
    assert main(["run", config]) == 2
    said = capsys.readouterr().err
    assert all(row in said for row in ("row 2", "row 3", "row 5"))
    assert not (tmp_path / "run").exists()


def test_check_tells_what_would_be_quarantined_with_exit_3(tmp_path, capsys):
    config = _cohort(tmp_path, "s1,t0,ct,none.nii.gz")
    assert main(["check", config, "--json"]) == 3
    plan = _json(capsys)
    assert plan["scans"] == 1
    assert plan["quarantine"][0]["code"] == "missing"
    assert set(plan["quarantine"][0]) == {"subject", "session", "protocol", "code", "message"}
    assert set(plan["stages"][0]) == {
        "stage", "units", "bytes", "peak_bytes", "cpu_hours", "gpu_hours",
    }  # fmt: skip


def test_check_refuses_a_plan_that_cannot_fit_with_exit_4(cohort_folder, capsys):
    config = str(cohort_folder / "cohort.yaml")
    assert main(["check", config, "--json", "--set", "resources.task_memory_mb=256"]) == 4
    told = capsys.readouterr()
    assert "task_memory_mb" in told.err
    plan = json.loads(told.out)  # which stage, and by how much
    assert {"error", "scans", "quarantine", "stages"} == set(plan)
    assert max(stage["peak_bytes"] for stage in plan["stages"]) > 256 * 2**20


def test_status_of_no_run_is_a_clear_error(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 4
    assert "no run of somray" in capsys.readouterr().err


def test_status_says_what_failed_and_why(finished, capsys):
    assert main(["status", str(finished[0])]) == 0
    told = capsys.readouterr().err
    assert told.startswith("done: 0 left, 3 failed")
    assert all(f"ingest {name} t0: {code}: " in told for name, code in
               (("twin", "duplicate"), ("cut", "truncated"), ("gone", "missing")))  # fmt: skip


def test_status_of_a_finished_run(finished, capsys):
    assert main(["status", str(finished[0]), "--json"]) == 0
    found = _json(capsys)
    assert (found["state"], found["left"], found["failed"]) == ("done", 0, 3)
    assert set(found["stages"][0]) == {"stage", "done", "left", "failed"}


@pytest.mark.parametrize("modality", ["ct", "xct"])
def test_a_phantom_can_be_checked_at_once(tmp_path, modality, capsys):
    out = tmp_path / "cohort"
    arguments = ["--subjects", "1", "--sessions", "1", "--shape", "8,32,32"]
    assert main(["phantom", "--out", str(out), "--modality", modality, *arguments]) == 0
    capsys.readouterr()
    assert main(["check", str(out / "cohort.yaml"), "--json"]) == 0
    assert _json(capsys)["quarantine"] == []


def test_a_malformed_shape_is_exit_2(tmp_path, capsys):
    assert main(["phantom", "--out", str(tmp_path / "x"), "--shape", "8x8"]) == 2
    assert "expected Z,Y,X" in capsys.readouterr().err


def test_init_proposes_a_cohort_that_check_accepts(cohort_folder, tmp_path, capsys):
    out = tmp_path / "study"
    source = cohort_folder / "scans/s01_t0_CT.nii.gz"
    assert main(["init", str(source), "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["check", str(out / "cohort.yaml"), "--json"]) == 0
    assert _json(capsys)["scans"] == 1
    assert main(["init", str(source), "--out", str(out)]) == 2


@pytest.mark.parametrize(
    ("method", "form", "code"), [("som", "nifti", 0), ("student", "rtstruct", 4)]
)
def test_apply_equals_what_the_run_did_to_the_same_scan(
    finished, cohort_folder, tmp_path, method, form, code, capsys
):
    import zarr

    import somray

    source = str(cohort_folder / "scans/s02_t1_CT.nii.gz")
    out = tmp_path / "masks"
    arguments = ["--protocol", "phantom-ct", "--out", str(out), "--method", method, "--json"]
    arguments += ["--format", form]
    assert main(["apply", str(finished[0]), f"file://{source}", *arguments]) == code
    told = _json(capsys)
    assert [one["reason"] for one in told["left_out"]] == ["rtstruct needs a DICOM source"] * (
        code > 0
    )
    assert told["drift"]["status"] == "ok"  # of a network by the teacher that it learned from
    group = zarr.open_group(told["scan"], mode="r")
    expected = somray.open_run(finished[0]).scan("s02", "t1")[method].values
    assert (group[f"labels/{method}/0"][:] == expected).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "none"], "the run has phantom-ct"),
        (["--protocol", "phantom-ct", "--method", "both"], "expected som, student, finetuned"),
    ],
)
def test_apply_refuses_what_the_run_does_not_have(finished, tmp_path, arguments, message, capsys):
    assert main(["apply", str(finished[0]), "x.nii", "--out", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_on_ray_gives_the_bits_of_the_serial_one(tmp_path, capsys):
    """Of direct transfer; that of a student, and of all other stages, is compared by tests/chaos."""
    rows = [
        ("s1", "t0", "p", "a.nii.gz"),
        ("s1", "t1", "p", "b.nii.gz"),
        ("s2", "t0", "p", "c.nii.gz"),
    ]
    for n, row in enumerate(rows[:2]):
        save(tmp_path / row[-1], body(seed=n))
    write_manifest(tmp_path, rows)
    run_tiny(tmp_path)
    place = tmp_path / "on_ray"
    settings = ["--set", f"output={place}", "--set", "resources.workers=2"]
    assert main(["run", str(tmp_path / "cohort.yaml"), "--json", *settings]) == 3
    assert _json(capsys)["run"] == str(place)
    assert differences(tmp_path / "run", place) == []
    assert (place / "report/index.html").exists()
