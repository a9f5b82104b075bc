"""PNG pictures as planes of measured numbers: gray of 1 to 16 bits, and gray that was stored as color.

The header is read here, because decoders turn palettes and packed bits into something else without a word.
Source: PNG specification, third edition, IHDR.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from imagecodecs import png_decode
from numpy.typing import NDArray

from somray.errors import DataError
from somray.io.readers.gray import gray_of

__all__ = ["PngFacts", "is_png", "png_facts", "png_plane", "png_samples"]

_MAGIC = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"
_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}  # of color types: gray, color, gray and color with opacity
MOST_RATIO = 1032  # that deflate reaches


@dataclass(frozen=True)
class PngFacts:
    """What a PNG says of itself: pixels down and across, bits of one sample, samples of one pixel (0 of a palette)."""

    rows: int
    columns: int
    bits: int
    samples: int


def is_png(path: Path) -> bool:
    """Tell PNG by its first bytes or its name."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(8) == _MAGIC or path.suffix.lower() == ".png"


def png_facts(path: Path, *, palette: bool = False) -> PngFacts:
    """Read the header, and whether the file reaches its end; a palette is taken of masks alone.

    Raises:
        DataError: `unreadable`: no PNG, or a palette; `truncated`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(29)
        file.seek(max(size - 64, 0))
        tail = file.read()
    if len(head) < 29:
        raise DataError("truncated", f"{path}: ends within its header; copy the file again")
    if head[:8] != _MAGIC or head[12:16] != b"IHDR":
        raise DataError("unreadable", f"{path}: is not PNG")
    columns, rows, bits, color = struct.unpack(">IIBB", head[16:26])
    if color == 3 and not palette:
        raise DataError(
            "unreadable",
            f"{path}: its pixels are numbers of colors in a palette, which measure nothing; export the "
            "values themselves in gray",
        )
    if color not in (*_SAMPLES, 3) or bits not in (1, 2, 4, 8, 16) or not rows or not columns:
        raise DataError("unreadable", f"{path}: its PNG header is damaged")
    if _END not in tail or rows * columns * _SAMPLES.get(color, 1) * bits // 8 > size * MOST_RATIO:
        raise DataError("truncated", f"{path}: ends before its pixels do; copy the file again")
    return PngFacts(rows, columns, bits, _SAMPLES.get(color, 0))


def png_plane(path: Path) -> NDArray[Any]:  # Any: any number
    """Decode one picture to (y, x), in the values that were stored.

    Raises:
        DataError: `unreadable`: in color, transparent or damaged; `truncated`.
    """
    facts, found = png_facts(path), png_samples(path)
    if found.ndim == 3:
        found = gray_of(path, found, alphas=1 - found.shape[-1] % 2)
    if facts.bits < 8:  # the decoder stretches them to 8 bits
        found = found // (255 // (2**facts.bits - 1))
    return found


def png_samples(path: Path) -> NDArray[Any]:  # Any: any number
    """Decode one picture to its samples (y, x) or (y, x, s); of one with a palette to the indices.

    Raises:
        DataError: `unreadable`, `truncated`.
    """
    facts, data = png_facts(path, palette=True), path.read_bytes()
    try:
        if facts.samples:
            return np.asarray(png_decode(data))
        found = np.asarray(png_decode(_as_gray(data)))
    except (RuntimeError, ValueError, struct.error) as error:
        raise DataError("unreadable", f"{path}: cannot be decoded ({error})") from error
    return found // (255 // (2**facts.bits - 1)) if facts.bits < 8 else found


def _as_gray(data: bytes) -> bytes:
    """Call a palette's indices gray, or the decoder would turn them into colors."""
    head = data[12:25] + b"\0" + data[26:29]
    kept, at = data[:8] + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)), 33
    while at < len(data):
        end = at + 12 + struct.unpack(">I", data[at : at + 4])[0]
        if data[at + 4 : at + 8] not in (b"PLTE", b"tRNS", b"bKGD", b"hIST", b"sBIT"):
            kept += data[at:end]
        at = end
    return kept
