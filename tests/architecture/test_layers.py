"""The house holds: layers, the single Ray seam, sizes, public names."""

import ast
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.syntax import syntax_tree

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "somray").rglob("*.py")) + sorted((ROOT / "jobs").rglob("*.py"))
LONGER: dict[str, int] = {}
LINTER = Path(sys.executable).parent / "lint-imports"


def _check(folder):
    return subprocess.run(
        [LINTER, "--cache-dir", folder / "imports", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def _copied(folder):
    for part in ("somray", "jobs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_every_module_stands_in_its_layer(tmp_path):
    found = _check(_copied(tmp_path))
    assert found.returncode == 0, found.stdout


PLANTED = [
    ("somray/kernels/som/arrays.py", "import ray"),
    ("somray/kernels/metrics/overlap.py", "import zarr"),
    ("somray/kernels/metrics/overlap.py", "from somray.io import storage"),
    ("somray/kernels/features/table.py", "from somray.kernels.classes import rule"),
    ("somray/kernels/som/fit.py", "from somray.kernels.features import view"),
    ("somray/kernels/grids/commonest.py", "from somray.kernels.metrics import overlap"),
    ("somray/kernels/classes/rule.py", "from somray.kernels.teacher import fit"),
    ("somray/kernels/registration/result.py", "from somray.kernels.teacher import spec"),
    (
        "somray/kernels/registration/plane/verdict.py",
        "from somray.kernels.registration.space import search",
    ),
    ("somray/kernels/student/network.py", "from somray.kernels.teacher import fit"),
    ("somray/api/teacher.py", "from somray.stages import segment"),
    ("somray/phantom/lesions.py", "from somray.stages import segment"),
    ("somray/io/storage.py", "from somray.stages import segment"),
    ("somray/cli.py", "import jobs"),
    ("somray/runtime/serial.py", "from somray.kernels.som import fit"),
    ("somray/stages/teacher/fit.py", "from somray.runtime import serial"),
    ("somray/domain/geometry.py", "from somray.kernels.som import arrays"),
    ("somray/report/sections/lesions.py", "from somray.report.sections import burden"),
    ("somray/report/figures/flow.py", "from somray.report.figures import volumes"),
    ("somray/report/sections/lesions.py", "from somray.io import storage"),
    ("somray/report/drawing/tiles.py", "from somray.report.figures import classes"),
    ("somray/report/data/run.py", "from somray.report.drawing import blocks"),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """What the linter says of a house with all of these violations at once."""
    folder = _copied(tmp_path_factory.mktemp("broken"))
    for module, line in PLANTED:
        with (folder / module).open("a") as file:
            file.write(f"\n{line}\n")
    found = _check(folder)
    assert found.returncode != 0
    return " ".join(found.stdout.split())


def test_a_planted_violation_breaks_the_contracts(broken):
    missed = []
    for module, line in PLANTED:
        names = line.removeprefix("from ").replace(" import ", ".").removeprefix("import ")
        arrow = f"{module.removesuffix('.py').replace('/', '.')} -> {names} (l."
        missed += [] if arrow in broken else [arrow]
    assert missed == []


class Facts(NamedTuple):
    """What the tests below ask of a file: it is parsed once."""

    imports: set[str]
    classes: list[str]
    functions: list[tuple[str, int, int]]  # name, lines of code, arguments
    is_documented: bool


@cache
def _facts(file):
    tree, found = syntax_tree(file), Facts(set(), [], [], False)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.imports.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.imports.add(node.module.split(".")[0])
        elif isinstance(node, ast.ClassDef):
            found.classes.append(node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.functions.append((node.name, _code_lines(node), _argument_count(node)))
    return found._replace(is_documented=ast.get_docstring(tree) is not None)


def _code_lines(node):
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    start = first.end_lineno if documented else node.lineno
    return node.end_lineno - start


def _argument_count(node):
    names = [a.arg for a in node.args.posonlyargs + node.args.args]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_only_runtime_imports_ray():
    users = [f for f in SOURCES if "ray" in _facts(f).imports and "runtime" not in f.parts]
    assert users == []


def test_importing_somray_starts_neither_ray_nor_torch():
    code = "import sys, somray; print(sorted({'ray', 'torch'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_run_and_its_plan_start_without_torch():
    """Torch takes seconds to import, in the driver and in each worker, and most runs need none."""
    modules = "somray.pipeline.plan, somray.pipeline.cohort, somray.runtime.on_ray.executor"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_every_public_name_can_be_imported():
    import somray

    assert list(somray.__all__) == sorted(somray.__all__)
    for name in somray.__all__:
        assert getattr(somray, name) is not None


ROOMS = sorted({file.parent for file in SOURCES})


def test_a_room_is_small_and_prefixes_are_packages():
    large = [str(room) for room in ROOMS if len(list(room.glob("*.py"))) > 15]
    assert large == []
    alike = []
    for room in ROOMS:
        names = [
            p.stem for p in room.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
        ]
        prefixes = Counter(name.split("_")[0] for name in names if not name.startswith("_"))
        alike += [f"{room}: {prefix}" for prefix, count in prefixes.items() if count >= 3]
    assert alike == []


def test_tests_mirror_the_tree():
    tests = ROOT / "tests"
    folders = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")}
    apart = {Path(), Path("architecture"), Path("benchmarks"), Path("chaos")}
    roots = (ROOT / "somray", ROOT)  # cluster/ and jobs/ lie beside the product
    assert [f for f in sorted(folders - apart) if not any((r / f).is_dir() for r in roots)] == []


def test_a_class_name_has_one_meaning():
    found = Counter(name for file in SOURCES for name in _facts(file).classes)
    assert [name for name, count in found.items() if count > 1] == []


def test_every_room_says_what_it_is():
    assert [r for r in ROOMS if not _facts(r / "__init__.py").is_documented] == []


def test_files_and_functions_are_short():
    high = [f for f in SOURCES if f.read_text().count("\n") > LONGER.get(f.name, 330)]
    functions = [(f, *facts) for f in SOURCES for facts in _facts(f).functions]
    long = [(file, name) for file, name, lines, _ in functions if lines > 45]
    options = ("cli.py", "verb.py", "write.py")  # a command's arguments are its options
    wide = [(f, name) for f, name, _, count in functions if count > 6 and f.name not in options]
    assert (high, long, wide) == ([], [], [])
