"""What README and tutorial tell people to type is typed here, in order, on the practice scans of the tutorial.

One run for all: a line that an earlier page typed already is not typed again. The serial executor stands in for Ray
(both give the same bits, `tests/runtime` sees to that), and the student learns for a few steps only.
"""

import contextlib
import shlex
import subprocess
from pathlib import Path

import pytest

from somray.cli import main
from somray.commands import launch
from somray.runtime.on_ray import capacity, executor, session
from somray.runtime.serial import SerialExecutor
from tests.docs.pages import ROOT, blocks

PAGES = ("docs/tutorial.md", "README.md", "docs/how-to/python.md")
QUICK = (
    "protocols.ct.student.steps=1",
    "protocols.ct.student.rounds=1",
    "protocols.ct.student.cohort=0",
)
TYPED = [
    block for page in PAGES for block in blocks(ROOT / page) if block.language in ("bash", "python")
]


class NoRay(SerialExecutor):
    """Takes the place of the executor that `somray run` makes."""

    def __init__(self, *_: object) -> None:
        super().__init__()


def _without_ray(patch: pytest.MonkeyPatch) -> None:
    """Have `somray run` run here, with few steps of training."""
    load = launch.load_cohort
    patch.setattr(
        launch, "load_cohort", lambda config, settings=(): load(config, (*settings, *QUICK))
    )
    patch.setattr(session, "ray_session", lambda *_: contextlib.nullcontext())
    patch.setattr(executor, "RayExecutor", NoRay)
    patch.setattr(capacity.Capacity, "now", lambda: capacity.Capacity({}))


class Typist:
    """Types blocks of pages in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, object] = {}
        self.typed: set[str] = set()

    def shell(self, text: str) -> None:
        """Type the lines of a shell block; those of somray in this process."""
        script: list[str] = []
        for line in text.splitlines():
            if not line.startswith("somray "):
                script.append(line)
                continue
            self._script(script)
            words = shlex.split(line, comments=True)[1:]
            if shlex.join(words) not in self.typed:
                self.typed.add(shlex.join(words))
                assert main(words) == 0, line
        self._script(script)

    def _script(self, lines: list[str]) -> None:
        if lines:
            subprocess.run(["bash", "-euc", "\n".join(lines)], cwd=self.folder, check=True)
            lines.clear()

    def python(self, text: str) -> None:
        """Type a Python block; names live on in the next one."""
        exec(compile(text, "page", "exec"), self.names)


@pytest.fixture(scope="module")
def typist(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("newcomer")
        patch.chdir(folder)
        _without_ray(patch)
        yield Typist(folder)


@pytest.mark.parametrize("block", TYPED, ids=lambda b: f"{b.page}:{b.line}")
def test_what_a_page_says_can_be_typed(block, typist, capfd):
    if block.why is not None:
        pytest.skip(block.why)
    if block.language == "bash":
        typist.shell(block.text)
    else:
        typist.python(block.text)
    said = " ".join("".join(capfd.readouterr()).split())
    for line in block.shown.splitlines():
        parts = (" ".join(part.split()) for part in line.split("…"))
        assert [part for part in parts if part not in said] == []


def test_the_report_and_the_masks_are_where_the_pages_say(typist):
    assert (typist.folder / "study/run/report/index.html").is_file()
    masks = sorted(path.name for path in (typist.folder / "masks").glob("*.nii.gz"))
    assert masks[0] == "sub-patient1_ses-baseline_lesions.nii.gz"
    assert len(masks) == 2
    assert (typist.folder / "lesions.csv").read_text().startswith("subject,session")


def test_most_blocks_are_typed():
    assert sum(block.why is None for block in TYPED) >= 10
    assert all(block.why is None or len(block.why) > 10 for block in TYPED)
