"""Small pictures for tables: at most three kilobytes each, pixels and outlines in one."""

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

from somray.report.data.scan import SliceFrame
from somray.report.drawing.blocks import Thumbnail
from somray.report.drawing.style import rgb

__all__ = ["MOST_BYTES", "thumbnail"]

LONG_SIDE = 128  # pixels; shown at half of it, for dense screens
MOST_BYTES = 3000  # of the data URI
LINE = 2  # pixels; thinner ones fade where colour is stored coarsely
QUALITIES = (70, 55, 40, 25, 12, 4)
_HEAD = "data:image/webp;base64,"


def thumbnail(
    pixels: NDArray[np.uint8],
    outlines: dict[str, NDArray[np.bool_]],
    frame: SliceFrame,
    alt: str,
) -> Thumbnail:
    """Draw a slice or projection small, in its physical proportions.

    Args:
        pixels: (y, x) grey or (y, x, 3) RGB.
        outlines: colour to the mask (y, x) that is outlined in it.
        frame: physical frame.
        alt: text for those who cannot see it.
    """
    scale = LONG_SIDE / max(frame.size)
    width, height = (max(8, round(n * scale)) for n in frame.size)
    colour = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    small = np.ascontiguousarray(cv2.resize(colour, (width, height), interpolation=cv2.INTER_AREA))
    for name, mask in outlines.items():
        _outline(small, mask, rgb(name))
    return Thumbnail(_uri(small), alt, -(-width // 2), -(-height // 2))


def _outline(picture: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, ...]) -> None:
    """Draw a mask's outline; a speck stays a dot, since any part of a pixel counts."""
    height, width = picture.shape[:2]
    rows, columns = np.nonzero(mask)
    small = np.zeros((height, width), np.uint8)
    small[rows * height // mask.shape[0], columns * width // mask.shape[1]] = 1
    if mask.shape[0] < height or mask.shape[1] < width:  # enlarged: pixels become blocks
        resized = cv2.resize(
            mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
        )
        small = np.maximum(small, resized).astype(np.uint8)
    lines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, lines, -1, colour, LINE)


def _uri(picture: NDArray[np.uint8]) -> str:
    """Encode as finely as the room allows."""
    bgr = np.ascontiguousarray(picture[..., ::-1])
    text = ""
    for quality in QUALITIES:
        done, encoded = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
        if not done:  # cv2 reports no reason
            raise ValueError(f"a picture of shape {picture.shape} could not be encoded as WebP")
        text = _HEAD + base64.b64encode(encoded.tobytes()).decode()
        if len(text) <= MOST_BYTES:
            break
    return text
