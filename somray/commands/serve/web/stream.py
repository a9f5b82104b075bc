"""Slices of a running acquisition over a websocket: one answer for each, in order, with its time told.

The first message is JSON and says what comes; every further one is the bytes of one slice. A line of `backlog` slices
waits at most. `on_full: wait` (the default) trusts the client to have no more than `backlog` slices unanswered, and
ends with code 1013 where it has; `on_full: skip` drops the oldest that waits, and tells so in its place.
"""

import asyncio
import contextlib
import json
import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from somray.commands.serve.bodies.arrays import DTYPES, npy_bytes, read_plain
from somray.commands.serve.refusal import RefusedError, refusal_of
from somray.commands.serve.settings import Limits
from somray.commands.serve.web.line import Line
from somray.commands.serve.web.meter import Meter
from somray.stages.answers.answer import NOT_CLINICAL, Answer
from somray.stages.answers.fitted import Fitted
from somray.stages.answers.slices import SliceAsked, answer_slice

__all__ = ["Hello", "SliceStream", "read_hello"]

_KNOWN = {"shape", "dtype", "spacing_mm", "method", "level", "frame_ms", "map", "on_full"}
BAD_HELLO, TOO_FAST = 1008, 1013  # of RFC 6455: policy violated; try again later


@dataclass(frozen=True)
class Hello:
    """What a stream begins with.

    Args:
        shape: (c, y, x) or (y, x) of every slice.
        spacing_mm: between pixels along (y, x).
        dtype: of its numbers, little-endian.
        method: som, student or finetuned.
        level: lesion level of uptake of the scan, for PET.
        frame_ms: time between two slices; answers say whether they were later than that.
        map: whether each answer is followed by the class map, as .npy.
        on_full: wait or skip.
    """

    shape: tuple[int, ...]
    spacing_mm: tuple[float, float]
    dtype: str = "float32"
    method: str = "som"
    level: float | None = None
    frame_ms: float | None = None
    map: bool = False
    on_full: str = "wait"


def read_hello(text: str | None, limits: Limits) -> Hello:
    """Read the first message.

    Raises:
        RefusedError: it does not say what comes, or what comes is too large.
    """
    try:
        given = dict(json.loads(text or ""))
        shape = tuple(int(n) for n in given["shape"])
        dy, dx = (float(n) for n in given["spacing_mm"])
        hello = Hello(**{**given, "shape": shape, "spacing_mm": (dy, dx)})
        numbers = [n for n in (hello.level, hello.frame_ms) if n is not None]
        sound = all(isinstance(n, int | float) and math.isfinite(n) and n > 0 for n in numbers)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RefusedError(
            422,
            "hello",
            f"the first message is a JSON object with shape and spacing_mm; known are {', '.join(sorted(_KNOWN))}",
        ) from error
    if len(shape) not in (2, 3) or min(shape) < 1 or not sound:
        raise RefusedError(422, "hello", "shape is [y, x] or [c, y, x]; numbers must be positive")
    if hello.dtype not in DTYPES or hello.on_full not in ("wait", "skip"):
        raise RefusedError(422, "hello", f"dtype is {', '.join(DTYPES)}; on_full is wait or skip")
    if math.prod(shape) > limits.slice_pixels:
        raise RefusedError(413, "too_large", f"at most {limits.slice_pixels} pixels a slice")
    return hello


class SliceStream:
    """One client's stream."""

    def __init__(
        self, fitted: Fitted, line: Line[Any], limits: Limits, meter: Meter
    ) -> None:  # Any: a line of any work
        self._fitted, self._line, self._limits, self._meter = fitted, line, limits, meter
        self._waiting: deque[tuple[int, float, bytes | None]] = deque()
        self._arrived = asyncio.Event()
        self._ended = False

    async def run(self, socket: Any) -> None:  # Any: a websocket of starlette
        """Talk until the client has gone, or asks for more than can be."""
        await socket.accept()
        try:
            hello = read_hello((await socket.receive()).get("text"), self._limits)
            self._fitted.checked_method(hello.method)
        except Exception as error:
            refused = refusal_of(error)
            await socket.send_text(json.dumps(refused.as_json()))
            await socket.close(BAD_HELLO, refused.code)
            return
        await socket.send_text(json.dumps(self._welcome(hello)))
        answering = asyncio.create_task(self._answer_all(socket, hello))
        try:
            await self._receive_all(socket, hello)
        except RefusedError as refused:
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answering
            await socket.send_text(json.dumps(refused.as_json()))
            await socket.close(TOO_FAST, refused.code)
            return
        finally:
            self._ended = True
            self._arrived.set()
        await answering

    def _welcome(self, hello: Hello) -> dict[str, Any]:  # Any: JSON
        fitted = self._fitted
        return {
            "ready": True,
            "protocol": fitted.protocol,
            "channels": list(fitted.channels),
            "method": hello.method,
            "backlog": self._limits.backlog,
            "on_full": hello.on_full,
            "doubts": fitted.doubts,
            "use": NOT_CLINICAL,
        }

    async def _receive_all(self, socket: Any, hello: Hello) -> None:
        """Take slices as they come; what waits is bounded, whatever the client does."""
        index = 0
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") == "end":
                return
            self._make_room(hello)
            self._waiting.append((index, time.perf_counter(), message.get("bytes") or b""))
            self._arrived.set()
            index += 1

    def _make_room(self, hello: Hello) -> None:
        kept = [n for n, (_, _, body) in enumerate(self._waiting) if body is not None]
        if len(kept) < self._limits.backlog:
            return
        if hello.on_full == "wait" or len(self._waiting) >= 64 * self._limits.backlog:
            raise RefusedError(
                503, "too_fast", f"more than {self._limits.backlog} slices wait; send fewer at once"
            )
        oldest, came, _ = self._waiting[kept[0]]
        self._waiting[kept[0]] = (oldest, came, None)

    async def _answer_all(self, socket: Any, hello: Hello) -> None:
        """Answer slices in their order until no more come."""
        while True:
            while not self._waiting:
                if self._ended:
                    with contextlib.suppress(RuntimeError):  # the client has gone already
                        await socket.close()
                    return
                self._arrived.clear()
                await self._arrived.wait()
            index, came, body = self._waiting.popleft()
            told, map_ = await self._told(hello, index, came, body)
            try:
                await socket.send_text(json.dumps(told))
                if map_ is not None:
                    await socket.send_bytes(map_)
            except (RuntimeError, OSError):  # nobody listens any more
                return

    async def _told(
        self, hello: Hello, index: int, came: float, body: bytes | None
    ) -> tuple[dict[str, Any], bytes | None]:  # Any: JSON
        """Return what is said of one slice, and its map."""
        if body is None:
            return {"index": index, "skipped": True}, None
        try:
            answer: Answer = await self._answer(hello, body)
        except Exception as error:
            refused = refusal_of(error)
            self._meter.answered("stream", refused.status, "", time.perf_counter() - came)
            return {"index": index, **refused.as_json()}, None
        seconds = time.perf_counter() - came
        self._meter.answered("stream", 200, answer.verdict, seconds)
        late = None if hello.frame_ms is None else seconds * 1000 > hello.frame_ms
        plane = answer.slices[0]
        told = {
            "index": index,
            "area_mm2": plane["area_mm2"],
            "target_area_mm2": plane["target_area_mm2"],
            "target_confidence": plane["target_confidence"],
            "verdict": answer.verdict,
            "warnings": answer.warnings,
            "seconds": round(seconds, 6),
            "late": late,
            "waiting": len(self._waiting),
            "use": NOT_CLINICAL,
        }
        return told, npy_bytes(answer.labels[0, 0]) if hello.map else None

    async def _answer(self, hello: Hello, body: bytes) -> Answer:
        def work(threads: int) -> Answer:
            image = read_plain(body, hello.shape, hello.dtype)
            asked = SliceAsked(image, hello.spacing_mm, hello.method, hello.level)
            return answer_slice(self._fitted, asked, threads)

        async with self._line.place():
            found: Answer = await self._line.work(work)
        return found
