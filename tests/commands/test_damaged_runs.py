"""Runs of which a copy, a full disk or a person took a part: one sentence that names the file, never a traceback."""

import shutil

import pytest

from somray.cli import main
from somray.io.run import open_run
from tests.commands.test_mistakes import FAILED, make_run

DAMAGED = {
    "state": ("work/state.json", 20, ("status", "propose"), ""),
    "configuration": ("cohort.yaml", 60, ("report", "export"), "cohort.yaml: is damaged; `somray run`"),
    "no configuration": ("cohort.yaml", None, ("export",), "cohort.yaml: is missing; `somray run`"),
    "model": ("models/p/model.json", 20, ("apply", "propose"), "model.json: is damaged; copy it again"),
    "codebook": ("models/p/*.safetensors", 10, ("apply", "report"), "safetensors: is damaged; copy it"),
    "no codebook": ("models/p/*.safetensors", None, ("apply",), "safetensors: is missing; copy it"),
    "table": ("tables/*/*/*.parquet", 30, ("export", "measure"), "a file in it is damaged; copy it"),
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_named(name, run, tmp_path, capsys):
    pattern, kept, verbs, words = DAMAGED[name]
    own = shutil.copytree(run, tmp_path / "run")
    for file in own.glob(pattern):
        if kept is None:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:kept])
    scan, out = str(run.parent / "a.nii"), str(tmp_path / "out")
    rest = {
        "status": [], "report": [], "propose": ["--n", "1"], "measure": [scan, "--out", out],
        "export": ["--format", "nifti", "--out", out], "apply": [scan, "--protocol", "p", "--out", out],
    }  # fmt: skip
    for verb in verbs:
        code = main([verb, str(own), *rest[verb]])
        told = capsys.readouterr().err
        assert "Traceback" not in told
        assert words in told
        assert code == (FAILED if words else 0)


def test_a_damaged_state_is_none(tmp_path):
    (tmp_path / "work").mkdir()
    for text in ('{"state": "do', "", "[]"):
        (tmp_path / "work/state.json").write_text(text)
        assert open_run(tmp_path).state() == {}
