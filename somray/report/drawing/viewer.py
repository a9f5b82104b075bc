"""What the viewer's script gets: small volumes as pictures and packed labels, in one JSON that holds no markup.

A volume's 256 levels lie closest where a window needs them (`level_values`), so that one JPEG serves lung, soft
tissue and bone. Labels travel without loss: the low four bits of a byte are the class, the others one mask each.
"""

import base64
import itertools
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from somray.report.drawing.blocks import Block
from somray.report.drawing.display import DisplayWindow

__all__ = [
    "MASK_BITS",
    "Viewer",
    "level_values",
    "levels_of",
    "packed_labels",
    "packed_levels",
    "safe_json",
]

LEVELS = 256
LAST_CLASS = 15  # of the four bits
MASK_BITS: Mapping[str, int] = {"student": 16, "truth": 32, "lesions": 64}
JPEG_QUALITY = 82
TILE = (
    8  # pixels of a JPEG block: slices begin on whole ones, so that none bleeds into its neighbour
)
WIDEST = 4096  # pixels of a mosaic; browsers draw twice that everywhere


@dataclass(frozen=True)
class Viewer(Block):
    """Linked planes of a subject's sessions; shown by the viewer's script alone, so pictures must stand beside it."""

    json: Markup
    label: str


def level_values(windows: Sequence[DisplayWindow]) -> NDArray[np.float64]:
    """Return the value of each of the 256 levels: every window gets its share of them, however wide it is."""
    ends = sorted({v for w in windows for v in (w.low, w.high)})
    counts = [0.0]
    for low, high in itertools.pairwise(ends):
        density = sum(1 / (w.high - w.low) for w in windows if w.low <= low and high <= w.high)
        counts.append(counts[-1] + density * (high - low))
    return np.interp(np.linspace(0, counts[-1], LEVELS), counts, ends)


def levels_of(image: NDArray[np.float32], values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Give pixels of any shape their nearest lower level; outside the range, and where nothing is known, the ends'."""
    known = np.nan_to_num(image, nan=values[0])
    level = np.interp(known, values, np.arange(LEVELS))
    return np.rint(level).astype(np.uint8)


def packed_levels(levels: NDArray[np.uint8]) -> dict[str, Any]:  # Any: JSON
    """Lay slices (z, y, x) side by side and encode them as one JPEG.

    Returns:
        jpeg in base64, columns of the mosaic, width and height of a slice's place in it.
    """
    depth, rows, columns = levels.shape
    high, wide = (-(-n // TILE) * TILE for n in (rows, columns))
    across = max(1, min(depth, WIDEST // wide, math.ceil(math.sqrt(depth * high / wide))))
    down = -(-depth // across)
    mosaic = np.zeros((down * high, across * wide), np.uint8)
    for z, plane in enumerate(levels):
        y, x = z // across * high, z % across * wide
        mosaic[y : y + high, x : x + wide] = np.pad(
            plane, ((0, high - rows), (0, wide - columns)), mode="edge"
        )
    done, encoded = cv2.imencode(".jpg", mosaic, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:  # cv2 reports no reason
        raise ValueError(f"a mosaic of {mosaic.shape} could not be encoded as JPEG")
    jpeg = base64.b64encode(encoded.tobytes()).decode()
    return {"jpeg": jpeg, "columns": across, "wide": wide, "high": high}


def packed_labels(classes: NDArray[np.uint8], masks: Mapping[str, NDArray[np.bool_]]) -> str:
    """Pack classes and masks (z, y, x), one byte a voxel, and deflate them; base64."""
    packed = np.minimum(classes, LAST_CLASS).astype(np.uint8)
    for name, mask in masks.items():
        packed |= np.where(mask, np.uint8(MASK_BITS[name]), np.uint8(0))
    return base64.b64encode(zlib.compress(packed.tobytes(), 9)).decode()


def safe_json(value: Any) -> Markup:  # Any: JSON
    """Write JSON that cannot end the element it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # no sign of markup is left
