"""The notebook runs from a finished run to a figure, and keeps what its own code showed."""

import base64
import io

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests.docs.cohort import build
from tests.docs.notebook import NOTEBOOK, digest, execute

MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    return folder, execute(build(folder), folder)


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in notebook["cells"] for o in cell.get("outputs", [])]


def test_the_notebook_leaves_a_figure_for_print_and_for_the_screen(executed):
    folder, _ = executed
    assert (folder / "paper_figure.pdf").read_bytes().startswith(b"%PDF")
    picture = np.asarray(Image.open(folder / "paper_figure.png").convert("RGB"))
    assert picture.shape[1] >= 7 * 290  # two columns at 300 dpi
    colours = {tuple(c) for c in picture.reshape(-1, 3)[::7].tolist()}
    for fate in ((0xD5, 0x5E, 0x00), (0x56, 0xB4, 0xE9), (0x00, 0x9E, 0x73)):
        assert fate in colours  # enlarging, gone, merged or split


def test_its_caption_tells_what_the_cohort_was_made_of(executed):
    caption = "".join(o["text"] for o in outputs(executed[1]) if o.get("name") == "stdout")
    told = (
        "7 lesions in 3 subjects (1 enlarging, 3 merged or split, 1 stable, 1 gone, 1 unknown)",
        "c, Subject s01, slice through lesion 1 in 3 sessions",
        "Not for clinical use",
    )
    for words in told:
        assert words in caption


def test_what_it_keeps_is_small_and_was_made_by_the_code_that_stands_there():
    assert NOTEBOOK.stat().st_size <= MOST_BYTES
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    told = "run `python -m tests.docs.notebook demo/run` after `make demo`"
    assert notebook["metadata"]["somray"]["outputs_of"] == digest(notebook), told
    pictures = [
        o["data"]["image/png"] for o in outputs(notebook) if "image/png" in o.get("data", {})
    ]
    assert len(pictures) == 1
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).width >= 700
    assert not [
        o for o in outputs(notebook) if o["output_type"] == "error" or o.get("name") == "stderr"
    ]
    kept = NOTEBOOK.read_text("utf-8")
    assert "/root" not in kept
    assert "/tmp/" not in kept
