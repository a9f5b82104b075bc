"""The site builds without a warning, its pages from the code are fresh, and links of the repository are turned."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import somray
from jobs.write_docs import main, pages
from tests.docs.pages import ROOT

REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def repository():
    spec = importlib.util.spec_from_file_location("repository", ROOT / "docs/site/repository.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_page_from_the_code_is_fresh(name):
    assert (REFERENCE / name).read_text("utf-8") == pages()[name], "`make docs` writes it anew"


def test_every_setting_has_a_meaning():
    rows = [r for r in pages()["configuration.md"].splitlines() if r.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []
    assert len(rows) > 60


def test_the_job_writes_them(tmp_path):
    assert main([str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(pages())


def test_every_public_name_is_in_the_python_reference():
    text = (REFERENCE / "python.md").read_text("utf-8")
    names = set(somray.__all__) - {"FEATURES", "__version__", "som"}
    assert [name for name in sorted(names) if f".{name}\n" not in text] == []
    assert "somray.FEATURES" in text
    assert "::: somray.som" in text


def test_links_of_the_repository_become_links_of_the_site(repository):
    held = frozenset({"cluster/README.md", "CONTRIBUTING.md", "somray/DESIGN.md"})

    def turned(text, page):
        return repository.turned(text, page, held)

    assert (
        turned("[c](../cluster/README.md#slurm)", "a.md")
        == "[c](repository/cluster/README.md#slurm)"
    )
    assert turned("[a](docs/how-to/x.md)", "repository/CONTRIBUTING.md") == "[a](../how-to/x.md)"
    assert turned("[k](../../somray/cli.py)", "how-to/x.md") == "k"
    assert turned("[b](y.md)\n```\n[k](../somray/cli.py)\n```", "x.md").count("](") == 2
    assert turned("[d](DESIGN.md)", "repository/somray/DESIGN.md") == "[d](DESIGN.md)"


def test_the_site_builds_without_a_warning(tmp_path):
    place = tmp_path / "site"
    # never --quiet: with it warnings are not counted
    command = [Path(sys.executable).parent / "mkdocs", "build", "--strict"]
    command += ["--config-file", ROOT / "docs/site/mkdocs.yml", "--site-dir", place]
    found = subprocess.run(
        command,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "WARNING" not in found.stderr
    assert "Documentation built" in found.stderr
    page = (place / "reference/python.html").read_text("utf-8")
    assert "spacing_mm" in page
    fetched = re.findall(
        r'(?:src|href)="(https?:[^"]+)"', (place / "index.html").read_text("utf-8")
    )
    assert [one for one in fetched if "mkdocs-material" not in one] == []  # its name in the footer
    assert (place / "repository/cluster/index.html").is_file()
