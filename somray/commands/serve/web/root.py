"""The application beside those of the protocols: health, readiness, what is served, metrics, and the page of all."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from somray import __version__
from somray.commands.serve.settings import Settings
from somray.commands.serve.web.guard import Guard
from somray.commands.serve.web.page import page_of
from somray.commands.serve.web.protocol import protocol_routes, tell_refusals
from somray.stages.answers.answer import NOT_CLINICAL

__all__ = ["protocol_path", "root_application"]

STREAM = (
    "Websocket `/v1/protocols/{name}/stream`: the first message is JSON (shape, spacing_mm; dtype, method, level, "
    "frame_ms, map, on_full), each further one the bytes of a slice, little-endian; one JSON answer comes back for "
    "each, in order. Connect without compression. A frame has at most 16 MiB."
)


def protocol_path(name: str) -> str:
    """Return where a protocol's application is."""
    return f"/v1/protocols/{name}"


def root_application(
    settings: Settings,
    ready: Callable[[], dict[str, bool]],
    metrics: Callable[[], str],
) -> Guard:
    """Make the application.

    `ready` tells of each protocol whether it answers, `metrics` returns the counts of all as Prometheus reads them;
    both may take their time.
    """
    app = FastAPI(
        title="somray",
        version=__version__,
        description=f"{NOT_CLINICAL}. {STREAM}",
        docs_url=None,
        redoc_url=None,
    )
    tell_refusals(app)

    @app.get("/healthz", tags=["service"], summary="Whether the service lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["service"], summary="Whether every protocol answers")
    async def readyz() -> Response:
        found = await asyncio.to_thread(ready)
        is_ready = all(found.get(name, False) for name in settings.protocols)
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    @app.get("/v1/protocols", tags=["service"], summary="What is served")
    async def protocols() -> dict[str, Any]:  # Any: JSON
        found = await asyncio.to_thread(ready)
        listed = [
            {"protocol": name, "url": protocol_path(name), "ready": found.get(name, False)}
            for name in settings.protocols
        ]
        return {"protocols": listed, "version": __version__, "use": NOT_CLINICAL}

    @app.get("/metrics", tags=["service"], summary="Counts, for Prometheus")
    async def counts() -> Response:
        return PlainTextResponse(await asyncio.to_thread(metrics))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page_of(app.openapi()))

    app.openapi = _with_protocols(app, settings)  # type: ignore[method-assign]
    return Guard(app, settings.token(), settings.limits.max_bytes)


def _with_protocols(app: FastAPI, settings: Settings) -> Callable[[], dict[str, Any]]:
    """Return what describes an application and those of the protocols together."""
    own = app.openapi

    def openapi() -> dict[str, Any]:  # Any: JSON
        found = own()
        for name in settings.protocols:
            described = protocol_routes(name, settings.limits, None)
            for path, item in FastAPI.openapi(described).get("paths", {}).items():
                found["paths"][f"{protocol_path(name)}{path}"] = item
        return found

    return openapi
