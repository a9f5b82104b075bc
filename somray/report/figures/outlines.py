"""Masks as outlines on slices, in the windows that radiologists use; class maps beside the image."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of
from somray.domain.teacher import TeacherModel
from somray.report.data import Rows, ScanPixels
from somray.report.data.selection import SliceKey
from somray.report.drawing.blocks import Legend, Picture
from somray.report.drawing.display import DisplayWindow, grey, painted, presets
from somray.report.drawing.style import OUTLINES, class_colours
from somray.report.drawing.table import plural
from somray.report.drawing.tiles import (
    DETAIL,
    MOST_VERTICES,
    Outline,
    TileText,
    outline_legend,
    outline_path,
    tile,
)

__all__ = [
    "MaskPictures",
    "lesion_pictures",
    "mask_legend",
    "mask_pictures",
    "reference_pictures",
    "windows_of",
]

LEAST_CORNERS = 2000  # of an outline, however small its picture
LEAST_HALF, MOST_HALF = 20, 120  # pixels from a lesion's centroid to the edge of its own picture

_NAMES = {
    "student": "student",
    "foreign": "mask from outside",
    "som": "SOM, direct transfer",
    "truth": "reference truth",
}
_ORDER = ("student", "foreign", "truth", "som")  # the thinner, broken lines lie on top


@dataclass(frozen=True)
class MaskPictures:
    """One slice, every channel: in its main window, and in the other windows."""

    main: tuple[Picture, ...]
    further: tuple[Picture, ...]


def windows_of(
    pixels: ScanPixels, teacher: TeacherModel, images: NDArray[np.float32]
) -> list[tuple[DisplayWindow, ...]]:
    """Choose each channel's windows for all pictures (n, c, y, x) of a scan together."""
    return [
        presets(
            pixels.units[number],
            teacher.windows[number],
            images[:, number],
            channel.is_uptake,
        )
        for number, channel in enumerate(channels_of(teacher.modality, pixels.meta.channels))
    ]


def mask_legend(shown: Collection[str]) -> Legend:
    """Tell what the outlines of masks mean."""
    return outline_legend({n: name for n, name in _NAMES.items() if n in shown}, OUTLINES)


def mask_pictures(
    pixels: ScanPixels,
    windows: list[tuple[DisplayWindow, ...]],
    masks: Mapping[str, NDArray[np.bool_]],
    image: NDArray[np.float32],
    at: tuple[int, int],
) -> MaskPictures:
    """Draw every channel (c, y, x) of a slice with its masks (y, x) as outlines, in the channels' windows.

    `at` is the slice's z, and most pixels along a picture's longer side.
    """
    frame, (z, side) = pixels.frame, at
    corners = max(LEAST_CORNERS, int(MOST_VERTICES * (side / DETAIL["fine"]) ** 2))
    lines = tuple(
        Outline(outline_path(masks[n], frame.size, corners), OUTLINES[n])
        for n in _ORDER
        if n in masks
    )
    pixel_mm2 = frame.spacing_mm[0] * frame.spacing_mm[1]
    sizes = ", ".join(
        f"{_NAMES[n]} {_area(np.count_nonzero(masks[n]) * pixel_mm2)} {frame.unit}²"
        for n in _NAMES
        if n in masks
    )

    about = "about " if pixels.reduction > 1 else ""

    def picture(number: int, window: DisplayWindow) -> Picture:
        channel = pixels.meta.channels[number]
        told = f"{channel}, slice {z}{pixels.reduced}, {window}; target: {about}{sizes}."
        text = TileText(f"{channel} · z {z}", lines, window.inverted)
        shown = grey(image[number], window)
        return Picture(tile(shown, frame, f"Outlines on {told}", text, side), told)

    main = [picture(number, own[0]) for number, own in enumerate(windows)]
    further = [picture(number, w) for number, own in enumerate(windows) for w in own[1:]]
    return MaskPictures(tuple(main), tuple(further))


def lesion_pictures(pixels: ScanPixels, rows: Rows, where: str) -> list[Picture]:
    """Draw lesions (rows of `lesions` at time index 0) one by one, each in the slice through its centroid.

    Each at full resolution in its surroundings, itself outlined solid and its neighbours broken; `where` names the
    session.
    """
    meta, drawn = pixels.meta, []
    centres = np.array([[r[f"centroid_{a}_mm"] for a in "xyz"] for r in rows]).reshape(-1, 3)
    for row, centre in zip(rows, meta.geometry.to_index(centres), strict=True):
        z, y, x = np.clip(np.rint(centre), 0, np.array(meta.shape[2:]) - 1).astype(int).tolist()
        across = row["longest_axis_mm"] / min(meta.geometry.spacing_mm[1:])
        half = int(np.clip(across, LEAST_HALF, MOST_HALF))
        image, ids = pixels.crop(0, z, *(slice(max(0, c - half), c + half + 1) for c in (y, x)))
        drawn.append((row, z, image, ids))
    window = presets(
        pixels.units[0],
        meta.windows[0] if meta.windows else None,
        np.concatenate([image.ravel() for _, _, image, _ in drawn])
        if drawn
        else np.zeros(0, np.float32),
    )[0]
    pictures = []
    for row, z, image, ids in drawn:
        number = row["lesion_id"]
        frame = replace(pixels.frame, shape=image.shape, spacing_mm=meta.geometry.spacing_mm[1:])
        masks = {"student": ids == number, "som": (ids > 0) & (ids != number)}
        lines = tuple(Outline(outline_path(m, frame.size), OUTLINES[n]) for n, m in masks.items())
        told = f"Lesion #{number}, {where}, slice {z}, {window}: {_cut(ids, number)}."
        text = TileText(f"#{number}", lines)
        pictures.append(Picture(tile(grey(image, window), frame, told, text, "small"), told))
    return pictures


def _cut(ids: NDArray[np.integer[Any]], number: int) -> str:
    """Tell how many pixels of a lesion a picture shows."""
    count = int(np.count_nonzero(ids == number))
    return f"{plural(count, 'pixel')} of it here"


def _area(size: float) -> str:
    """Write an area: whole numbers, three digits where it is small."""
    return f"{size:.0f}" if size >= 10 or size == 0 else f"{size:.3g}"


def reference_pictures(
    scan: ScanPixels, teacher: TeacherModel, key: SliceKey, told: str
) -> list[Picture]:
    """Draw a slice's channels beside its class map; nothing where the scan has none.

    `told` says in words what the slice is.
    """
    labels = scan.label("som", key.t, key.z)
    if labels is None:
        return []
    frame, image = scan.frame, scan.image(key.t, key.z)
    pictures = []
    for values, channel, (window, *_) in zip(
        image, scan.meta.channels, windows_of(scan, teacher, image[None]), strict=True
    ):
        alt = f"{channel} of {key} in grey values, {window}."
        text = TileText(f"{channel} · z {key.z}", dark=window.inverted)
        markup = tile(grey(values, window), frame, alt, text)
        pictures.append(Picture(markup, f"{channel} of {key}{scan.reduced}: {told}; {window}."))
    shares = ", ".join(
        f"{name} {100 * float(np.mean(labels == value)):.1f} %"
        for value, name in sorted(teacher.class_names.items())
        if (labels == value).any()
    )
    alt = f"Class map of {key}: {shares} of the pixels."
    told = f"Cluster map of the same slice: each pixel in the colour of its class ({shares})."
    classes = painted(labels, class_colours(teacher.class_names))
    return [*pictures, Picture(tile(classes, frame, alt, TileText("classes"), "classes"), told)]
