"""From a YAML file and `a.b=value` settings to a validated configuration, or one error that names all faults."""

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from somray.config.base import NAME_PATTERN
from somray.config.cohort import CohortConfig
from somray.config.document import Document, read_document
from somray.config.places import expand
from somray.errors import ConfigError

__all__ = ["load_config", "parse_config"]

_KINDS: dict[type, str] = {
    list: "list",
    dict: "mapping",
    str: "text",
    bool: "truth value",
    int: "number",
    float: "number",
}


def _known_keys(path: tuple[Any, ...]) -> list[str]:
    """Return the keys that are allowed where an unknown one was found."""
    model: Any = CohortConfig
    for key in path[:-1]:
        field = model.model_fields.get(key) if hasattr(model, "model_fields") else None
        if field is None:  # a free name such as a protocol's
            continue
        model = _model_within(field.annotation) or model
    return list(model.model_fields)


def _model_within(annotation: Any) -> Any:  # Any: typing objects
    """Find the pydantic model inside an annotation such as dict[str, Model]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_within(inner)
        if found is not None:
            return found
    return None


def _explain(error: ValidationError, document: Document) -> str:
    """Name every fault with its key's path and, where the text is known, its line."""
    lines = []
    for item in error.errors():
        path = tuple(p for p in item["loc"] if not str(p).startswith("~"))  # tags of a union
        path = path[:-1] if path and path[-1] == "[key]" else path
        where = ".".join(str(p) for p in path) or "(top level)"
        line = document.line_of(tuple(str(p) for p in path))
        lines.append(f"{where}: {_fault(item, path)}" + (f" (line {line})" if line else ""))
    return "\n".join(dict.fromkeys(lines))


def _fault(item: ErrorDetails, path: tuple[Any, ...]) -> str:
    """Say one fault in plain words."""
    kind, given = item["type"], item["input"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _known_keys(path), 1, cutoff=0.5)
        return "unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
    if kind == "missing":
        return "missing, it has no default"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        what = "nothing" if given is None else f"a {_KINDS.get(type(given), 'value')}"
        return f"a mapping of keys (`key: value`) is expected, got {what}"
    if kind == "string_type" and given is None:
        return "is empty (`~` alone is YAML's word for nothing)"
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f"is read as the {_KINDS[type(given)]} {given}; quote it where the text is meant"
    if kind == "string_pattern_mismatch" and item.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return (
            f"{given!r} must be letters, digits, '.', '_' or '-', and begin with a letter or digit"
        )
    return str(item["msg"]).removeprefix("Value error, ")


def parse_config(data: object, overrides: tuple[str, ...] = (), source: str = "") -> CohortConfig:
    """Validate a configuration given as plain data.

    Args:
        data: what YAML gave.
        overrides: `a.b=value` settings, value read as YAML, that win over the file.
        source: name of the file, for messages.

    Raises:
        ConfigError: all problems in one message, each with the key's path.
    """
    return _validated(_merged(data, overrides, source), Document(data, {}), source)


def _merged(data: object, overrides: tuple[str, ...], source: str) -> dict[str, Any]:
    if data is None:
        raise ConfigError(
            f"{source or 'configuration'}: is empty; scans, output and protocols are needed"
        )
    if not isinstance(data, dict):
        raise ConfigError(f"{source or 'configuration'}: a mapping of keys is expected at the top")
    merged: dict[str, Any] = _copy(data)
    for override in overrides:
        _override(merged, override)
    return merged


def _validated(merged: dict[str, Any], document: Document, source: str) -> CohortConfig:
    try:
        return CohortConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(f"{source or 'configuration'}:\n{_explain(error, document)}") from None


def _copy(value: Any) -> Any:  # Any: raw YAML
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _override(data: dict[str, Any], override: str) -> None:
    """Set one `a.b=value`; a protocol's name may hold dots, so the longest known key wins."""
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise ConfigError(f"--set {override!r}: expected a.b=value")
    value = read_document(text, f"--set {override!r}").data
    parts, here = key.split("."), data
    while True:
        take = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in here), 1)
        name, parts = ".".join(parts[:take]), parts[take:]
        if not parts:
            here[name] = value
            return
        child = here.get(name)
        if not isinstance(child, dict):
            child = here[name] = {}
        here = child


def load_config(path: str | Path, overrides: tuple[str, ...] = ()) -> CohortConfig:
    """Read and validate a cohort.yaml; `~` and `$NAME` in its paths are expanded, else they stay as written.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or is refused by the model.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    document = read_document(content, str(file))
    merged = _merged(document.data, overrides, str(file))
    _expand_places(merged, file)
    return _validated(merged, document, str(file))


def _expand_places(merged: dict[str, Any], file: Path) -> None:
    """Expand the paths of a configuration in place; what is no text is left to the model."""
    protocols = merged.get("protocols")
    holders = [(merged, key, key) for key in ("scans", "output")]
    for name, protocol in protocols.items() if isinstance(protocols, dict) else ():
        teacher = protocol.get("teacher") if isinstance(protocol, dict) else None
        if isinstance(teacher, dict):
            holders.append((teacher, "previous", f"protocols.{name}.teacher.previous"))
    for holder, key, where in holders:
        if isinstance(holder.get(key), str):
            holder[key] = expand(holder[key].strip(), file.parent, f"{file}: {where}")
