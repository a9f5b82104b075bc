"""How the service is started: plain values, so that they travel to every replica."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from somray.errors import ConfigError

__all__ = ["TOKEN_NAME", "Limits", "Settings", "is_loopback", "read_token"]

TOKEN_NAME = "SOMRAY_SERVE_TOKEN"  # its name, not a token
SHORTEST = 16  # characters of a token
_TOKEN = re.compile(r"[\x21-\x7e]+")
_LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|::1|\[::1\]|localhost")


@dataclass(frozen=True)
class Limits:
    """What one request may ask.

    Args:
        max_mb: of a body, in MiB; a zip may unpack to four times as much.
        max_voxels: of a scan, all channels and time points together.
        waiting: slices that wait for a worker; beyond it a request is refused at once.
        scans: whole scans that wait.
        backlog: slices of a stream that wait.
    """

    max_mb: int = 512
    max_voxels: int = 1 << 28
    waiting: int = 32
    scans: int = 4
    backlog: int = 8

    @property
    def max_bytes(self) -> int:
        """Of a body."""
        return self.max_mb << 20

    @property
    def unpacked_bytes(self) -> int:
        """That a zip may unpack to."""
        return 4 * self.max_bytes

    @property
    def slice_pixels(self) -> int:
        """Of one slice with all channels: as many float32 as fit 64 MiB, or fewer."""
        return min(self.max_voxels, 1 << 24)


@dataclass(frozen=True)
class Settings:
    """The whole service.

    Args:
        run: path or URL of the run.
        protocols: that are served.
        allow: folders and URL prefixes below which scans may be asked about by name.
        limits: of one request.
        threads: that one replica computes with.
        gpus: of one replica.
        token_file: holds the token, on every node; None to take it from the environment.
        needs_token: whether it serves nobody without one.
    """

    run: str
    protocols: tuple[str, ...]
    allow: tuple[str, ...] = ()
    limits: Limits = Limits()
    threads: int = 1
    gpus: float = 0.0
    token_file: str | None = None
    needs_token: bool = False

    def token(self) -> str | None:
        """Return the token that requests must carry; None where none is asked for.

        Raises:
            ConfigError: there is none, and there must be one.
        """
        found = read_token(self.token_file)
        if found is None and self.needs_token:
            raise ConfigError(
                f"who is not on this machine needs a token: name a file of it with --token-file, or set {TOKEN_NAME}"
            )
        return found


def read_token(token_file: str | None) -> str | None:
    """Read the token from its file, or from the environment where none is named.

    Raises:
        ConfigError: it cannot be read, is short, or holds characters that a header cannot.
    """
    if token_file is None:
        text = os.environ.get(TOKEN_NAME, "").strip()
        if not text:
            return None
    else:
        try:
            text = Path(token_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--token-file {token_file}: cannot be read") from error
    if len(text) < SHORTEST or not _TOKEN.fullmatch(text):
        raise ConfigError(
            f"a token has at least {SHORTEST} plain characters without blanks; make one with "
            "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`"
        )
    return text


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone."""
    return _LOOPBACK.fullmatch(host.lower()) is not None
