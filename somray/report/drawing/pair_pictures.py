"""The pictures of a registered pair: overlay, checkerboard and |difference|, before and after."""

from collections.abc import Iterable

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from somray.domain.channel import channels_of
from somray.report.data import ReportData, Row, ScanPixels
from somray.report.drawing.blocks import Block, Gallery, Picture
from somray.report.drawing.display import (
    DisplayWindow,
    checkerboard,
    differences,
    grey,
    presets,
    two_colours,
)
from somray.report.drawing.listing import number
from somray.report.drawing.overlays import PairImages
from somray.report.drawing.tiles import TileText, colour_bar, tile

__all__ = ["pair_gallery", "pair_name", "pair_window"]

DIFFERENCE_PERCENT = 99.0  # of both maps; larger differences saturate, the same way in both


def pair_name(row: Row) -> str:
    """Name a registered pair in words."""
    if row["kind"] == "sessions":
        return f"sessions {row['fixed_session']} → {row['moving_session']}"
    return f"session {row['fixed_session']}, slices {row['fixed_z']} and {row['moving_z']}"


def pair_window(
    data: ReportData, scan: ScanPixels, row: Row, fixed: NDArray[np.float32]
) -> DisplayWindow:
    """Choose the window of a pair: the main one of the first channel, which was registered."""
    modality = data.protocol(row["protocol"]).modality
    windows = scan.meta.windows
    is_uptake = channels_of(modality, scan.meta.channels)[0].is_uptake
    return presets(scan.units[0], windows[0] if windows else None, fixed, is_uptake)[0]


def pair_gallery(
    images: PairImages, scan: ScanPixels, row: Row, window: DisplayWindow
) -> Iterable[Block]:
    """Show overlay, checkerboard and |difference|: a row before and a row after, one scale for both."""
    where, differ = pair_name(row), images.differences()
    known = np.concatenate([d[np.isfinite(d)] for d in differ if d is not None])
    most = (float(np.percentile(known, DIFFERENCE_PERCENT)) if known.size else 0.0) or 1.0
    pictures: list[Picture] = []
    for title, moving, difference in zip(
        ("before", "after"), (images.before, images.after), differ, strict=True
    ):
        if moving is not None and difference is not None:
            pictures += _compared(images.fixed, moving, (scan, window), (where, title))
            pictures.append(_difference(difference, most, scan, (where, title)))
    yield Gallery(tuple(pictures), "medium", _gallery_text(row, where, images))


def _compared(
    fixed: NDArray[np.float32],
    moving: NDArray[np.float32],
    seen: tuple[ScanPixels, DisplayWindow],
    words: tuple[str, str],
) -> Iterable[Picture]:
    """Lay both images over each other, and let them take turns square by square."""
    (scan, window), (where, title) = seen, words
    alt = f"Overlay of {where} {title} registration: fixed green, moving magenta, agreement grey."
    told = f"Overlay {title}: fixed green, moving magenta, grey where both agree ({window})."
    both = two_colours(window.scaled(fixed), window.scaled(moving))
    yield Picture(tile(both, scan.frame, alt, TileText(title), "small"), told, alt)
    alt = f"Checkerboard of {where} {title} registration."
    told = f"Checkerboard {title}: fixed and moving by turns; edges run on where they are aligned."
    turns = grey(checkerboard(fixed, moving), window)
    yield Picture(tile(turns, scan.frame, alt, TileText(title), "small"), told, alt)


def _difference(
    difference: NDArray[np.float64], most: float, scan: ScanPixels, words: tuple[str, str]
) -> Picture:
    where, title = words
    unit = "" if scan.units[0] == "raw" else f" {scan.units[0]}"
    mean = float(np.nanmean(difference)) if np.isfinite(difference).any() else 0.0
    alt = f"Absolute difference of {where} {title} registration, mean {number(mean)}{unit}."
    told = f"|Difference| {title}: mean {number(mean)}{unit} where both show something; one scale."
    markup = tile(differences(difference, most), scan.frame, alt, TileText(title), "small")
    return Picture(markup + _scale(most, unit), told, alt)


def _gallery_text(row: Row, where: str, images: PairImages) -> str:
    head = where[0].upper() + where[1:]
    if images.after is None:
        return f"{head} before registration only: the pair was refused ({row['reason']})."
    residue = "change" if row["kind"] == "sessions" else "anatomy"
    weak = f" The result is weak: {row['reason']}." if row["status"] == "weak" else ""
    at = f", slice {images.fixed_z} of the earlier" if row["kind"] == "sessions" else ""
    return (
        f"{head}{at}, before and after registration ({row['model']}); what is left after it is "
        f"{residue}.{weak}"
    )


def _scale(most: float, unit: str) -> Markup:
    """Draw the colours of the differences, the same before and after."""
    row = differences(np.linspace(0, most, 256)[None, :], most)
    top = f"{number(most, 2)}{unit} and more"
    return colour_bar(row, ("0", top), f"Colour scale of the differences, 0 to {top}.")
