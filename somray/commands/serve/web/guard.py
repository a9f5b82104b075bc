"""Before any application: who may ask, how much may be sent, and one form for every refusal."""

import hmac
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from somray.commands.serve.refusal import RefusedError

__all__ = ["Guard"]

Message = MutableMapping[str, Any]  # Any: ASGI's
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_OPEN = ("/healthz", "/readyz")
_LOOPBACK = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\]|testserver)(:\d+)?")


class Guard:
    """Lets a request through to an application, or answers it; counts the bytes of bodies.

    Without a token who is on this machine may ask.
    """

    def __init__(self, application: Application, token: str | None, most_bytes: int) -> None:
        self._application, self._most = application, most_bytes
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            self._admit(scope, headers)
            await self._application(scope, self._counted(headers, receive), send)
        except RefusedError as refused:
            await _refuse(scope, receive, send, refused)

    def _admit(self, scope: Message, headers: dict[bytes, bytes]) -> None:
        """Refuse who has no token; without one, pages of other hosts that a browser has open here.

        Raises:
            RefusedError: they may not ask.
        """
        route = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["type"] == "http" and route in _OPEN:
            return
        if self._expected is None:
            if not _LOOPBACK.fullmatch(headers.get(b"host", b"")) or b"origin" in headers:
                raise RefusedError(403, "host", "without a token only this machine may ask")
        elif not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            raise RefusedError(401, "token", "send the header `Authorization: Bearer TOKEN`")

    def _counted(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """Return what receives no more than may be sent.

        Raises:
            RefusedError: the header says already that it is more.
        """
        length = headers.get(b"content-length", b"0")
        refused = RefusedError(
            413, "too_large", f"a body has at most {self._most >> 20} MiB; see --max-mb"
        )
        if not length.isdigit() or int(length) > self._most:
            raise refused
        left = self._most

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise refused
            return message

        return counted


async def _refuse(scope: Message, receive: Receive, send: Send, refused: RefusedError) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send(
            {"type": "websocket.close", "code": 4000 + refused.status, "reason": refused.code}
        )
        return
    from starlette.responses import JSONResponse

    headers = {**refused.headers, "Connection": "close"}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    await JSONResponse(refused.as_json(), refused.status, headers)(scope, receive, send)
