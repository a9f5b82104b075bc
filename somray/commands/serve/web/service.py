"""What the routes of one protocol do: read a request, hold a place in the line, reply, count."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import Request, WebSocket
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from somray import __version__
from somray.commands.serve.bodies.places import AllowedPlaces
from somray.commands.serve.refusal import RefusedError, refusal_of
from somray.commands.serve.replies.reply import Reply
from somray.commands.serve.settings import Settings
from somray.commands.serve.web.line import Line
from somray.commands.serve.web.meter import Meter
from somray.commands.serve.web.scans import ScanRequest, scan_reply
from somray.commands.serve.web.slices import SliceRequest, slice_reply
from somray.commands.serve.web.stream import SliceStream
from somray.stages.answers.answer import NOT_CLINICAL
from somray.stages.answers.fitted import Fitted

__all__ = ["ProtocolService"]

MOST_FIELD = 1 << 16  # bytes of a form's field that is no file


class ProtocolService:
    """What the routes of one protocol do, whose model is warm."""

    def __init__(self, fitted: Fitted, settings: Settings, meter: Meter) -> None:
        self.fitted, self.limits, self.meter = fitted, settings.limits, meter
        self._rules = settings.limits, AllowedPlaces(settings.allow)
        threads = settings.threads
        # Scans have workers of their own, so that a long one never holds up a slice.
        self.slices: Line[Any] = Line(threads, settings.limits.waiting, threads)
        self.scans: Line[Reply] = Line(max(1, threads - 1), settings.limits.scans, threads)

    async def about(self) -> dict[str, Any]:  # Any: JSON
        """Tell what is served."""
        fitted, teacher = self.fitted, self.fitted.teacher
        return {
            "protocol": fitted.protocol,
            "modality": teacher.modality,
            "channels": list(fitted.channels),
            "methods": list(fitted.methods),
            "classes": {str(value): name for value, name in sorted(teacher.class_names.items())},
            "target": fitted.target,
            "doubts": fitted.doubts,
            "spacing_mm": list(teacher.spacing_mm),
            "dimensions": teacher.dimensions,
            "sees_uptake": fitted.sees_uptake,
            "limits": {
                "max_mb": self.limits.max_mb,
                "max_voxels": self.limits.max_voxels,
                "slice_pixels": self.limits.slice_pixels,
                "backlog": self.limits.backlog,
            },
            "version": __version__,
            "use": NOT_CLINICAL,
        }

    async def answer_slice(
        self, asked: SliceRequest, body: Callable[[], Awaitable[list[bytes]]]
    ) -> Response:
        """Answer about one slice; its body is read once it has a place.

        Raises:
            RefusedError: it is not answered.
        """
        async with self._metered("slices", self.slices) as met, self.slices.place():
            _ = asked.reply  # refused before the body is read
            parts = await body()

            def work(threads: int) -> Reply:
                sent = parts[0] if len(parts) == 1 else b"".join(parts)
                return slice_reply(self.fitted, asked, sent, self.limits.slice_pixels, threads)

            return met(await self.slices.work(work))

    async def answer_scan(self, request: Request) -> Response:
        """Answer about a scan."""
        gone = threading.Event()
        async with (
            self._metered("scans", self.scans) as met,
            self.scans.place(),
            self._asked(request) as asked,
        ):

            def work(threads: int) -> Reply:
                return scan_reply(
                    self.fitted, asked, self._rules, threads, lambda: not gone.is_set()
                )

            try:
                return met(await self.scans.work(work))
            except asyncio.CancelledError:  # the client has gone
                gone.set()
                raise

    async def stream(self, socket: WebSocket) -> None:
        """Answer about slices as they come."""
        await SliceStream(self.fitted, self.slices, self.limits, self.meter).run(socket)

    @contextlib.asynccontextmanager
    async def _asked(self, request: Request) -> AsyncIterator[ScanRequest]:
        """Read what a request for a scan says: JSON with URIs, or a form with files."""
        kind, accept, query = _media(request), request.headers.get("accept"), request.query_params
        if kind == "application/json":
            yield ScanRequest(query, accept, uris=await _uris(request))
            return
        if kind != "multipart/form-data":
            raise RefusedError(
                415,
                "media",
                "a scan is asked about as application/json with uris, or sent as multipart/form-data",
            )
        most = len(self.fitted.channels)
        try:
            form = await request.form(max_files=most, max_fields=8, max_part_size=MOST_FIELD)
        except RefusedError:
            raise
        except Exception as error:
            raise RefusedError(
                422, "form", f"the form is damaged, or has more than {most} files"
            ) from error
        async with contextlib.AsyncExitStack() as closing:
            closing.push_async_callback(form.close)
            files = {k: v.file for k, v in form.items() if isinstance(v, UploadFile)}
            fields = {k: v for k, v in form.items() if isinstance(v, str)}
            yield ScanRequest({**fields, **query}, accept, files=files)

    @contextlib.asynccontextmanager
    async def _metered(
        self, what: str, line: Line[Any]
    ) -> AsyncIterator[Callable[[Reply], Response]]:
        """Count an answer or a refusal with its time; gives what turns a reply into a response."""
        began, said = time.perf_counter(), {"verdict": ""}

        def met(reply: Reply) -> Response:
            said["verdict"] = reply.headers["Somray-Verdict"]
            headers = {**reply.headers, "Somray-Seconds": f"{time.perf_counter() - began:.6f}"}
            return Response(reply.body, media_type=reply.media, headers=headers)

        self.meter.waits(what, line.held + 1)
        status = 499
        try:
            yield met
            status = 200
        except Exception as error:
            refused = refusal_of(error)
            status = refused.status
            raise refused from None
        finally:
            self.meter.waits(what, line.held)
            self.meter.answered(what, status, said["verdict"], time.perf_counter() - began)

    def close(self) -> None:
        """Finish what is under way."""
        self.slices.close()
        self.scans.close()


async def _uris(request: Request) -> dict[str, object]:
    try:
        given = await request.json()
        found = given["uris"] if isinstance(given, dict) else None
    except (ValueError, KeyError, RecursionError) as error:
        raise RefusedError(422, "json", 'the body is {"uris": {CHANNEL: URI, …}}') from error
    if not isinstance(found, dict):
        raise RefusedError(422, "json", 'the body is {"uris": {CHANNEL: URI, …}}')
    return found


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
