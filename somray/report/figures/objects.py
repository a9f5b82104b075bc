"""Projections and slices with objects in their colours, numbered where lesions lie."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL
from somray.report.data import ScanPixels, SliceFrame
from somray.report.data.projections import Projection, Spot
from somray.report.drawing.blocks import Picture
from somray.report.drawing.display import DisplayWindow, grey, presets
from somray.report.drawing.style import CALLS, rgb
from somray.report.drawing.table import plural
from somray.report.drawing.tiles import Outline, TileMark, TileText, outline_path, tile

__all__ = ["CALL_NAMES", "object_slices", "projection_picture", "uptake_window"]

CALL_NAMES = {LESION: "lesion", DOUBT: "in doubt", PHYSIOLOGICAL: "physiological"}
FILL = 0.28  # share of its colour that an object is tinted with
MOST_NUMBERS = 30  # of the largest lesions; more would hide the picture
LINE = 15.0  # drawing units between two numbers above one another
LEAST_SUV, MOST_SUV = 5.0, 10.0
UPPER_PERCENT = 99.5  # of the picture, that the scale reaches up to


def uptake_window(views: Sequence[Projection], unit: str) -> DisplayWindow:
    """Choose one window for several views: from 0 to their hot end, in SUV between 5 and 10."""
    values = [v.image[np.isfinite(v.image)] for v in views]
    known = np.concatenate(values) if values else np.zeros(0)
    high = float(np.percentile(known, UPPER_PERCENT)) if known.size else 0.0
    if unit == "SUVbw":
        high = min(max(high, LEAST_SUV), MOST_SUV)
        return DisplayWindow("SUV", 0.0, high, unit, inverted=True)
    return DisplayWindow("uptake", 0.0, high if high > 0 else 1.0, unit, inverted=True)


def _counted(calls: Mapping[int, str]) -> str:
    """Count the objects of each call in words."""
    counts = [(sum(c == call for c in calls.values()), name) for call, name in CALL_NAMES.items()]
    lesions = plural(counts[0][0], "lesion") if counts[0][0] else "no lesion"
    return ", ".join([lesions, *(f"{n} {name}" for n, name in counts[1:] if n)])


def projection_picture(
    seen: Projection, window: DisplayWindow, calls: Mapping[int, str], where: str
) -> Picture:
    """Draw one projection with its objects; `calls` are those of the time point, `where` names the session."""
    lines, pixels = _drawn(grey(seen.image, window), seen.masks, seen.frame)
    marks = _numbers(seen.spots, calls, seen.frame)
    told = f"{seen.view.capitalize()} maximum-intensity projection, {where}, {window}: {_counted(calls)}."
    alt = told[:-1] + (f"; lesions numbered {', '.join(m.text for m in marks)}." if marks else ".")
    text = TileText("", lines, dark=True, marks=marks)
    return Picture(tile(pixels, seen.frame, alt, text), told)


def object_slices(
    pixels: ScanPixels,
    heights: Sequence[int],
    calls: Mapping[int, str],
    where: str,
    in_lung: bool = False,
) -> list[Picture]:
    """Draw slices (their indices) at time index 0 with their objects outlined.

    Args:
        pixels: of the scan.
        heights: the slices.
        calls: of each object.
        where: names the session.
        in_lung: whether objects lie in the lung, which is shown in its own window.
    """
    images = np.stack([pixels.image(0, z)[0] for z in heights])
    windows = presets(pixels.units[0], None, images)
    window = next((w for w in windows if in_lung and w.name == "lung"), windows[0])
    pictures = []
    for z, image in zip(heights, images, strict=True):
        labels = pixels.label("objects", 0, z)
        masks = {} if labels is None else {
            name: np.isin(labels, [n for n, call in calls.items() if call == name])
            for name in CALL_NAMES
        }  # fmt: skip
        told = f"Slice {z}{pixels.reduced}, {where}, {window}; in the whole scan {_counted(calls)}."
        lines, drawn = _drawn(grey(image, window), masks, pixels.frame)
        pictures.append(Picture(tile(drawn, pixels.frame, told, TileText(f"z {z}", lines)), told))
    return pictures


def _drawn(
    image: NDArray[np.uint8], masks: Mapping[str, NDArray[np.bool_]], frame: SliceFrame
) -> tuple[tuple[Outline, ...], NDArray[np.uint8]]:
    """Tint objects and outline them, lesions last and on top."""
    tinted = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()
    lines = []
    for call in (PHYSIOLOGICAL, DOUBT, LESION):
        mask = masks.get(call)
        if mask is None or not mask.any():
            continue
        style = CALLS[call]
        blend = tinted[mask] * (1.0 - FILL) + np.array(rgb(style.colour)) * FILL
        tinted[mask] = blend.round().astype(np.uint8)
        lines.append(Outline(outline_path(mask, frame.size), style))
    return tuple(lines), tinted


def _numbers(
    spots: Mapping[int, Spot], calls: Mapping[int, str], frame: SliceFrame
) -> tuple[TileMark, ...]:
    """Place the lesions' numbers beside them, outwards, pushed down where they would cover another."""
    named = [s for n, s in spots.items() if calls.get(n) == LESION and s.lesion is not None]
    largest = sorted(named, key=lambda s: (-s.voxels, s.lesion))[:MOST_NUMBERS]
    width, height = frame.size
    across, down = width / frame.shape[1], height / frame.shape[0]
    placed: list[TileMark] = []
    for spot in sorted(largest, key=lambda s: (s.y, s.left)):
        text = f"#{spot.lesion}"
        wide = 10.0 * len(text)
        is_left = spot.left + spot.right < frame.shape[1] - 1
        x = spot.left * across - 4 - wide if is_left else (spot.right + 1) * across + 4
        x = min(max(x, 0.0), width - wide)
        y = (spot.y + 0.5) * down + 5
        while any(abs(y - m.y) < LINE and abs(x - m.x) < wide for m in placed):
            y += LINE
        placed.append(TileMark(x, y, text))
    return tuple(placed)
