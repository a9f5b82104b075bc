"""What code decides which stage's results: edits planted in a copy of the house change just their digests."""

import ast
import shutil
import time
from pathlib import Path

import pytest

import somray
from somray.pipeline.digests import code_digests, imported_names
from somray.pipeline.stages import STAGES
from tests.syntax import syntax_tree

HOUSE = Path(somray.__file__).parent
ALL = set(STAGES)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    place = tmp_path_factory.mktemp("house") / "somray"
    shutil.copytree(HOUSE, place, ignore=shutil.ignore_patterns("__pycache__"))
    return place


@pytest.fixture(scope="module")
def before(copy):
    return code_digests(copy)


@pytest.mark.parametrize(
    ("module", "due", "not_due"),
    [
        (
            "kernels/registration/plane/search.py",
            {"register"},
            {"ingest", "teacher", "som", "student"},
        ),
        ("kernels/registration/chain/compose.py", {"register"}, ALL - {"register"}),
        ("kernels/student/network.py", {"student", "segment"}, {"ingest", "register", "teacher"}),
        ("kernels/student/rounds/run.py", {"student"}, {"ingest", "register", "teacher", "truth"}),
        ("kernels/student/training/loss.py", {"student"}, {"ingest", "register", "teacher"}),
        ("kernels/som/fit.py", {"teacher"}, {"ingest", "register", "truth"}),
        ("kernels/teacher/drift.py", {"drift"}, {"ingest", "register"}),
        ("kernels/evolution/identities.py", {"evolve"}, ALL - {"evolve"}),
        ("kernels/metrics/lesion_scores.py", {"truth"}, ALL - {"truth"}),
        ("io/readers/nifti.py", {"ingest", "truth"}, {"register", "teacher", "student", "som"}),
        ("io/ome/image.py", ALL - {"drift"}, set()),
        ("domain/work.py", ALL, set()),
        ("kernels/__init__.py", ALL - {"open", "close", "publish"}, set()),
        ("phantom/body/bones.py", set(), ALL),
        ("io/cohort/discover.py", set(), ALL),
        ("io/status.py", set(), ALL),
        ("kernels/student/onnx_graph.py", set(), ALL),
        ("report/pages.py", set(), ALL),
        ("pipeline/chains.py", set(), ALL),
        ("runtime/serial.py", set(), ALL),
    ],
)
def test_an_edit_makes_due_what_it_decides_and_leaves_the_rest(copy, before, module, due, not_due):
    file = copy / module
    source = file.read_bytes()
    file.write_bytes(source + b"\n# planted\n")
    try:
        after = code_digests(copy)
    finally:
        file.write_bytes(source)
    changed = {name for name in STAGES if after[name] != before[name]}
    assert changed >= due
    assert not changed & not_due


def _parsed(file):
    found = set()
    for node in ast.walk(syntax_tree(file)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0  # a relative import would be missed
            if node.module and node.module.startswith("somray."):
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.startswith("somray.")}
    return found


def test_imports_are_found_as_by_parsing():
    for room in ("domain", "kernels", "io", "stages"):
        for file in (HOUSE / room).rglob("*.py"):
            assert _parsed(file) <= imported_names(file.read_text()), file


def test_it_takes_no_time():
    least = float("inf")
    for _ in range(3):
        start = time.process_time()
        code_digests(HOUSE)
        least = min(least, time.process_time() - start)
    assert least < 0.3
