"""A tile: one slice's pixels inside SVG, with lines and words drawn over it as vectors.

The drawing's units are mm scaled to a fixed width, so pixels are as square or oblong as they are in the
patient. Images lie as their arrays do: row 0 on top, column 0 on the left; letters say which way that is.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from contourpy import LineType, contour_generator
from markupsafe import Markup, escape
from numpy.typing import NDArray

from somray.report.data.scan import LONG_SIDE, SliceFrame
from somray.report.drawing.blocks import Legend, LegendEntry
from somray.report.drawing.display import jpeg_bytes, png_bytes, round_length_mm
from somray.report.drawing.style import LineStyle

__all__ = [
    "DETAIL",
    "MOST_VERTICES",
    "Outline",
    "TileMark",
    "TileText",
    "colour_bar",
    "matches_tile",
    "outline_legend",
    "outline_path",
    "shared_side",
    "tile",
]

DETAIL = {"fine": 640, "small": 360, "classes": 640}
"""Most pixels along the longer side of an embedded picture; classes are shown as squares, never blended."""

LEAST_SIDE = 128  # pixels; below, a picture tells nothing

MOST_VERTICES = 20000  # an outline of more corners is coarsened until it has fewer


@dataclass(frozen=True)
class Outline:
    """A mask's outline: SVG path data of `outline_path`, and how the line looks."""

    path: str
    style: LineStyle


@dataclass(frozen=True)
class TileMark:
    """A text that begins at (x, y), in drawing units."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class TileText:
    """What is drawn over a tile: title in the upper left, outlines, marks; dark where pixels are light."""

    title: str = ""
    lines: tuple[Outline, ...] = ()
    dark: bool = False
    marks: tuple[TileMark, ...] = ()


def shared_side(count: int, pixels: float, detail: str = "fine") -> int:
    """Return how long a side each of `count` pictures may have so that all have so many pixels together."""
    side = int((pixels / max(count, 1)) ** 0.5)
    return min(DETAIL[detail], max(LEAST_SIDE, side))


def _shrunk(pixels: NDArray[np.uint8], detail: str | int) -> NDArray[np.uint8]:
    """Reduce until the longer side fits: by averaging, or by picking where colours mean classes."""
    most = DETAIL[detail] if isinstance(detail, str) else detail
    longer = max(pixels.shape[:2])
    if longer <= most:
        return pixels
    size = (-(-pixels.shape[1] * most // longer), -(-pixels.shape[0] * most // longer))
    how = cv2.INTER_NEAREST if detail == "classes" else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, size, interpolation=how), dtype=np.uint8)


def outline_path(
    mask: NDArray[np.bool_], size: tuple[float, float], most: int = MOST_VERTICES
) -> str:
    """Trace a mask's outline half-way between pixels, as SVG path data in drawing units.

    Marching squares on the mask with a rim of zeros, so that every line closes. Where there are more than `most`
    corners, blocks of pixels stand for what lies anywhere in them, so that nothing small gets lost.
    """
    step, lines = 1, _contours(mask)
    while sum(len(line) for line in lines) > most:
        step *= 2
        lines = _contours(_blocks(mask, step))
    per_pixel = np.array([size[0] / mask.shape[1], size[1] / mask.shape[0]])
    edge = np.array(mask.shape[::-1])
    drawn = (np.minimum((line - 0.5) * step, edge) * per_pixel for line in lines)
    return "".join(_closed_line(corners) for corners in drawn)


def _blocks(mask: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """Reduce a mask to blocks of step × step pixels, true where any of them is."""
    rows, columns = (np.arange(0, n, step) for n in mask.shape)
    across = np.logical_or.reduceat(mask, rows, axis=0)
    return np.asarray(np.logical_or.reduceat(across, columns, axis=1), dtype=np.bool_)


def _contours(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Return closed outlines as corners (n, 2) x y, a pixel's centre lying one behind its index; no corner twice."""
    if not mask.any():
        return []
    padded = np.pad(mask, 1).astype(np.float64)
    found = contour_generator(z=padded, name="serial", line_type=LineType.Separate).lines(0.5)
    return [_corners(np.asarray(line)[:-1]) for line in found]


def _corners(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out the points of a closed line where it runs straight on."""
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.asarray(line[turn != 0])


def _closed_line(corners: NDArray[np.float64]) -> str:
    """Write a closed line to a tenth of a unit, by steps from corner to corner, which takes half the room."""
    tenths = np.rint(corners * 10).astype(np.int64)
    steps = np.diff(tenths, axis=0)
    (x, y), steps = tenths[0], steps[(steps != 0).any(axis=1)]
    moves = " ".join(map(_tenths, steps.ravel().tolist())).replace(" -", "-")
    return f"M{_tenths(int(x))} {_tenths(int(y))}l{moves}z" if moves else ""


@cache
def _tenths(count: int) -> str:
    return f"{count / 10:g}".replace("0.", ".", 1) if abs(count) < 10 else f"{count / 10:g}"


def _image(
    pixels: NDArray[np.uint8], box: tuple[float, float, float, float], detail: str | int
) -> str:
    shrunk = _shrunk(pixels, detail)
    kind, style, data = "jpeg", "", b""
    if detail == "classes":
        kind, style, data = "png", ' style="image-rendering:pixelated"', png_bytes(shrunk)
    text = base64.b64encode(data or jpeg_bytes(shrunk)).decode()
    x, y, width, height = box
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'preserveAspectRatio="none"{style} href="data:image/{kind};base64,{text}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text class="on-image" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _scale_bar(frame: SliceFrame) -> str:
    height = frame.size[1]
    length_mm = round_length_mm(frame.shape[1] * frame.spacing_mm[1])
    length, y = length_mm * frame.units_per_mm, height - 12
    label = f"{length_mm:g} {frame.unit}" if length_mm >= 0.1 else f"{length_mm * 1000:g} µm"
    line = f"M12 {y - 4:.1f}v4h{length:.1f}v-4"
    return f'<path class="scale-bar" d="{line}"/>' + _text(12, y - 9, label)


def _letters(frame: SliceFrame) -> str:
    if frame.towards is None:
        return ""
    width, height = frame.size
    right, bottom = frame.towards
    below = _text(width / 2, height - 8, bottom, "middle")
    return _text(width - 8, height / 2 + 5, right, "end") + below


def _lines(outlines: Sequence[Outline]) -> Iterator[str]:
    """Draw all dark halos first, so that no line's halo hides another line."""
    drawn = [outline for outline in outlines if outline.path]
    for outline in drawn:
        yield f'<path class="halo" d="{outline.path}"/>'
    for outline in drawn:
        style = outline.style
        dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
        kind = "outline broken" if style.dash else "outline"
        yield f'<path class="{kind}" d="{outline.path}" stroke="{style.colour}"{dash}/>'


def outline_legend(names: Mapping[str, str], styles: Mapping[str, LineStyle]) -> Legend:
    """Tell what outlines mean: key to its name, key to its line."""
    return Legend(tuple(LegendEntry(n, styles[k].colour, styles[k].dash) for k, n in names.items()))


def tile(
    pixels: NDArray[np.uint8],
    frame: SliceFrame,
    alt: str,
    text: TileText | None = None,
    detail: str | int = "fine",
) -> Markup:
    """Draw one slice.

    Args:
        pixels: (y, x) grey or (y, x, 3) RGB.
        frame: its physical frame.
        alt: text for those who cannot see it.
        text: title and outlines.
        detail: a key of `DETAIL`, or most pixels along the longer side; "classes" shows pixels as squares.
    """
    width, height = frame.size
    told = text or TileText()
    parts = [_image(pixels, (0, 0, width, height), detail)]
    parts += _lines(told.lines)
    parts += [_text(m.x, m.y, m.text) for m in told.marks]
    parts.append(_scale_bar(frame) + _letters(frame))
    if told.title:
        parts.append(_text(12, 24, told.title))
    inner = "".join(parts)
    if told.dark:
        return _svg(width, height, alt, f'<g class="dark-words">{inner}</g>', "tile light")
    return _svg(width, height, alt, inner)


def _svg(width: float, height: float, alt: str, inner: str, kind: str = "tile") -> Markup:
    return Markup(  # every text in `inner` was escaped where it was made
        f'<svg class="{kind}" role="img" aria-label="{escape(alt)}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" xmlns="http://www.w3.org/2000/svg">{inner}</svg>'
    )


def matches_tile(
    pair: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    points: tuple[NDArray[np.float64], NDArray[np.float64]],
    frames: tuple[SliceFrame, SliceFrame],
    alt: str,
    detail: str | int = "small",
) -> Markup:
    """Draw two slices side by side on one scale, and a line between matching points (x, y)."""
    gap, per_mm = 10.0, frames[0].units_per_mm
    sizes = [[n * s * per_mm for n, s in zip(f.shape, f.spacing_mm, strict=True)] for f in frames]
    shifts = (0.0, sizes[0][1] + gap)
    left, right = (
        (np.asarray(p, dtype=np.float64) + 0.5) * np.asarray(f.spacing_mm[::-1]) * per_mm + (dx, 0)
        for p, f, dx in zip(points, frames, shifts, strict=True)
    )
    lines = "".join(
        f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" for a, b in zip(left, right, strict=True)
    )
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for group in (left, right) for x, y in group
    )
    images = "".join(
        _image(pixels, (dx, 0, width, height), detail)
        for pixels, dx, (height, width) in zip(pair, shifts, sizes, strict=True)
    )
    inner = (
        f'{images}<path class="match" d="{lines}"/><g class="match-dots">{dots}</g>'
        + _text(12, 24, "fixed")
        + _text(shifts[1] + 12, 24, "moving")
    )
    return _svg(shifts[1] + sizes[1][1], max(sizes[0][0], sizes[1][0]), alt, inner)


def colour_bar(pixels: NDArray[np.uint8], labels: tuple[str, str], alt: str) -> Markup:
    """Draw a colour scale: pixels is one row (1, n, 3), labels stand at its ends."""
    inner = _image(pixels, (0, 0, LONG_SIDE, 14), "classes") + "".join(
        f'<text class="bar-label" x="{x}" y="32" text-anchor="{anchor}">{escape(label)}</text>'
        for x, anchor, label in zip((0, LONG_SIDE), ("start", "end"), labels, strict=True)
    )
    return _svg(LONG_SIDE, 38, alt, inner, "bar")
