"""One HTTP connection that is kept open, with a user and a password, and how it fails.

Two failures are told apart: the archive is away (asked again later, it answers), and the archive refused (asked
again, it refuses again). A request is repeated once where a connection that was idle turns out to be closed:
everything that is asked here may be asked twice.
"""

import base64
import contextlib
import http.client
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from somray.errors import ConfigError, StoreError

__all__ = ["ArchiveAwayError", "ArchiveConnection", "ArchiveRefusedError", "HttpAnswer"]

PATIENCE_SECONDS = 60.0
MOST_BYTES = 1 << 30  # of one answer
AWAY = (502, 503, 504)  # a proxy without the archive behind it, or an archive that starts
_DENIED = (401, 403)


class ArchiveAwayError(StoreError):
    """The archive does not answer; it may later."""


class ArchiveRefusedError(StoreError):
    """The archive answered that it will not."""


class HttpAnswer(NamedTuple):
    """Status and body of an answer."""

    status: int
    body: bytes


class ArchiveConnection:
    """Where an archive listens.

    Args:
        url: http:// or https://, with a user where one is needed, never with a password.
        password: of that user.

    Raises:
        ConfigError: the URL is none, or holds a password.
    """

    def __init__(self, url: str, password: str = "") -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigError(
                "the archive's URL is damaged; http://user@host:8042 is one"
            ) from None
        if parts.password is not None:
            raise ConfigError(
                "the archive's URL holds a password, which would stand in the list of processes; "
                "take it out and give it by the environment or a file"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ConfigError(f"{url}: expected http:// or https:// with a host")
        self._host, self._port, self._is_tls = parts.hostname, port, parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self._headers = {}
        if parts.username:
            pair = f"{unquote(parts.username)}:{password}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair).decode("ascii")
        self._open: http.client.HTTPConnection | None = None
        shown = f"{parts.hostname}:{port}" if port else parts.hostname
        self.name = f"{parts.scheme}://{shown}{self._base}"
        """The URL without the user."""

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        accept: str = "*/*",
    ) -> HttpAnswer:
        """Send a request and read its answer whole.

        Args:
            method: GET or POST.
            path: below the URL, with its leading "/".
            body: of a POST.
            kind: media type of the body.
            accept: media types of the answer.

        Raises:
            ArchiveAwayError: there is no answer.
            ConfigError: user or password are wrong.
        """
        was_open, headers = self._open is not None, {**self._headers, "Accept": accept}
        if body is not None:
            headers["Content-Type"] = kind
        try:
            answer = self._once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            if not was_open:
                raise self._away(error) from error
            try:
                answer = self._once(method, path, body, headers)
            except (OSError, http.client.HTTPException) as again:
                raise self._away(again) from again
        if answer.status in _DENIED:
            raise ConfigError(
                f"{self.name}: user or password are wrong, or may not do this ({answer.status})"
            )
        if answer.status in AWAY:
            raise ArchiveAwayError(f"{self.name}: does not answer yet ({answer.status})")
        return answer

    def close(self) -> None:
        """Close the connection; the next request opens one."""
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open.close()
        self._open = None

    def _away(self, error: Exception) -> ArchiveAwayError:
        why = getattr(error, "strerror", None) or type(error).__name__
        return ArchiveAwayError(f"{self.name}: does not answer ({why})")

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> HttpAnswer:
        if self._open is None:
            made = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
            self._open = made(self._host, self._port, timeout=PATIENCE_SECONDS)
        try:
            self._open.request(method, self._base + path, body, headers)
            response = self._open.getresponse()
            found = response.read(MOST_BYTES + 1)
        except BaseException:
            self.close()
            raise
        if len(found) > MOST_BYTES:
            self.close()
            raise ArchiveRefusedError(f"{self.name}: an answer of more than {MOST_BYTES >> 20} MiB")
        return HttpAnswer(response.status, found)
