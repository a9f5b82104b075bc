"""The questions of docs/QUERIES.md as they stand there: their blocks are run, their answers compared and shown.

`python -m tests.docs.queries FOLDER` asks the run in FOLDER/run and writes what it answers into the page.
"""

import math
import os
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

__all__ = ["ENGINES", "PAGE", "SETUP", "Question", "ask", "main", "questions", "rows", "setup"]

PAGE = Path(__file__).parents[2] / "docs" / "QUERIES.md"
ENGINES = ("pandas", "DuckDB", "Polars")
SHOWN = "the phantoms"
SETUP = "Before you start"
MOST_ROWS = 8
_BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Question:
    """One section: its heading and its blocks, code by title."""

    name: str
    blocks: dict[str, str]


def questions() -> dict[str, Question]:
    """Return every section of the page that has blocks, by heading."""
    text = PAGE.read_text("utf-8")
    plain = _BLOCK.sub(lambda found: re.sub(r"^#", "~", found[0], flags=re.MULTILINE), text)
    starts = [(found[1], found.end()) for found in _HEADING.finditer(plain)]
    ends = [*[found.start() for found in _HEADING.finditer(plain)][1:], len(text)]
    sections = {
        name: {title: code for _, title, code in _BLOCK.findall(text[start:end])}
        for (name, start), end in zip(starts, ends, strict=True)
    }
    return {name: Question(name, blocks) for name, blocks in sections.items() if blocks}


def setup(found: dict[str, Question], folder: Path) -> dict[str, Any]:
    """Run what the page says to run first, in `folder`; returns the names that it leaves."""
    names: dict[str, Any] = {}
    for engine in ENGINES:
        exec(found[SETUP].blocks[engine], names)
    exec(found["Pixels"].blocks["xarray"], names)
    clinic = next(q.blocks["clinical.csv"] for q in found.values() if "clinical.csv" in q.blocks)
    (folder / "clinical.csv").write_text(clinic)
    return names


def ask(question: Question, engine: str, names: dict[str, Any]) -> Any:
    """Run one block on a copy of the names; returns its answer: a frame of pandas or Polars."""
    code, here = question.blocks[engine], dict(names)
    if engine == "DuckDB":
        return here["duckdb"].sql(code).pl()
    exec(code, here)
    return here.get("answer")


def rows(answer: pd.DataFrame | pl.DataFrame) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return columns and rows as plain values: None for null, floats for all numbers."""
    is_pandas = isinstance(answer, pd.DataFrame)
    records = answer.itertuples(index=False, name=None) if is_pandas else answer.rows()
    return list(answer.columns), [tuple(_plain(value) for value in row) for row in records]


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA:
        return None
    if isinstance(value, bool | int | float | np.number | Decimal):  # DuckDB sums whole numbers so
        number = float(value)
        return None if math.isnan(number) else number
    return str(value)


def shown(answer: pd.DataFrame) -> str:
    """Return an answer as the page shows it: the first rows, numbers of four digits."""

    def cell(value: Any) -> str:
        plain = _plain(value)
        if plain is None:
            return "null"
        if isinstance(plain, str):
            plain = plain.replace(f"{Path.cwd()}/", "")
            return plain if len(plain) <= 60 else plain[:59] + "…"
        return f"{plain:.0f}" if plain == int(plain) or abs(plain) >= 1e4 else f"{plain:.4g}"

    told = answer.head(MOST_ROWS).map(cell).astype(str)
    lines = [line.rstrip() for line in told.to_string(index=False).splitlines()]
    more = len(answer) - len(told)
    return "\n".join([*lines, *([f"… {more} more"] if more else [])]) + "\n"


def main(argv: list[str]) -> int:
    """Ask the run in a folder every question and write its answers into the page."""
    os.chdir(argv[0])
    found = questions()
    names = setup(found, Path())
    text = PAGE.read_text("utf-8")
    for question in found.values():
        if SHOWN not in question.blocks:
            continue
        engine = "pandas" if "pandas" in question.blocks else "xarray"
        answer = shown(ask(question, engine, names))
        at = text.index(f"# {question.name}\n")
        head, tail = text[:at], text[at:]
        tail = re.sub(
            rf'(```text title="{SHOWN}"\n).*?(^```$)', lambda m, a=answer: m[1] + a + m[2], tail, count=1,
            flags=re.MULTILINE | re.DOTALL,
        )  # fmt: skip
        text = head + tail
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
