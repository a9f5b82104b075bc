"""Where a path of the manifest leads: relative paths, `~`, variables, `file:`, quotes, Windows' backslashes, accents.

A name with an accent may stand on disk composed or decomposed (macOS); the manifest's editor chose either. Both
are the same name to a person, so the one that exists is taken.
"""

import os
import re
import unicodedata
from pathlib import Path
from urllib.parse import unquote

from somray.config.places import expand, without_backslashes
from somray.errors import ConfigError
from somray.io.storage import is_url

__all__ = ["place_of"]

_FILE_URL = re.compile(r"file:(//(localhost(?=/))?)?", re.IGNORECASE)
_QUOTED = re.compile(r"""(["'])(.+)\1""")


def place_of(text: str, folder: Path, where: str) -> str:
    """Return the absolute path or URL that a cell means; it need not exist. `where` names the cell in messages.

    Raises:
        ConfigError: a path of Windows, a variable that is not set, or a line break.
    """
    text = _plain(text, folder)
    if is_url(text):
        return text
    if "\n" in text or "\0" in text:
        raise ConfigError(f"{where}: {text!r} holds a line break; look for a lone quotation mark")
    place = folder / without_backslashes(expand(text, folder, where), folder, where)
    if os.path.lexists(place):
        return str(place.absolute())
    return str((place if str(place).isascii() else _spelled_as_on_disk(place)).absolute())


def _plain(text: str, folder: Path) -> str:
    """Take off what copying a path out of a file manager or program adds: quotes, `file:` with its percent signs."""
    if "\0" in text or os.path.lexists(folder / text):
        return text
    if quoted := _QUOTED.fullmatch(text):
        text = quoted[2]
    found = _FILE_URL.match(text)
    if found is None:
        return text
    path = text[found.end() :]
    return path if os.path.lexists(folder / path) else unquote(path)


def _spelled_as_on_disk(place: Path) -> Path:
    """Replace parts that exist in another composition of the same letters; the path itself where none does."""
    found = Path(place.anchor)
    for part in place.absolute().parts[1:]:
        step = found / part
        if not part.isascii() and not os.path.lexists(step):
            wanted = unicodedata.normalize("NFC", part)
            try:
                names = os.listdir(found)
            except OSError:
                return place
            step = next(
                (found / n for n in names if unicodedata.normalize("NFC", n) == wanted), step
            )
        found = step
    return found
