"""Pieces of HTML for notebooks: escaped, with pictures inside, without scripts or anything from outside."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cell", "block", "figure", "figures", "png", "small", "swatch", "table"]

LONGEST = 210
"""Pixels of a picture's longer side, in the page and in its PNG."""

Cell = str
"""Text of a table's cell; markup where it comes from `swatch`."""

_EDGE = "border-bottom:1px solid rgba(128,128,128,.35)"


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode RGB (y, x, 3) as PNG; same pixels, same bytes."""
    import cv2

    _, encoded = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])  # BGR
    return bytes(encoded.tobytes())


def small(plane: NDArray[np.generic]) -> NDArray[np.generic]:
    """Leave out rows and columns of (y, x) or (y, x, 3) until it is small enough for a notebook."""
    step = max(1, -(-max(plane.shape[:2]) // LONGEST))
    return plane[::step, ::step]


def figure(
    pixels: NDArray[np.uint8], caption: str, size_mm: tuple[float, float] | None = None
) -> str:
    """Return a picture with its caption; `size_mm` is what it shows, where pixels are not square."""
    high, wide = size_mm or (float(pixels.shape[0]), float(pixels.shape[1]))
    scale = LONGEST / max(high, wide)
    source = base64.b64encode(png(pixels)).decode("ascii")
    text = escape(caption)
    return (
        '<figure style="margin:0 12px 8px 0">'
        f'<img alt="{text}" src="data:image/png;base64,{source}" '
        f'style="width:{wide * scale:.0f}px;height:{high * scale:.0f}px;image-rendering:pixelated;max-width:none">'
        f'<figcaption style="font-size:85%;max-width:{LONGEST}px">{text}</figcaption></figure>'
    )


def figures(parts: Iterable[str]) -> str:
    """Return pictures side by side."""
    return (
        '<div style="display:flex;flex-wrap:wrap;align-items:flex-start">'
        + "".join(parts)
        + "</div>"
    )


def swatch(colour: str) -> Cell:
    """Return a small square of a colour, a cell that `table` takes as it is."""
    return Markup(
        f'<span style="display:inline-block;width:.9em;height:.9em;background:{escape(colour)}"></span>'
    )


class Markup(str):
    """Text that is HTML already, and ours."""

    __slots__ = ()


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table; every cell is escaped but those of `swatch`."""
    cell = f"text-align:left;padding:2px 10px 2px 0;{_EDGE};vertical-align:top"
    top = "".join(f'<th style="{cell}">{escape(name)}</th>' for name in head)
    lines = [
        "<tr>"
        + "".join(
            f'<td style="{cell}">{one if isinstance(one, Markup) else escape(str(one))}</td>'
            for one in row
        )
        + "</tr>"
        for row in rows
    ]
    return (
        '<table style="border-collapse:collapse;font-size:90%"><thead><tr>'
        f"{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def block(title: str, parts: Iterable[str], notes: Iterable[str] = ()) -> str:
    """Return everything of one result: its title, HTML of ours, and notes in text, a paragraph each."""
    told = "".join(f'<p style="margin:4px 0;font-size:90%">{escape(note)}</p>' for note in notes)
    return (
        '<div style="color:inherit;max-width:920px">'
        f'<p style="margin:0 0 6px"><strong>{escape(title)}</strong></p>{told}{"".join(parts)}</div>'
    )
