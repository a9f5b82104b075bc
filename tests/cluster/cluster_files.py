"""The files of cluster/ and the programs that judge them."""

import os
import shutil
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
FILES = sorted(f for f in CLUSTER.rglob("*") if f.is_file())


def read_yaml(name):
    return yaml.safe_load((CLUSTER / name).read_text())


def tool(name):
    """Find a program of the `dev` dependencies."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which(name, path=places)
    assert found, f"{name} is missing; install the dev dependencies: pip install -e .[dev]"
    return found
