"""The notebook, executed: `python -m tests.docs.notebook RUN` keeps what it shows of a run (`make demo`'s) in it.

What is kept carries a digest of the code that made it; a test compares it, so that pictures and code cannot part.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

__all__ = ["NOTEBOOK", "digest", "execute", "main"]

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "paper_figure.ipynb"


def digest(notebook: nbformat.NotebookNode) -> str:
    """Name the code of a notebook."""
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()[:16]


def execute(run: Path, folder: Path, **environment: str) -> nbformat.NotebookNode:
    """Execute it on a run, in a folder; returns it with what it shows.

    Raises:
        CellExecutionError: a cell failed; tells it.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    told = {**os.environ, "SOMRAY_RUN": str(Path(run).resolve()), **environment}
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=told)
    return notebook


def main(argv: list[str]) -> int:
    """Execute it on a run and keep what it shows."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = execute(Path(argv[0]), Path(folder))
    for cell in notebook["cells"]:
        cell["metadata"].pop("execution", None)  # times of execution, new each time
        # What the kernel says on stderr is about the machine.
        kept = [o for o in cell.get("outputs", []) if o.get("name") != "stderr"]
        if cell["cell_type"] == "code":
            cell["outputs"] = kept
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "somray": {"outputs_of": digest(notebook)},
    }
    nbformat.write(notebook, NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
