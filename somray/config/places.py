"""Paths as people write them in a configuration or manifest: `~`, `$NAME` and `${NAME}`.

They are expanded, or refused where they cannot be: a folder called "~" or "$SCRATCH" beside the configuration
is what nobody meant. A path that exists as it is written is never touched, nor is a URL.
"""

import os
import re
from pathlib import Path

from somray.errors import ConfigError

__all__ = ["expand"]

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_WINDOWS = re.compile(r"%[A-Za-z_][A-Za-z0-9_]*%")


def expand(text: str, folder: Path, where: str) -> str:
    """Expand a home folder and variables of the environment.

    Args:
        text: the path as written; a URL is returned as it is.
        folder: what a relative path is relative to.
        where: names the setting or row in messages.

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
    return _VARIABLE.sub(value, expanded)
