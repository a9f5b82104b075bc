r"""Paths as people write them in a configuration or manifest: `~`, `$NAME`, `${NAME}`, Windows' backslashes.

They are expanded, or refused where they cannot be: a folder called "~", "$SCRATCH" or "C:\runs" beside the
configuration is what nobody meant. A path that exists as it is written is never touched, nor is a URL.
"""

import os
import re
from pathlib import Path

from somray.errors import ConfigError

__all__ = ["expand", "without_backslashes"]

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_WINDOWS = re.compile(r"%[A-Za-z_][A-Za-z0-9_]*%")
_OF_SHELLS = re.compile(r"\$[({]")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def expand(text: str, folder: Path, where: str) -> str:
    """Expand a home folder and variables of the environment in a path.

    A URL is returned as it is; a relative path is relative to the folder; `where` names setting or row in messages.

    Raises:
        ConfigError: a variable is not set or empty, or there is no such home folder.
    """
    if "://" in text or not (text.startswith(("~", "%")) or "$" in text):
        return text
    if os.path.lexists(folder / text):
        return text
    if _WINDOWS.match(text):
        raise ConfigError(f"{where}: {text!r}: variables are written $NAME, not %NAME%")

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not os.environ.get(name):
            raise ConfigError(
                f"{where}: {text!r}: the variable {name} is not set; set it, or write the path out"
            )
        return os.environ[name]

    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise ConfigError(f"{where}: {text!r}: there is no such home folder; write the path out")
    if _OF_SHELLS.search(_VARIABLE.sub("", expanded)):
        raise ConfigError(
            f"{where}: {text!r}: only $NAME and ${{NAME}} are expanded, nothing else that a shell knows; write the "
            "path out"
        )
    return _VARIABLE.sub(value, expanded)


def without_backslashes(text: str, folder: Path, where: str) -> str:
    """Turn the backslashes of a path of Windows where that leads to what exists.

    The path is expanded already; a URL is returned as it is; `where` names setting or row in messages.

    Raises:
        ConfigError: nothing lies there, or it names a drive, which this machine has not.
    """
    is_foreign = "\\" in text or _DRIVE.match(text)
    if os.name == "nt" or "://" in text or not is_foreign or os.path.lexists(folder / text):
        return text
    turned = text.replace("\\", "/")
    if _DRIVE.match(text) or not os.path.lexists(folder / turned):
        raise ConfigError(
            f"{where}: {text!r} is a path of Windows; write it with / and as this machine sees it"
        )
    return turned
