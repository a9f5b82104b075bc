"""Which files of this machine, and which URLs, may be asked about: those below a place that was named, and no other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from somray.commands.serve.refusal import RefusedError
from somray.io.readers import split_channel
from somray.io.storage import is_url

__all__ = ["AllowedPlaces"]

_REFUSED = (
    "no such scan is offered here; the service reads below the places it was started with (--allow)"
)
_PLAIN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s?#\\]+")


@dataclass(frozen=True)
class AllowedPlaces:
    """What may be read: all below folders of this machine, or below URLs."""

    prefixes: tuple[str, ...] = ()

    def checked(self, uri: object) -> str:
        """Return a path or URL that may be read, as it is opened.

        Raises:
            RefusedError: it may not; whether it exists is not told.
        """
        if not isinstance(uri, str) or not uri or len(uri) > 4096 or "\0" in uri:
            raise RefusedError(422, "uri", "a uri is a text")
        place, channel = split_channel(uri.removeprefix("file://"))
        remote = is_url(place) or "::" in place
        found = self._url(place) if remote else str(self.inside([place])[0])
        return found if channel is None else f"{found}#channel={channel}"

    def inside(self, files: Sequence[str | Path]) -> list[Path]:
        """Return local paths with links followed, all below a folder that was named.

        Raises:
            RefusedError: one is not.
        """
        folders = [Path(p).expanduser().resolve() for p in self.prefixes if not is_url(p)]
        found = []
        for file in files:
            place = Path(file)
            real = place.resolve() if place.is_absolute() else None
            if real is None or not any(real.is_relative_to(folder) for folder in folders):
                raise RefusedError(403, "not_allowed", _REFUSED)
            found.append(real)
        return found

    def _url(self, url: str) -> str:
        """Check a URL as text: no chain of file systems, no way up, no query, and below a prefix."""
        if "::" in url or not _PLAIN_URL.fullmatch(url):
            raise RefusedError(403, "not_allowed", _REFUSED)
        path = unquote(unquote(urlsplit(url).path))
        if any(part in ("..", ".") for part in path.replace("\\", "/").split("/")):
            raise RefusedError(403, "not_allowed", _REFUSED)
        for prefix in self.prefixes:
            if is_url(prefix) and f"{url}/".startswith(f"{prefix.rstrip('/')}/"):
                return url
        raise RefusedError(403, "not_allowed", _REFUSED)
