"""Serve some folders of a run to a viewer in a browser: HTTP on this machine's loopback alone, parts of files too.

What is served is named by a random word, so that other pages that the browser has open cannot ask for it, and only
the viewer's page is allowed to read the answers.
"""

import contextlib
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import fsspec

from somray.io.storage import Storage

__all__ = ["DataServer", "Served", "serving"]

HOST = "127.0.0.1"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_TYPES = {".json": "application/json", ".html": "text/html"}


@dataclass(frozen=True)
class Served:
    """What is served.

    Args:
        storage: of the files.
        folders: of them, those that may be read.
        origins: pages that may read the answers, such as "https://host".
        word: that every address begins with.
        made: files of no disk, by name.
    """

    storage: Storage
    folders: tuple[str, ...]
    origins: tuple[str, ...] = ()
    word: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    made: Mapping[str, bytes] = field(default_factory=dict)

    def name(self, address: str) -> str | None:
        """Return the file that an address means, None where it may not be read."""
        head, _, name = address.partition("?")[0].lstrip("/").partition("/")
        parts = name.split("/")
        if not secrets.compare_digest(head.encode(), self.word.encode()):
            return None
        if any(part in ("", ".", "..") or "\\" in part or "%" in part for part in parts):
            return None
        is_served = any(name.startswith(f"{folder}/") for folder in self.folders)
        return name if is_served or name in self.made else None

    def size(self, name: str) -> int:
        """Return the bytes of a file.

        Raises:
            OSError: there is none.
        """
        if name in self.made:
            return len(self.made[name])
        filesystem, path = fsspec.core.url_to_fs(self.storage.uri(name))
        return int(filesystem.size(path))

    def read(self, name: str, first: int, last: int) -> bytes:
        """Read a part of a file.

        Raises:
            OSError: there is none.
        """
        if name in self.made:
            return self.made[name][first:last]
        filesystem, path = fsspec.core.url_to_fs(self.storage.uri(name))
        return bytes(filesystem.cat_file(path, first, last))


class DataServer(ThreadingHTTPServer):
    """Files of a run for a browser on this machine."""

    daemon_threads = True

    def __init__(self, served: Served, port: int = 0) -> None:
        """Listen on a port of loopback, a free one where it is 0.

        Raises:
            OSError: the port is taken.
        """
        self.served = served
        super().__init__((HOST, port), _Handler)

    @property
    def address(self) -> str:
        """What the addresses of its files begin with."""
        return f"http://{HOST}:{self.server_address[1]}/{self.served.word}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: socketserver
        """Say nothing of a browser that no longer wants an answer."""


@contextlib.contextmanager
def serving(served: Served, port: int = 0) -> Iterator[DataServer]:
    """Serve on a thread as long as the block runs."""
    with DataServer(served, port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DataServer

    def do_GET(self) -> None:  # the name is http.server's
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_OPTIONS(self) -> None:
        self._send(204, b"", {"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS"})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write no line for every chunk."""

    def _answer(self, *, with_body: bool) -> None:
        name = self.server.served.name(self.path)
        if name is None or not _LOOPBACK.fullmatch(self.headers.get("Host", "")):
            self._send(403, b"", {})
            return
        kind = _TYPES.get(name[name.rfind(".") :], "application/octet-stream")
        headers = {"Content-Type": kind, "Accept-Ranges": "bytes", "Cache-Control": "no-store"}
        try:
            size = self.server.served.size(name)
            asked = _part(self.headers.get("Range"), size)
            first, last = asked or (0, size)
            if asked is not None and last <= first:
                self._send(416, b"", {**headers, "Content-Range": f"bytes */{size}"})
                return
            body = self.server.served.read(name, first, last) if with_body else b""
        except OSError:  # zarr keeps no file for what is empty
            self._send(404, b"", {})
            return
        if asked is not None:
            headers["Content-Range"] = f"bytes {first}-{last - 1}/{size}"
        headers["Content-Length"] = str(last - first)
        self._send(200 if asked is None else 206, body, headers)

    def _send(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        origin = self.headers.get("Origin", "")
        if origin in self.server.served.origins:
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Headers", "Range")
            self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length")
            self.send_header("Access-Control-Allow-Private-Network", "true")
            self.send_header("Vary", "Origin")
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


def _part(asked: str | None, size: int) -> tuple[int, int] | None:
    """Return where the part that is asked for begins and ends (excluded); empty where there is no such part.

    None where not one range is asked for.
    """
    found = _RANGE.fullmatch(asked or "")
    if found is None or found.groups() == ("", ""):
        return None
    begin, end = found.groups()
    if not begin:
        return max(0, size - int(end)), size
    return int(begin), min(int(end) + 1, size) if end else size
