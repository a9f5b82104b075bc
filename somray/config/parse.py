"""From a YAML file and `a.b=value` settings to a validated configuration, or one error that names all faults."""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from somray.config.cohort import CohortConfig
from somray.errors import ConfigError

__all__ = ["load_config", "parse_config"]


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


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        path = tuple(p for p in item["loc"] if not str(p).startswith("~"))  # tags of a union
        where = ".".join(str(p) for p in path) or "(top level)"
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), _known_keys(path), 1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            lines.append(f"{where}: unknown key{hint}")
        elif item["type"] == "missing":
            lines.append(f"{where}: missing, it has no default")
        else:
            lines.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
    return "\n".join(dict.fromkeys(lines))


def parse_config(data: object, overrides: tuple[str, ...] = (), source: str = "") -> CohortConfig:
    """Validate a configuration given as plain data.

    Args:
        data: what YAML gave.
        overrides: `a.b=value` settings, value read as YAML, that win over the file.
        source: name of the file, for messages.

    Raises:
        ConfigError: all problems in one message, each with the key's path.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{source or 'configuration'}: a mapping of keys is expected at the top")
    merged = _copy(data)
    for override in overrides:
        _override(merged, override)
    try:
        return CohortConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(f"{source or 'configuration'}:\n{_explain(error)}") from None


def _copy(value: Any) -> Any:  # Any: raw YAML
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _override(data: dict[str, Any], override: str) -> None:
    """Set one `a.b=value`; a protocol's name may hold dots, so the longest known key wins."""
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise ConfigError(f"--set {override!r}: expected a.b=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: value is not YAML: {error}") from None
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
    """Read and validate a cohort.yaml; paths in it stay as written.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or is refused by the model.
    """
    file = Path(path)
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not YAML: {error}") from None
    return parse_config(data, overrides, str(file))
