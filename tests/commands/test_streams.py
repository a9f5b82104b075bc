"""What stands on which stream: one JSON object on stdout for every verb, nothing lost where a reader goes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from somray.cli import app, main

SOMRAY = [sys.executable, "-m", "somray.cli"]
VERBS = sorted(typer.main.get_command(app).commands)


def _object(text):
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return json.loads(text)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_gives_one_object_with_json_even_for_wrong_usage(verb, capsys):
    options = [name for p in typer.main.get_command(app).commands[verb].params for name in p.opts]
    assert "--json" in options
    assert main([verb, "--json", "--no-such-option"]) == 2
    said = capsys.readouterr()
    error = _object(said.out)["error"]
    assert (error["kind"], error["exit_code"]) == ("usage", 2)
    assert error["message"] in said.err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"Example: somray {verb}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (["check", "none.yaml"], "config", 2),
        (["status", "none"], "storage", 4),
        (["run", "good.yaml", "--address", "127.0.0.1:9"], "plan", 4),
    ],
)
def test_an_error_is_an_object_with_its_kind(arguments, kind, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("scans.csv").write_text("subject,session,protocol,path\ns1,t0,p,a.nii\n")
    Path("good.yaml").write_text("scans: scans.csv\noutput: run\nprotocols: {p: {}}\n")
    assert main([*arguments, "--json"]) == code
    error = _object(capsys.readouterr().out)["error"]
    assert (error["kind"], error["exit_code"]) == (kind, code)


def test_what_others_print_does_not_reach_stdout(monkeypatch, tmp_path, capsys):
    from somray.io import status

    def chatty(location):
        sys.stdout.write("a library says hello\n")
        return {"state": "done"}

    monkeypatch.setattr(status, "read_status", chatty)
    (tmp_path / "run.json").write_text("{}")
    assert main(["status", str(tmp_path), "--json"]) == 0
    said = capsys.readouterr()
    assert _object(said.out) == {"state": "done"}
    assert "hello" in said.err


def test_an_error_of_our_own_is_told_with_its_lines(monkeypatch, tmp_path, capsys):
    from somray.io import status

    monkeypatch.setattr(status, "read_status", lambda location: 1 / 0)
    (tmp_path / "run.json").write_text("{}")
    assert main(["status", str(tmp_path), "--json"]) == 4
    said = capsys.readouterr()
    assert _object(said.out)["error"]["kind"] == "internal"
    assert "ZeroDivisionError" in said.err
    assert "please report" in said.err


def test_ctrl_c_is_130_and_one_object(monkeypatch, tmp_path, capsys):
    from somray.io import status

    def interrupted(location):
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "read_status", interrupted)
    (tmp_path / "run.json").write_text("{}")
    assert main(["status", str(tmp_path), "--json"]) == 130
    assert _object(capsys.readouterr().out)["error"]["kind"] == "stopped"


def _shell(line, **variables):
    return subprocess.run(
        ["bash", "-c", line.replace("somray", f"{sys.executable} -m somray.cli")],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_streams_that_are_closed_full_or_lack_letters_or_whose_reader_has_gone_are_no_trouble(
    tmp_path,
):
    (tmp_path / "grün").mkdir()
    asked = f"somray status {tmp_path}/grün"
    lines = [
        f"{asked}; echo $?",
        f"{asked} <&- >&- 2>&-; echo $?",
        f"{asked} --json >/dev/full; echo $?",
        f"{asked} --json 2>&1 | true; echo ${{PIPESTATUS[0]}}",
    ]
    found = _shell("; ".join(lines), LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert found.stdout.split() == ["4"] * 4
    assert "gr\\" in found.stderr
    assert "Traceback" not in found.stderr


def test_the_command_line_starts_without_what_is_heavy():
    """Help and completion answer at once."""
    code = "import sys, somray.cli; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "numpy",
        "pandas",
        "pydantic",
        "ray",
        "rich",
        "scipy",
        "torch",
        "xarray",
        "yaml",
        "zarr",
    }
    assert heavy & set(eval(found.stdout)) == set()


@pytest.mark.parametrize(
    ("given", "kept", "is_told"),
    [("4,2", "4", False), (" 3 ", "3", False), ("8", "8", False), ("", None, False), ("all", None, True),
     ("0", None, True)],
)  # fmt: skip
def test_threads_of_openmp_are_one_number_for_all_packages(
    given, kept, is_told, monkeypatch, capsys
):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    main(["--version"])
    assert os.environ.get("OMP_NUM_THREADS") == kept
    assert (f"OMP_NUM_THREADS={given!r}" in capsys.readouterr().err) is is_told


def test_a_home_folder_that_no_shell_expanded_is_expanded(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    size = ["--subjects", "1", "--sessions", "1", "--shape", "8,32,32", "--format", "nifti"]
    assert main(["phantom", "--out=~/p", *size]) == 0
    assert (tmp_path / "home" / "p" / "cohort.yaml").exists()
    assert not (tmp_path / "~").exists()
    assert f"{tmp_path}/home/p/cohort.yaml" in capsys.readouterr().err
