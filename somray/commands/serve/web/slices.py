"""One slice over HTTP: a body, how it is asked about, and the reply."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.commands.serve.bodies.arrays import read_npy, read_png
from somray.commands.serve.refusal import RefusedError
from somray.commands.serve.replies.reply import (
    JSON,
    NPY,
    ZIP,
    Reply,
    chosen,
    json_reply,
    maps_of,
    npy_reply,
    zip_reply,
)
from somray.stages.answers.fitted import Fitted
from somray.stages.answers.slices import SliceAsked, answer_slice

__all__ = ["OFFERED", "PNG", "SliceRequest", "is_true", "number_of", "slice_reply", "spacing_of"]

PNG = "image/png"
OFFERED = (JSON, NPY, ZIP)


@dataclass(frozen=True)
class SliceRequest:
    """One request, read as far as its headers: its query, the body's media type, the header Accept."""

    query: Mapping[str, str]
    kind: str
    accept: str | None

    @property
    def reply(self) -> str:
        """The format of the reply."""
        return chosen(self.accept, OFFERED)


def slice_reply(
    fitted: Fitted, request: SliceRequest, body: bytes, most_pixels: int, threads: int
) -> Reply:
    """Answer about one slice.

    Raises:
        RefusedError: the request is wrong.
        ShapeError: the slice does not fit.
    """
    format_ = request.reply
    image = _image(request.kind, body, most_pixels)
    level = request.query.get("level")
    asked = SliceAsked(
        image,
        spacing_of(request.query.get("spacing_mm")),
        request.query.get("method", "som"),
        None if level is None else number_of(level, "level"),
    )
    answer = answer_slice(fitted, asked, threads)
    if format_ == JSON:
        return json_reply(answer, whole=False, with_map=is_true(request.query.get("map")))
    if format_ == NPY:
        return npy_reply(answer, whole=False)
    return zip_reply(answer, lambda: maps_of(answer), whole=False)


def _image(kind: str, body: bytes, most_pixels: int) -> NDArray[np.float32]:
    if kind in (NPY, "application/octet-stream"):
        return read_npy(body, most_pixels)
    if kind == PNG:
        return read_png(body, most_pixels)
    raise RefusedError(415, "media", f"a slice is sent as {NPY} or {PNG}")


def spacing_of(text: str | None) -> tuple[float, float]:
    """Read `dy,dx` in mm.

    Raises:
        RefusedError: it is missing or wrong: a default would give wrong areas without a word.
    """
    parts = (text or "").split(",")
    if len(parts) != 2:
        raise RefusedError(422, "spacing", "spacing_mm=DY,DX is needed, for example 0.8,0.8")
    dy, dx = (number_of(part, "spacing_mm") for part in parts)
    return dy, dx


def number_of(text: str, name: str) -> float:
    """Read a positive number.

    Raises:
        RefusedError: it is none.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found > 0):
        raise RefusedError(422, name, f"{name} must be positive")
    return found


def is_true(text: str | None) -> bool:
    """Whether a flag is set."""
    return (text or "").lower() in ("1", "true", "yes")
