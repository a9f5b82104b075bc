"""What is wrong with a configuration, in words: key, expectation, what was given, and what was perhaps meant."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from somray.config.base import NAME_PATTERN
from somray.config.cohort import CohortConfig
from somray.config.document import Document

__all__ = ["explain"]

_KINDS: dict[type, str] = {
    list: "a list", dict: "a mapping", str: "text", bool: "a truth value", int: "a number", float: "a number"
}  # fmt: skip
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "above"), "less_than": ("lt", "below"),
}  # fmt: skip
_EXPECTED = {
    "int": "a whole number", "float": "a number", "finite": "a number", "bool": "true or false",
    "list": "a list such as [a, b]", "tuple": "a list such as [5, 5]", "string": "text",
    "model": "a mapping of keys (`key: value`)", "dict": "a mapping of keys (`key: value`)",
}  # fmt: skip
"""By the first word of pydantic's kind of error."""

_OF_UNION = re.compile(
    r"~.*|(tuple|list|dict|literal)\[.*"
)  # what pydantic calls the parts of a union

Path = tuple[Any, ...]  # Any: keys and places in lists


def explain(error: ValidationError, document: Document) -> str:
    """Name every fault with its key's path and, where the text is known, its line."""
    lines = []
    for item in error.errors():
        path = tuple(p for p in item["loc"] if not _OF_UNION.fullmatch(str(p)))
        path = path[:-1] if path and path[-1] == "[key]" else path
        where = ".".join(str(p) for p in path) or "(top level)"
        line = document.line_of(tuple(str(p) for p in path))
        lines.append(f"{where}: {_fault(item, path)}" + (f" (line {line})" if line else ""))
    return "\n".join(dict.fromkeys(lines))


def _fault(item: ErrorDetails, path: Path) -> str:
    """Say one fault in plain words."""
    kind, given, facts = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        return _missing(path)
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"must be {words} {facts[key]:g}, got {given!r}"
    if kind == "literal_error":
        return _none_of(str(facts["expected"]), given)
    if kind in ("too_long", "too_short"):
        most = facts.get("max_length", facts.get("min_length"))
        return f"{most} value{'' if most == 1 else 's'} expected, got {facts['actual_length']}"
    if kind == "string_type" and given is None:
        return "is empty (`~` alone is YAML's word for nothing)"
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f"is read as {_KINDS[type(given)]}, {given}; quote it where the text is meant"
    if kind == "string_pattern_mismatch" and facts.get("pattern") == NAME_PATTERN:
        return (
            f"{given!r} must be letters, digits, '.', '_' or '-', and begin with a letter or digit"
        )
    expected = _EXPECTED.get(kind.partition("_")[0])
    if expected is not None and kind.endswith(("_type", "_parsing", "_float", "_number")):
        return f"{expected} is expected, got {_given(given, expected)}"
    return str(item["msg"]).removeprefix("Value error, ")


def _given(value: Any, expected: str) -> str:  # Any: raw YAML
    if value is None:
        more = "; write {} where all defaults are meant" if "mapping" in expected else ""
        return f"nothing{more}"
    if isinstance(value, list | dict) or "mapping" in expected:
        return _KINDS.get(type(value), "a value")
    return repr(value)


def _none_of(expected: str, given: Any) -> str:  # Any: raw YAML
    """Say that a word is none of those that are known, and which one is near."""
    words = [word.strip(" '") for word in expected.replace(" or ", ", ").split(",")]
    same = [word for word in words if word.lower() == str(given).lower()]
    near = same or difflib.get_close_matches(str(given), words, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"must be {expected}, got {given!r}{meant}"


def _unknown(path: Path) -> str:
    """Say that a key is unknown, and where it belongs or which one is near."""
    key = str(path[-1])
    near = difflib.get_close_matches(key, list(_model_at(path).model_fields), 1, cutoff=0.5)
    homes = [home for home, name in _all_keys(CohortConfig, "") if name == key]
    if homes and (not near or near[0] != key):
        return f"unknown key here; {key!r} belongs in {' or '.join(homes[:2])}"
    return "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")


def _missing(path: Path) -> str:
    if isinstance(path[-1], int):
        return f"value {path[-1] + 1} of the list is missing"
    field = _model_at(path).model_fields.get(str(path[-1]))
    what = field.description if field is not None else None
    return "missing, it has no default" + (f" ({what})" if what else "")


def _model_at(path: Path) -> Any:  # Any: a pydantic model
    """Return the model that a key of a path belongs to."""
    model: Any = CohortConfig
    for key in path[:-1]:
        field = model.model_fields.get(key) if hasattr(model, "model_fields") else None
        if field is None:  # a free name such as a protocol's
            continue
        model = _model_within(field.annotation) or model
    return model


def _model_within(annotation: Any) -> Any:  # Any: typing objects
    """Find the pydantic model inside an annotation such as dict[str, Model]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_within(inner)
        if found is not None:
            return found
    return None


def _all_keys(model: Any, place: str) -> Iterator[tuple[str, str]]:  # Any: a pydantic model
    """Yield where every key stands, as a person writes it, and the key."""
    for name, field in model.model_fields.items():
        yield place or "the top of the file", name
        inner = _model_within(field.annotation)
        if inner is not None:
            named = ".NAME" if str(field.annotation).startswith(("dict", "typing.Dict")) else ""
            yield from _all_keys(inner, f"{place}.{name}{named}".lstrip("."))
