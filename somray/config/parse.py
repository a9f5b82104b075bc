"""From a YAML file and `a.b=value` settings to a validated configuration, or one error that names all faults."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from somray.config.cohort import CohortConfig
from somray.config.document import Document, read_document
from somray.config.faults import explain
from somray.config.places import expand, without_backslashes
from somray.errors import ConfigError

__all__ = ["load_config", "parse_config"]

_NAME = "cohort.yaml"


def parse_config(data: object, overrides: tuple[str, ...] = (), source: str = "") -> CohortConfig:
    """Validate a configuration given as plain data.

    Settings `a.b=value`, their values read as YAML, win over the file; `source` names it in messages.

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
        table = f"; this is a table: name the {_NAME} that names it" if ".csv" in source else ""
        raise ConfigError(
            f"{source or 'configuration'}: is no configuration: a mapping of keys is expected at the top, such as "
            f"`scans: scans.csv`{table or '; `somray init` writes one'}"
        )
    merged: dict[str, Any] = _copy(data)
    for override in overrides:
        _override(merged, override)
    return merged


def _validated(merged: dict[str, Any], document: Document, source: str) -> CohortConfig:
    try:
        return CohortConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(f"{source or 'configuration'}:\n{explain(error, document)}") from None


def _copy(value: Any) -> Any:  # Any: raw YAML
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _override(data: dict[str, Any], override: str) -> None:
    """Set one `a.b=value`; a protocol's name may hold dots, so the longest known key wins."""
    key, sign, text = (part.strip() for part in override.partition("="))
    if not sign or not key:
        raise ConfigError(f"--set {override!r}: expected a.b=value, such as resources.workers=2")
    value = read_document(text, f"--set {override!r}").data
    parts, here = key.split("."), data
    protocols = data.get("protocols")
    named = protocols if parts[0] == "protocols" and isinstance(protocols, dict) else {}
    while True:
        take = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in here), 1)
        name, parts = ".".join(parts[:take]), parts[take:]
        if not parts:
            here[name] = value
            return
        child = here.get(name)
        if (
            named and here is named and name not in named
        ):  # a protocol of that one setting alone is what nobody meant
            raise ConfigError(
                f"--set {override!r}: there is no protocol {name!r}; the configuration has {', '.join(named)}"
            )
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
    except FileNotFoundError:
        raise ConfigError(f"{file}: does not exist{_near(file.parent)}") from None
    except IsADirectoryError:
        raise ConfigError(f"{file}: is a folder, not a configuration{_near(file)}") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    document = read_document(content, str(file))
    merged = _merged(document.data, overrides, str(file))
    _expand_places(merged, file)
    return _validated(merged, document, str(file))


def _near(folder: Path) -> str:
    """Name configurations of a folder that may have been meant, or how to make one."""
    found = sorted(str(file) for end in ("*.yaml", "*.yml") for file in folder.glob(end))[:3]
    if found:
        return f"; did you mean {' or '.join(found)}?"
    return f"; `somray init SCANS --out FOLDER` writes a {_NAME}"


def _expand_places(merged: dict[str, Any], file: Path) -> None:
    """Expand the paths of a configuration in place; what is no text is left to the model."""
    protocols = merged.get("protocols")
    holders = [(merged, key, key) for key in ("scans", "output")]
    for name, protocol in protocols.items() if isinstance(protocols, dict) else ():
        for part, key in (("teacher", "previous"), ("student", "encoder")):
            found = protocol.get(part) if isinstance(protocol, dict) else None
            if isinstance(found, dict):
                holders.append((found, key, f"protocols.{name}.{part}.{key}"))
    for holder, key, where in holders:
        if isinstance(holder.get(key), str):
            told, text = f"{file}: {where}", holder[key].strip()
            holder[key] = without_backslashes(expand(text, file.parent, told), file.parent, told)
