"""The application of one protocol: `/slices`, `/scans`, `/stream`, and what it is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from somray import __version__
from somray.commands.serve.refusal import RefusedError
from somray.commands.serve.settings import Limits, Settings
from somray.commands.serve.web import direct, schema
from somray.commands.serve.web.guard import Guard
from somray.commands.serve.web.service import ProtocolService
from somray.stages.answers.answer import NOT_CLINICAL

__all__ = ["protocol_application", "protocol_routes", "tell_refusals"]


_NOT_HERE = {
    404: (
        "no_such_path",
        "nothing is served here; /v1/protocols lists what is, /docs describes it",
    ),
    405: ("method", "this path is asked by another method; /docs describes it"),
}


class _Answers(Protocol):
    """Whoever does what the routes say."""

    async def about(self) -> dict[str, Any]: ...  # Any: JSON

    async def answer_scan(self, request: Request) -> Response: ...

    async def stream(self, socket: WebSocket) -> None: ...

    def close(self) -> None: ...


class _Nobody:
    """Stands in where routes are only described."""

    async def about(self) -> dict[str, Any]:  # Any: JSON
        raise NotImplementedError

    async def answer_scan(self, request: Request) -> Response:
        raise NotImplementedError

    async def stream(self, socket: WebSocket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        return


async def _past_the_framework(request: Request) -> Response:
    """Stand in for slices, which `SliceRoute` answers; here they are described alone."""
    raise NotImplementedError(request.method)


def tell_refusals(app: FastAPI) -> None:
    """Let an application answer all refusals in one form, those of the framework too."""
    app.add_exception_handler(RefusedError, _refuse)
    app.add_exception_handler(HTTPException, _refuse)


async def _refuse(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        code, told = _NOT_HERE.get(error.status_code, ("http", error.detail))
        refused = RefusedError(error.status_code, code, told)
        return JSONResponse(refused.as_json(), error.status_code, error.headers)
    if not isinstance(error, RefusedError):
        raise error
    return JSONResponse(error.as_json(), error.status, error.headers)


def _ending(service: _Answers) -> Callable[[FastAPI], Any]:  # Any: a context manager
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    return lifespan


def protocol_routes(name: str, limits: Limits, service: ProtocolService | None) -> FastAPI:
    """Make the routes; without a service they are only described."""
    does: _Answers = _Nobody() if service is None else service
    app = FastAPI(
        title=f"somray {name}",
        version=__version__,
        description=NOT_CLINICAL,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_ending(does),
    )
    tell_refusals(app)
    app.add_api_route("/", does.about, tags=[name], summary="What is served", response_model=None)
    for path, function, described in (
        (direct.PATH, _past_the_framework, schema.slices(limits)),
        ("/scans", does.answer_scan, schema.scans(limits)),
    ):
        app.add_api_route(
            path, function, methods=["POST"], tags=[name], response_model=None, **described
        )
    app.add_api_websocket_route("/stream", does.stream)
    return app


def protocol_application(service: ProtocolService, settings: Settings) -> Guard:
    """Return a protocol's application as it is served."""
    app = protocol_routes(service.fitted.protocol, settings.limits, service)
    return Guard(direct.SliceRoute(app, service), settings.token(), settings.limits.max_bytes)
