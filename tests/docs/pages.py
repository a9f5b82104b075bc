"""The pages that people read, their code blocks and their links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
WHY = re.compile(r"<!-- not run: (?P<why>.+) -->")
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
DRAWN = re.compile(r'<(?:img|a)\b[^>]*\b(?:src|href)="(?P<target>[^"]+)"')
FENCE = re.compile(r"^(?P<indent> *(?:\d+\. |- )?)```(?P<language>\w*)\s*$")


@dataclass(frozen=True)
class Block:
    """One code block.

    Args:
        page: the file, as a path of the repository.
        line: of its first line, from 1.
        language: as its fence says.
        text: what it holds.
        why: the reason why it is not run, where there is one.
        shown: what the page says that it prints: a plain block that follows at once.
    """

    page: str
    line: int
    language: str
    text: str
    why: str | None
    shown: str = ""


def pages() -> list[Path]:
    """Return every page of the documentation."""
    found = [path for path in (ROOT / "docs").rglob("*.md") if "site" not in path.parts]
    others = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "cluster/README.md")
    designs = (ROOT / "somray").rglob("DESIGN.md")
    return sorted([*found, *(ROOT / name for name in others), *designs])


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    found: list[Block] = []
    lines = page.read_text("utf-8").splitlines()
    opened, why = None, None
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if opened is None and fence:
            opened = (number, fence["language"], len(fence["indent"]))
            above = WHY.search(lines[number - 2]) if number > 1 else None
            why = above["why"] if above else None
        elif opened is not None and line.strip() == "```":
            first, language, indent = opened
            text = "\n".join(one[indent:] for one in lines[first : number - 1]) + "\n"
            block = Block(page.relative_to(ROOT).as_posix(), first + 1, language, text, why)
            if language or not found or lines[first - 3 : first - 1] != ["```", ""]:
                found.append(block)
            else:
                found[-1] = replace(found[-1], shown=text)
            opened = None
    assert opened is None, f"{page}: a code block is not closed"
    return found


def prose(page: Path) -> str:
    """Return a page without its code."""
    lines, is_code = [], False
    for line in page.read_text("utf-8").splitlines():
        if FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            lines.append(
                re.sub(r"`[^`]*`", lambda m: m[0].replace("[", " ").replace("(", " "), line)
            )
    return "\n".join(lines)


def links(page: Path) -> Iterator[str]:
    """Return where a page's links and pictures lead."""
    text = prose(page)
    yield from (found["target"] for form in (LINK, DRAWN) for found in form.finditer(text))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and mkdocs make them."""
    found: set[str] = set()
    for line in prose(page).splitlines():
        if heading := re.match(r"#{1,6} +(.+?) *$", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            slug = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
            found.add(slug)
    return found
