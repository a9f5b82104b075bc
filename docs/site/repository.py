"""Hooks of mkdocs: pages of other folders join the site, and pages that do not exist yet leave the menu.

Links in our pages are those of the repository, so that they work wherever the files are read. Here they are turned to
the site's own; a link to a source file, which the site does not hold, becomes plain text.
"""

import atexit
import json
import posixpath
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
GLOBS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "cluster/**/*.*", "cluster/**/Dockerfile",
         "somray/**/DESIGN.md", "schemas/*.json", "tests/benchmarks/LOG.md")  # fmt: skip
MIRROR = "repository/"
"""Where the site holds them."""

DOCUMENTED = ("__init__.py", "som.py", "errors.py", "api", "domain", "io/__init__.py", "io/run.py",
              "kernels/__init__.py", "kernels/features", "kernels/lesions", "kernels/metrics",
              "kernels/registration", "kernels/som")  # fmt: skip
"""Where the names of the Python reference live."""

LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^ *(?:\d+\. |- )?(?:```|~~~)")


def mirrored() -> frozenset[str]:
    """Return the files outside docs/ that the site holds, as paths of the repository."""
    found = (path for glob in GLOBS for path in ROOT.glob(glob) if path.is_file())
    return frozenset(path.relative_to(ROOT).as_posix() for path in found)


def written() -> frozenset[str]:
    """Return the pages of docs/, those of notebooks too, as paths in it."""
    docs = ROOT / "docs"
    own = (path for path in docs.rglob("*.md") if path.relative_to(docs).parts[0] != "site")
    pages = (*own, *(path.with_suffix(".md") for path in notebooks()))
    return frozenset(path.relative_to(docs).as_posix() for path in pages)


def notebooks() -> list[Path]:
    """Return the notebooks."""
    return sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def page_of(notebook: Path) -> str:
    """Turn a notebook into a page: its words, its code, and what its code printed."""
    parts = [f"[The notebook itself]({notebook.name})"]
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                parts.append(f"![](data:image/png;base64,{''.join(data['image/png']).strip()})")
            elif text := "".join(data.get("text/plain", output.get("text", ""))):
                parts.append(f"```\n{text}\n```")
    return "\n\n".join(parts)


@event_priority(100)  # before mkdocstrings reads where to look
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out of the menu what does not exist; show under "More" what the menu does not name."""
    handlers = config.plugins["mkdocstrings"].config.handlers
    handlers["python"]["paths"] = [_documented_rooms()]
    pages = written()
    named: set[str] = set()
    config.nav = list(_existing(config.nav, pages | {MIRROR + name for name in mirrored()}, named))
    if more := sorted(pages - named):
        config.nav.append({"More": more})
    return config


def _documented_rooms() -> str:
    """Return a folder with the rooms that public names live in: reading all others takes most of a build."""
    place = Path(tempfile.mkdtemp(prefix="somray-docs-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    for name in DOCUMENTED:
        (place / "somray" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "somray" / name).symlink_to(ROOT / "somray" / name)
    return str(place)


def _existing(entries: Any, known: frozenset[str], named: set[str]) -> Iterator[Any]:  # Any: YAML
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            if inside := list(_existing(target, known, named)):
                yield {title: inside}
        elif target in known:
            named.add(target)
            yield entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of other folders, and a page for every notebook."""
    for notebook in notebooks():
        name = f"notebooks/{notebook.stem}.md"
        files.append(File.generated(config, name, content=page_of(notebook)))
    for name in sorted(mirrored()):
        files.append(
            File.generated(
                config,
                MIRROR + name,
                abs_src_path=str(ROOT / name),
                inclusion=InclusionLevel.NOT_IN_NAV,
            )
        )
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links of the repository into links of the site."""
    return turned(markdown, page.file.src_uri, mirrored())


def turned(markdown: str, page: str, held: frozenset[str]) -> str:
    """Turn the links of one page.

    Args:
        markdown: the page.
        page: its path in the site.
        held: files outside docs/ that the site holds.
    """
    return outside_code(markdown, lambda text: LINK.sub(lambda m: _link(m, page, held), text))


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Change what of a page is no code block."""
    parts: list[tuple[bool, list[str]]] = [(False, [])]
    for line in markdown.split("\n"):
        is_code, lines = parts[-1]
        if not FENCE.match(line):
            lines.append(line)
        elif is_code:
            lines.append(line)
            parts.append((False, []))
        else:
            parts.append((True, [line]))
    return "\n".join(
        "\n".join(lines) if is_code else change("\n".join(lines))
        for is_code, lines in parts
        if lines
    )


def _link(found: re.Match[str], page: str, held: frozenset[str]) -> str:
    target, mark, anchor = found["target"].partition("#")
    if not target or "://" in target or target.startswith("mailto:"):
        return found[0]
    place = page.removeprefix(MIRROR) if page.startswith(MIRROR) else f"docs/{page}"
    goal = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
    if goal.startswith("docs/"):
        here = goal.removeprefix("docs/")
        if here.endswith(".ipynb") and not page.startswith("notebooks/"):
            here = here.removesuffix("ipynb") + "md"  # the page made of it
    elif goal in held:
        here = MIRROR + goal
    else:
        return found["text"]
    relative = posixpath.relpath(here, posixpath.dirname(page) or ".")
    return f"{found['image']}[{found['text']}]({relative}{mark}{anchor})"
