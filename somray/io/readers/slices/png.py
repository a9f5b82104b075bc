"""PNG pictures as planes of measured numbers: gray of 1 to 16 bits, and gray that was stored as color.

The header is read here, because decoders turn palettes and packed bits into something else without a word.
Source: PNG specification, third edition, IHDR.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from imagecodecs import png_decode
from numpy.typing import NDArray

from somray.errors import DataError
from somray.io.readers.gray import gray_of

__all__ = ["PngFacts", "is_png", "png_facts", "png_plane"]

_MAGIC = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"
_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}  # of color types: gray, color, gray and color with opacity
MOST_RATIO = 1032  # that deflate reaches


@dataclass(frozen=True)
class PngFacts:
    """What a PNG says of itself.

    Args:
        rows: pixels down.
        columns: pixels across.
        bits: of one sample.
        samples: of one pixel.
    """

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


def png_facts(path: Path) -> PngFacts:
    """Read the header, and whether the file reaches its end.

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
    if color == 3:
        raise DataError(
            "unreadable",
            f"{path}: its pixels are numbers of colors in a palette, which measure nothing; export the "
            "values themselves in gray",
        )
    if color not in _SAMPLES or bits not in (1, 2, 4, 8, 16) or not rows or not columns:
        raise DataError("unreadable", f"{path}: its PNG header is damaged")
    if _END not in tail or rows * columns * _SAMPLES[color] * bits // 8 > size * MOST_RATIO:
        raise DataError("truncated", f"{path}: ends before its pixels do; copy the file again")
    return PngFacts(rows, columns, bits, _SAMPLES[color])


def png_plane(path: Path) -> NDArray[Any]:  # Any: any number
    """Decode one picture to (y, x), in the values that were stored.

    Raises:
        DataError: `unreadable`: in color, transparent or damaged; `truncated`.
    """
    facts = png_facts(path)
    try:
        found = np.asarray(png_decode(path.read_bytes()))
    except (RuntimeError, ValueError) as error:
        raise DataError("unreadable", f"{path}: cannot be decoded ({error})") from error
    if found.ndim == 3:
        found = gray_of(path, found, alphas=1 - found.shape[-1] % 2)
    if facts.bits < 8:  # the decoder stretches them to 8 bits
        found = found // (255 // (2**facts.bits - 1))
    return found
