"""Stands before HAProxy: Ray Serve calls it in HAProxy's place, it changes the configuration, and becomes HAProxy.

Ray Serve's own configuration shows statistics on all of a machine's addresses, lets everybody on it command the
process, sends every request's line to syslog, knows no TLS, and calls a lost worker an internal error. Run as a script
with the standard library alone, since every change of replicas starts it again.

Environment: SOMRAY_FRONT_BINARY, SOMRAY_FRONT_BIND (host:port that is public), SOMRAY_FRONT_CERTIFICATE (or empty).
"""

import os
import re
import sys
from pathlib import Path

__all__ = ["LOST", "main", "rewritten"]

_LOST_BODY = (
    '{"error": {"code": "worker_lost", "message": "the worker that had this request is gone; send it again", '
    '"retry_after_seconds": 1}}'
)
LOST = (
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    f"Content-Length: {len(_LOST_BODY)}\r\n\r\n{_LOST_BODY}"
)
"""What a client is told whose worker died: answers are pure, so that sending again does no harm."""

_BUFFERED = "option http-buffer-request"
"""HAProxy says `100 Continue` itself. Left to a replica, some of many clients that ask for it at once got neither it
nor an answer until HAProxy gave them up after 90 seconds (7 of 16, seen with Ray 2.60)."""

_EVERYWHERE = re.compile(r"^(\s*bind )(?:\*|0\.0\.0\.0|):(\d+)\s*$", re.M)
_DOOR = re.compile(r"(^frontend http_frontend\n\s*bind )\S+:\d+\s*$", re.M)
_SYSLOG = re.compile(r"^\s*log \S+ local0 info\n", re.M)


def rewritten(text: str, public: str, certificate: str = "") -> str:
    """Return HAProxy's configuration as it shall be.

    Args:
        text: as Ray Serve wrote it.
        public: host:port that requests come to; all else stays on loopback.
        certificate: file with certificate and key; "" for plain HTTP.
    """
    encrypted = f" ssl crt {certificate} ssl-min-ver TLSv1.2" if certificate else ""
    text = _EVERYWHERE.sub(r"\g<1>127.0.0.1:\2", text)
    text = _DOOR.sub(lambda found: f"{found[1]}{public}{encrypted}\n    {_BUFFERED}", text)
    return _SYSLOG.sub("", text).replace(" mode 666 level admin ", " mode 600 level admin ")


def main(arguments: list[str]) -> None:
    """Change the configuration that the arguments name, and become HAProxy."""
    given = dict(os.environ)
    if "-f" in arguments:
        place = arguments.index("-f") + 1
        written = Path(arguments[place])
        text = written.read_text("utf-8")
        for name in re.findall(r"errorfile 50[234] (\S+)", text):
            Path(name).write_text(LOST, "utf-8", newline="")
        own = written.with_suffix(".somray.cfg")
        bind, certificate = given["SOMRAY_FRONT_BIND"], given.get("SOMRAY_FRONT_CERTIFICATE", "")
        own.write_text(rewritten(text, bind, certificate), "utf-8")
        arguments = [*arguments[:place], str(own), *arguments[place + 1 :]]
    binary = given["SOMRAY_FRONT_BINARY"]
    os.execv(binary, [binary, *arguments])  # no shell


if __name__ == "__main__":
    main(sys.argv[1:])
