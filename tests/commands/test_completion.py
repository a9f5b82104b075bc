"""What shells complete, asked as they ask it."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from somray.cli import app, main


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Two runs and a folder that is none, beside each other."""
    for run in ("lung", "liver"):
        for scan in ("sub-s1_ses-t0", "sub-s1_ses-t1", "sub-p2_ses-a"):
            (tmp_path / run / "scans" / f"{scan}.ome.zarr").mkdir(parents=True)
        (tmp_path / run / "models/chest-ct").mkdir(parents=True)
        (tmp_path / run / "run.json").write_text("{}")
    (tmp_path / "library").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def complete(monkeypatch, capsys):
    def ask(line):
        words = shlex.split(line)
        begun = not line.endswith(" ")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - begun))
        monkeypatch.setenv("_SOMRAY_COMPLETE", "complete_bash")
        capsys.readouterr()
        assert main([]) == 0
        return capsys.readouterr().out.split()

    return ask


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("somray ex", ["export"]),
        ("somray export --for", ["--format"]),
        ("somray status li", ["liver"]),
        ("somray status ./l", ["./liver", "./lung"]),
        ("somray status lib", []),
        ("somray status lung/", []),
        ("somray export lung --subject ", ["p2", "s1"]),
        ("somray export lung --subject s1 --session ", ["t0", "t1"]),
        ("somray export lung --session t", ["t0", "t1"]),
        ("somray export none --subject ", []),
        ("somray apply lung a.nii --protocol ", ["chest-ct"]),
        ("somray export lung --format n", ["nifti", "nrrd", "nnunet"]),
        ("somray export lung --label ", ["som", "student", "lesions"]),
        ("somray phantom --modality p", ["petct", "pet"]),
        ("somray demo --size ", ["small", "medium", "large"]),
    ],
)
def test_what_is_completed(study, complete, line, found):
    assert complete(line) == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_every_shell_is_shown_and_is_sound(shell, monkeypatch, capsys, tmp_path):
    """As the shell itself judges it, where it is installed."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code = "import sys; from somray.cli import main; sys.exit(main(['--show-completion', sys.argv[1]]))"
    found = subprocess.run(
        [sys.executable, "-c", code, shell], capture_output=True, text=True, check=False, env=dict(os.environ)
    )  # fmt: skip
    assert "_SOMRAY_COMPLETE" in found.stdout
    if shutil.which(shell):
        (tmp_path / "script").write_text(found.stdout)
        told = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, check=False)
        assert told.returncode == 0


def test_completion_can_be_installed():
    assert app._add_completion
