"""Projections and slices with objects in their colours, numbered where lesions lie."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL
from somray.report.drawing.blocks import Key, KeyEntry, Picture
from somray.report.drawing.display import DisplayWindow, grey
from somray.report.drawing.listing import plural
from somray.report.drawing.projections import Projection, Spot
from somray.report.drawing.style import CALL_COLOURS
from somray.report.drawing.tiles import Frame, Outline, TileText, outline_path, tile

__all__ = ["CALL_NAMES", "call_key", "counted", "outlined_slice", "projection_picture", "shown_to"]

CALL_NAMES = {LESION: "lesion", DOUBT: "in doubt", PHYSIOLOGICAL: "physiological"}
_DASHES = {LESION: "", DOUBT: "5 4", PHYSIOLOGICAL: "1.8 2.4"}
FILL = 0.28  # share of its colour that an object is tinted with
MOST_NUMBERS = 30  # of the largest lesions; more would hide the picture
LINE = 15.0  # drawing units between two numbers above one another
LEAST_SUV, MOST_SUV = 5.0, 10.0
UPPER_PERCENT = 99.5  # of the picture, that the scale reaches up to


def shown_to(views: Sequence[Projection], unit: str) -> DisplayWindow:
    """Choose one window for several views: from 0 to their hot end, in SUV between 5 and 10."""
    values = [v.image[np.isfinite(v.image)] for v in views]
    known = np.concatenate(values) if values else np.zeros(0)
    high = float(np.percentile(known, UPPER_PERCENT)) if known.size else 0.0
    if unit == "SUVbw":
        high = min(max(high, LEAST_SUV), MOST_SUV)
        return DisplayWindow("SUV", 0.0, high, unit, inverted=True)
    return DisplayWindow("uptake", 0.0, high if high > 0 else 1.0, unit, inverted=True)


def call_key() -> Key:
    """Tell what the outlines mean."""
    return Key(
        tuple(
            KeyEntry(name, CALL_COLOURS[call], dash=_DASHES[call])
            for call, name in CALL_NAMES.items()
        )
    )


def counted(calls: Mapping[int, str]) -> str:
    """Count the objects of each call in words."""
    counts = [(sum(c == call for c in calls.values()), name) for call, name in CALL_NAMES.items()]
    lesions = plural(counts[0][0], "lesion") if counts[0][0] else "no lesion"
    return ", ".join([lesions, *(f"{n} {name}" for n, name in counts[1:] if n)])


def projection_picture(
    seen: Projection, window: DisplayWindow, calls: Mapping[int, str], where: str
) -> Picture:
    """Draw one projection with its objects.

    Args:
        seen: the view.
        window: values shown from white to black.
        calls: object number to call, of all objects of the time point.
        where: session (and channel) in words.
    """
    lines, pixels = _drawn(grey(seen.image, window), seen.masks, seen.frame)
    marks = _numbers(seen.spots, calls, seen.frame)
    told = f"{seen.view.capitalize()} maximum-intensity projection, {where}, {window}: {counted(calls)}."
    alt = told[:-1] + (f"; lesions numbered {', '.join(m[2] for m in marks)}." if marks else ".")
    words = TileText("", lines, dark=True, marks=marks)
    return Picture(tile(pixels, seen.frame, alt, words), told, alt)


def outlined_slice(
    image: NDArray[np.uint8], masks: Mapping[str, NDArray[np.bool_]], frame: Frame,
    told: str, title: str,
) -> Picture:  # fmt: skip
    """Draw one slice, grey or with pixels without data marked, with its objects outlined."""
    lines, pixels = _drawn(image, masks, frame)
    return Picture(tile(pixels, frame, told, TileText(title, lines)), told, told)


def _drawn(
    image: NDArray[np.uint8], masks: Mapping[str, NDArray[np.bool_]], frame: Frame
) -> tuple[tuple[Outline, ...], NDArray[np.uint8]]:
    """Tint objects and outline them, lesions last and on top."""
    rgb = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()
    lines = []
    for call in (PHYSIOLOGICAL, DOUBT, LESION):
        mask = masks.get(call)
        if mask is None or not mask.any():
            continue
        colour = CALL_COLOURS[call]
        tint = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        rgb[mask] = (rgb[mask] * (1.0 - FILL) + tint * FILL).round().astype(np.uint8)
        lines.append(Outline(outline_path(mask, frame.size), colour, _DASHES[call]))
    return tuple(lines), rgb


def _numbers(
    spots: Mapping[int, Spot], calls: Mapping[int, str], frame: Frame
) -> tuple[tuple[float, float, str], ...]:
    """Place the lesions' numbers beside them, outwards, pushed down where they would cover another."""
    named = [s for n, s in spots.items() if calls.get(n) == LESION and s.lesion is not None]
    largest = sorted(named, key=lambda s: (-s.voxels, s.lesion))[:MOST_NUMBERS]
    width, height = frame.size
    scale: Any = (width / frame.shape[1], height / frame.shape[0])
    placed: list[tuple[float, float, str]] = []
    for spot in sorted(largest, key=lambda s: (s.y, s.left)):
        text = f"#{spot.lesion}"
        wide = 10.0 * len(text)
        is_left = spot.left + spot.right < frame.shape[1] - 1
        x = spot.left * scale[0] - 4 - wide if is_left else (spot.right + 1) * scale[0] + 4
        x = min(max(x, 0.0), width - wide)
        y = (spot.y + 0.5) * scale[1] + 5
        while any(abs(y - b) < LINE and abs(x - a) < wide for a, b, _ in placed):
            y += LINE
        placed.append((x, y, text))
    return tuple(placed)
