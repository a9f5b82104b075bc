"""Why a candidate is proposed, and the table, in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from somray.commands.propose.request import PARTS

__all__ = ["proposed_text", "reasons"]

HIGH = 2 / 3  # rank from which a figure is worth a word
MOST_REASONS = 3

_SCANS: dict[str, Callable[[float], str]] = {
    "disagreement": lambda v: f"map and student disagree on {v:.0%} of what either calls target",
    "unsure": lambda v: f"the student is unsure of {v:.1%} of it",
    "drift": lambda v: (
        f"its pixels lie {v:.2f} times as far from the map's nodes as the reference's"
    ),
    "rarity": lambda v: f"{v:.1%} of it lies in nodes that are rare in the cohort",
    "doubt": lambda v: f"{v / 1000:.3g} ml of objects could not be called",
}
_SLICES = {
    **_SCANS,
    "disagreement": lambda v: f"map and student disagree on {v / 100:.3g} cm²",
    "doubt": lambda v: f"{v / 100:.3g} cm² of objects could not be called",
}


def reasons(what: str, parts: Mapping[str, float | None], ranks: Mapping[str, float]) -> str:
    """Say what speaks most for a candidate; ranks are NaN where a figure says nothing."""
    told = _SCANS if what == "scans" else _SLICES
    known = [name for name in PARTS if np.isfinite(ranks[name]) and parts[name]]
    order = sorted(known, key=lambda name: -ranks[name])
    high = [name for name in order if ranks[name] >= HIGH][:MOST_REASONS]
    return "; ".join(told[name](parts[name] or 0.0) for name in high) or "no figure stands out"


def proposed_text(found: Mapping[str, Any]) -> str:  # Any: JSON
    """Show the table to a person."""
    lines: list[str] = []
    for choice, title in (("proposed", "Label first:"), ("random", "By chance, to compare:")):
        rows = [row for row in found["rows"] if row["choice"] == choice]
        lines += ["", title, *(_line(row) for row in rows)]
    lines += ["", *(f"note: {note}" for note in found["notes"])]
    if "file" in found:
        lines.append(f"wrote {found['file']}")
    return "\n".join(_bare(lines))


def _line(row: Mapping[str, Any]) -> str:  # Any: JSON
    where = "" if row["z"] is None else f" slice {row['z']}"
    where += f" at t {row['t']}" if row["t"] else ""
    truth = " (has a truth)" if row["has_truth"] else ""
    name = f"{row['protocol']} {row['subject']} {row['session']}{where}{truth}"
    return f"{row['rank']:3}. {name}  score {row['score']:.2f}: {row['why']}"


def _bare(lines: Sequence[str]) -> list[str]:
    """Take empty lines away at either end."""
    while lines and not lines[0]:
        lines = lines[1:]
    while lines and not lines[-1]:
        lines = lines[:-1]
    return list(lines)
