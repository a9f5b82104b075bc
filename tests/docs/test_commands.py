"""What pages say can be typed can be typed: verbs, options, modules, targets of make, settings."""

import re
import shlex

import pytest
import typer
import yaml

from somray.cli import app
from somray.config import CohortConfig
from tests.docs.pages import ROOT, blocks, pages

PAGES = [page for page in pages() if page.name != "CHANGELOG.md"]
VERBS = typer.main.get_command(app).commands


def _unknown(line: str) -> list[str]:
    """Return what of a command line `somray` does not know."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    if words[0] not in VERBS:
        return [words[0]]
    options = {name for one in VERBS[words[0]].params for name in one.opts}
    asked = {word.partition("=")[0] for word in words[1:] if word.startswith("--")}
    return sorted(asked - options - {"--help"})


def _typed(page):
    for block in blocks(page):
        for line in block.text.splitlines():
            if line.lstrip("$ ").startswith("somray "):
                yield line.lstrip("$ ").removeprefix("somray ")
    yield from re.findall(r"`somray ([a-z][^`…]*)`", page.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_verbs_and_options_exist(page):
    lines = list(_typed(page))
    assert {line: _unknown(line) for line in lines if _unknown(line)} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_files_and_targets_exist(page):
    text = page.read_text("utf-8")
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = set(re.findall(r"`make ([\w./-]+)`", text))
    made |= set(re.findall(r"^make ([\w./-]+)", text, re.MULTILINE))
    assert made <= targets
    for name in re.findall(r"python -m (jobs\.\w+)", text):
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file(), name
    for name in re.findall(r"\bcluster/[\w/-]+\.(?:sbatch|yaml|json|def|txt)", text):
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_configurations_are_accepted(page):
    for block in blocks(page):
        if block.language == "yaml":
            CohortConfig.model_validate(yaml.safe_load(block.text))


def test_a_wrong_verb_and_a_wrong_option_are_found():
    assert _unknown("walk cohort.yaml") == ["walk"]
    assert _unknown("run cohort.yaml --sett a=b  # why --not") == ["--sett"]
    assert _unknown("export run --format nifti --out masks") == []
