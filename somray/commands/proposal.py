"""Write the scans.csv and cohort.yaml that `somray init` proposes."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from somray.commands.words import counted
from somray.errors import ConfigError
from somray.io.cohort.discover import Proposal, propose
from somray.io.storage import Storage

__all__ = ["propose_cohort", "told"]

_COLUMNS = ("subject", "session", "protocol", "channel", "path", "days", "truth", "anatomy")
_MOST_NOTES = 40  # of one proposal that are shown to a person; `--json` has all
_MOST_ALIKE = (
    3  # of them for what one folder holds that is left out for one reason; else two, and a count
)
_HEAD = """\
# Proposed by `somray init`; look at scans.csv too: who is who (subject), when (session, days), and `truth`.
# Then: somray check {config}
"""


def propose_cohort(paths: list[Path], out: Path) -> dict[str, Any]:
    """Look at files and folders and write a first manifest and configuration.

    Returns:
        Where they are, how many rows, scans, subjects and sessions they hold, what was left out and why, and
        notes.

    Raises:
        ConfigError: nothing readable was found, or the files to be written exist.
    """
    for path in paths:
        if not os.path.lexists(path):
            raise ConfigError(f"{path}: does not exist")
        if not path.exists():
            raise ConfigError(f"{path}: is a link to nothing")
        whole = os.path.abspath(path)
        shown = whole.encode(errors="replace").decode()
        if shown != whole or set("\n\r") & {*whole}:
            raise ConfigError(
                f"{shown!r}: a folder of this path has a name that no table can hold: not UTF-8, or with a line break; "
                "rename it"
            )
    folder = Storage.at(out)
    for name in ("scans.csv", "cohort.yaml"):
        if folder.exists(name):
            raise ConfigError(f"{out / name}: exists already; choose another --out or remove it")
    found = propose([_plain(path) for path in paths])
    if not found.rows:
        notes = _gathered(found.notes, found.left_out)
        why = "".join(f"\n{note}" for note in notes[:_MOST_NOTES])
        raise ConfigError(
            f"no scan that somray can read was found in {', '.join(map(str, paths))}{why}"
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(found.rows)
    folder.write_text("scans.csv", text.getvalue())
    folder.write_text("cohort.yaml", _yaml(found, out / "cohort.yaml"))
    visits = {(row["subject"], row["session"]) for row in found.rows}
    return {
        "cohort": str(out / "cohort.yaml"),
        "manifest": str(out / "scans.csv"),
        "rows": len(found.rows),
        "scans": len(visits),
        "subjects": len({subject for subject, _ in visits}),
        "protocols": {
            name: len({(r["subject"], r["session"]) for r in found.rows if r["protocol"] == name})
            for name in found.protocols
        },
        "truth": sum(bool(row["truth"]) for row in found.rows),
        "left_out": list(found.left_out),
        "notes": list(found.notes),
    }


def _plain(path: Path) -> Path:
    """Take ".." out of a path, unless a link on the way makes that another place."""
    plain = Path(os.path.normpath(path.absolute()))
    return plain if plain.exists() and plain.samefile(path) else path


def told(found: dict[str, Any]) -> str:
    """Say in words what `propose_cohort` did."""
    notes = _gathered(found["notes"], found["left_out"])
    lines = notes[:_MOST_NOTES]
    if len(notes) > _MOST_NOTES:
        lines.append(f"… and {len(notes) - _MOST_NOTES} more notes (--json shows all)")
    protocols = ", ".join(f"{name} {count}" for name, count in found["protocols"].items())
    lines.append(
        f"{counted(found['scans'], 'scan')} of {counted(found['subjects'], 'subject')} ({protocols}), "
        f"{found['truth']} with truth; "
        f"{len(found['left_out'])} left out"
    )
    lines.append(f"wrote {found['cohort']} and {found['manifest']}")
    lines.append(f"next: look at both, then somray check {found['cohort']}")
    return "\n".join(lines)


def _gathered(notes: Sequence[str], left_out: Sequence[dict[str, str]]) -> list[str]:
    """Shorten notes where much of one folder is left out for one reason: the first two tell, the rest are counted."""
    kinds = {
        f"left out ({one['code']}): {one['path']}: {one['why']}": (
            os.path.dirname(one["path"]), one["code"], one["why"],
        )
        for one in left_out
    }  # fmt: skip
    alike, seen = Counter(kinds.values()), Counter[tuple[str, str, str]]()
    lines = []
    for note in notes:
        kind = kinds.get(note)
        if kind is None or alike[kind] <= _MOST_ALIKE:
            lines.append(note)
            continue
        seen[kind] += 1
        if seen[kind] < _MOST_ALIKE:
            lines.append(note)
        elif seen[kind] == _MOST_ALIKE:
            folder, code, why = kind
            lines.append(f"left out ({code}): {alike[kind] - 2} more in {folder}: {why}")
    return lines


def _yaml(found: Proposal, config: Path) -> str:
    """Write the configuration with what a person should look at, and lines to fill in, as comments."""
    lines = [_HEAD.format(config=config), "scans: scans.csv\n", "output: run\n", "protocols:\n"]
    for name, settings in found.protocols.items():
        key = yaml.safe_dump(name, default_style=None).removesuffix("...\n").strip()
        lines.append(f"  {key}:\n")
        remarks = found.remarks.get(name, ())
        lines += [f"    # {''.join(c for c in text if c.isprintable())}\n" for text in remarks]
        lines += [
            f"    {k}: {v if isinstance(v, str) else json.dumps(v)}\n" for k, v in settings.items()
        ]
    return "".join(lines)
