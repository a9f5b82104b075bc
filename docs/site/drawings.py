"""Draw the house and the walk of one scan: `.venv/bin/python docs/site/drawings.py` writes docs/pictures/*.svg."""

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / "pictures"
FLOORS = (
    (("cli", "the command line"),),
    (("commands", "verbs"),),
    (("pipeline", "the walk of a cohort"), ("report", "pages, sections, figures")),
    (("api", "import somray"), ("stages", "storage joined with kernels"), ("runtime", "serial, Ray"),
     ("phantom", "synthetic cohorts")),
    (("kernels", "mathematics: features, som, classes, teacher, student, objects, registration, lesions, evolution"),
     ("io", "readers, OME-Zarr, Parquet, ledger")),
    (("config", "cohort.yaml"),),
    (("domain", "values that every room knows"),),
    (("errors", "codes and remedies"),),
)  # fmt: skip
SHARES = {"kernels": 3, "io": 1.5, "stages": 1.6, "api": 0.9, "runtime": 1}
STEPS = (
    ("file", "DICOM, NIfTI …", 0, 0), ("ingest", "check, repair, to OME-Zarr", 1, 0),
    ("teacher", "features, map, classes", 2, 0), ("student", "A, A+B …, cohort", 3, 0),
    ("som", "direct transfer, drift", 2, 1), ("segment", "the student's mask", 3, 1),
    ("register", "slices, sessions", 1, 2), ("objects, calls", "lesion, physiology, doubt", 3, 2),
    ("evolve", "one identity over sessions", 2, 3), ("publish, truth", "labels, scores", 3, 3),
    ("tables, report", "Parquet, HTML", 4, 3),
)  # fmt: skip
ARROWS = (
    ("file", "ingest"), ("ingest", "teacher"), ("teacher", "student"), ("teacher", "som"), ("student", "segment"),
    ("ingest", "register"), ("som", "objects, calls"), ("segment", "objects, calls"), ("register", "evolve"),
    ("objects, calls", "evolve"), ("evolve", "publish, truth"), ("publish, truth", "tables, report"),
)  # fmt: skip
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" role="img">'
    '<title>{title}</title><defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#37474f"/></marker></defs>'
    '<rect width="{w}" height="{h}" fill="#ffffff"/>'
)


def box(name: str, text: str, place: tuple[float, float, float, float]) -> Iterator[str]:
    """Draw a box with a name and a line or two below it."""
    x, y, width, height = place
    yield f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" fill="#e0f2f1" stroke="#00796b"/>'
    middle = x + width / 2
    lines = wrapped(text, int(width / 6.2))
    top = y + height / 2 - 7 * len(lines) + 3
    style = 'text-anchor="middle" fill="#1b2a2f"'
    yield f'<text x="{middle:g}" y="{top:g}" {style} font-size="14" font-weight="bold">{escape(name)}</text>'
    for number, line in enumerate(lines):
        yield f'<text x="{middle:g}" y="{top + 16 + 14 * number:g}" {style} font-size="12">{escape(line)}</text>'


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def house() -> str:
    """Draw the rooms: each knows only what lies below it."""
    width, height, gap = 900, 62, 10
    parts = [
        HEAD.format(
            w=width, h=(height + gap) * len(FLOORS) + gap, title="The rooms of somray, in floors"
        )
    ]
    for level, rooms in enumerate(FLOORS):
        shares = [SHARES.get(name, 1) for name, _ in rooms]
        x, free = float(gap), width - gap * (len(rooms) + 1)
        for (name, text), share in zip(rooms, shares, strict=True):
            size = free * share / sum(shares)
            parts += box(name, text, (x, gap + level * (height + gap), size, height))
            x += size + gap
    return "".join((*parts, "</svg>\n"))


def walk() -> str:
    """Draw the way of a scan: what awaits what."""
    size, step = (150, 56), (185, 86)
    places = {name: (10 + column * step[0], 10 + row * step[1]) for name, _, column, row in STEPS}
    parts = [HEAD.format(w=910, h=340, title="The walk of one scan")]
    for start, end in ARROWS:
        (x0, y0), (x1, y1) = places[start], places[end]
        is_down, is_back = y1 > y0, x1 < x0
        is_aside = is_down and x1 != x0
        begin = (x0 + size[0] / 2, y0 + size[1]) if is_down else (x0 + size[0], y0 + size[1] / 2)
        goal = (x1 + size[0] / 2, y1) if is_down and not is_aside else (x1, y1 + size[1] / 2)
        if is_aside:
            goal = (x1 + size[0] * (0.7 if is_back else 0.3), y1)
        parts.append(
            f'<path d="M{begin[0]:g} {begin[1]:g}L{goal[0]:g} {goal[1]:g}" stroke="#37474f" fill="none" '
            'marker-end="url(#tip)"/>'
        )
    for name, text, _, _ in STEPS:
        parts += box(name, text, (*places[name], *size))
    return "".join((*parts, "</svg>\n"))


def main() -> int:
    """Write both."""
    OUT.mkdir(exist_ok=True)
    (OUT / "house.svg").write_text(house(), encoding="utf-8")
    (OUT / "walk.svg").write_text(walk(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
