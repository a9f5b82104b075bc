"""Slices past the framework: the one route that may be asked a hundred times a second takes its messages itself.

On two cores whatever takes CPU beside the kernel waits in the line, and a framework's layers took half of what the
service's loop did for a slice (benchmarks/LOG.md). All other routes are the framework's.
"""

from urllib.parse import parse_qsl

from starlette.responses import JSONResponse

from somray.commands.serve.refusal import RefusedError
from somray.commands.serve.web.guard import Application, Message, Receive, Send
from somray.commands.serve.web.service import ProtocolService
from somray.commands.serve.web.slices import SliceRequest

__all__ = ["PATH", "SliceRoute"]

PATH = "/slices"


class SliceRoute:
    """Answers who posts a slice; all else goes on to the application that has the other routes."""

    def __init__(self, application: Application, service: ProtocolService) -> None:
        self._application, self._service = application, service

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._application(scope, receive, send)
            return
        if scope["path"].removeprefix(scope.get("root_path", "")) != PATH:
            await self._application(scope, receive, send)
            return

        async def body() -> list[bytes]:
            return await _body(receive)

        try:
            response = await self._service.answer_slice(_asked(scope), body)
        except RefusedError as refused:
            response = JSONResponse(refused.as_json(), refused.status, refused.headers)
        await response(scope, receive, send)


def _asked(scope: Message) -> SliceRequest:
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    accept = headers.get(b"accept")
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), True))
    return SliceRequest(query, kind, None if accept is None else accept.decode("latin-1"))


async def _body(receive: Receive) -> list[bytes]:
    """Take a body in the pieces that it comes in; whoever needs them as one joins them off the loop.

    Raises:
        RefusedError: the client has gone.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(499, "gone", "the client has gone")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts
