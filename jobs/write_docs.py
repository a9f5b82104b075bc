"""Write docs/reference/ from the code: commands, configuration, manifest; a test fails when they differ."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from somray.cli import app
from somray.config import CohortConfig
from somray.io.cohort.manifest import COLUMNS

__all__ = ["main", "pages"]

WRITTEN = "Written by `make docs` from the code; edit that."
MANIFEST = """\
`scans.csv`, or a Parquet file of the same columns, has one row per file. Rows of one subject and session are
the channels of one scan. Spreadsheets' own CSVs are read as they are (semicolons, tabs, UTF-16, BOM). A path
may begin with `~` or `$NAME`, or be an fsspec URL.

`somray init FOLDER --out study` writes a first one ([your own scans](../tutorial.md)). It names subjects by
folders, never by headers, and never gives two patients one subject. It knows BIDS, nnU-Net, Medical Decathlon,
TCIA, DICOMDIR media and TotalSegmentator's folders, orders sessions by dates or by their names and says which,
gives masks to the scans they outline, pairs channels of a visit, and names everything that it left out with the
reason. What only you can know is left as a line to fill in.

A manifest that is wrong itself (a column missing, an unknown protocol, the same subject, session and channel
twice) ends with exit code 2 before anything starts, all such rows named. A file that is wrong is set aside, and
the rest goes on."""
CONFIGURATION = """\
One YAML file. Everything but `scans`, `output` and `protocols` has a default, an unknown key is refused with
the nearest known one, and paths are relative to the file that names them. `schemas/cohort.v1.json` is the JSON
Schema of the same settings: an editor that knows it completes keys. `--set protocols.NAME.student.rounds=2`
overrules one setting on the command line. [Describe a protocol](../how-to/protocol.md) tells which settings
people change."""
COMMANDS = """\
`somray VERB --help` tells the same. Every verb takes `--json`: one JSON object on stdout, nothing else there;
words and progress go to stderr. Exit codes: 0 done; 2 usage, configuration or manifest; 3 done, some scans were
set aside; 4 failed."""


def pages() -> dict[str, str]:
    """Return every page of docs/reference/ that is written from the code, by name."""
    return {
        "commands.md": commands_page(),
        "configuration.md": configuration_page(),
        "manifest.md": manifest_page(),
    }


def manifest_page() -> str:
    """Return the columns of the manifest."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items()]
    table = ["| column | meaning |", "| --- | --- |", *rows]
    return _page("The manifest", MANIFEST, table)


def commands_page() -> str:
    """Return every verb with its arguments and options."""
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group has them
    lines: list[str] = []
    for name, verb in sorted(verbs.items()):
        if not verb.hidden:
            lines += [f"## somray {name}", "", *_verb(verb), ""]
    return _page("Commands", COMMANDS, lines[:-1])


def _verb(verb: Any) -> Iterator[str]:  # Any: typer's own copy of click has no stable names
    text, _, example = (verb.help or "").partition("Example: ")
    yield text.strip()
    if example:
        yield from ("", "```", example.strip(), "```")
    yield from ("", "| | | default |", "| --- | --- | --- |")
    for one in verb.params:
        is_option = one.opts[0].startswith("-")
        name = ", ".join(one.opts) if is_option else one.metavar or one.name.upper()
        value = "" if one.default in (None, False, []) else f"`{one.default}`"
        told = [one.help or "", "May be given again." if is_option and one.multiple else ""]
        if is_option and one.metavar:
            name += f" {one.metavar}"
        meaning = " ".join(part for part in told if part)
        yield f"| `{_escaped(name)}` | {_escaped(meaning)} | {'needed' if one.required else value} |"


def configuration_page() -> str:
    """Return every setting with its values, default and meaning, part by part."""
    schema = CohortConfig.model_json_schema()
    lines = [
        "```yaml",
        "scans: scans.csv",
        "output: run",
        "protocols:",
        "  chest-ct: {modality: CT}",
        "```",
    ]
    lines += _part(schema, "", schema["$defs"])
    return _page("Configuration", CONFIGURATION, lines)


def _part(schema: dict[str, Any], path: str, known: dict[str, Any]) -> Iterator[str]:
    """Tell one part of the configuration, then the parts in it."""
    inner: list[tuple[str, str]] = []
    yield from ("", f"## {path or 'cohort.yaml'}", "")
    if text := schema.get("description"):
        yield from (text, "")
    yield from ("| setting | values | default | meaning |", "| --- | --- | --- | --- |")
    for key, value in schema["properties"].items():
        place = f"{path}.{key}" if path else key
        inner += [(place + more, name) for more, name in _references(value)]
        meaning = value.get("description") or known.get(_own(value), {}).get("description", "")
        cells = (_values(value, known), _default(key, value, schema), meaning)
        yield f"| `{key}` | {' | '.join(_escaped(cell) for cell in cells)} |"
    for place, name in inner:
        yield from _part(known[name], place, known)


def _own(value: dict[str, Any]) -> str:
    return str(value.get("$ref", "")).rpartition("/")[2]


def _references(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Find parts of the configuration below a setting: how their path goes on, and their names."""
    if name := _own(value):
        yield "", name
    if (items := value.get("items")) and _own(items):
        yield "[]", _own(items)
    if (more := _by_name(value)) and _own(more):
        yield ".NAME", _own(more)
    for one in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from ((f"{place}", name) for place, name in _references(one) if not place)


def _by_name(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what names (or numbers) lead to."""
    patterns = value.get("patternProperties", {})
    more = next(iter(patterns.values()), value.get("additionalProperties"))
    return more if isinstance(more, dict) else {}


def _values(value: dict[str, Any], known: dict[str, Any]) -> str:
    """Say in words what a setting may be."""
    if choices := (value.get("anyOf") or value.get("oneOf")):
        return " or ".join(dict.fromkeys(_values(one, known) for one in choices))
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        return "a part of its own, below"
    kind = value.get("type")
    if kind == "array":
        count = value.get("minItems") if "prefixItems" in value else None
        of = _values(value["prefixItems"][0] if count else value.get("items", {}), known)
        return f"{count} of: {of}" if count else f"a list of: {of}"
    if kind == "object":
        return f"name to: {_values(_by_name(value), known)}"
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "`true`, `false`",
    }
    return " ".join((words.get(str(kind), "null"), *_bounds(value)))


def _bounds(value: dict[str, Any]) -> Iterator[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    for key, sign in signs.items():
        if key in value:
            yield f"{sign} {value[key]:,}".replace(",", " ")


def _default(key: str, value: dict[str, Any], schema: dict[str, Any]) -> str:
    if key in schema.get("required", ()):
        return "needed"
    default = value.get("default")
    return (
        "" if default in (None, {}, []) or isinstance(default, dict) else f"`{json.dumps(default)}`"
    )


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _page(title: str, text: str, lines: list[str]) -> str:
    return "\n".join((f"# {title}", "", f"<!-- {WRITTEN} -->", "", text, "", *lines, ""))


def main(argv: list[str]) -> int:
    """Write them into a folder, `docs/reference` where none is named."""
    folder = Path(argv[0] if argv else "docs/reference")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
