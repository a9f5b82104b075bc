"""What the map sees of a slice: every feature of every channel as a picture."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.kernels.features import feature_stack
from somray.report.data import ScanPixels
from somray.report.data.selection import SliceKey
from somray.report.drawing.blocks import Picture
from somray.report.drawing.classes import short_names
from somray.report.drawing.display import DisplayWindow, grey
from somray.report.drawing.tiles import TileText, tile

__all__ = ["feature_pictures"]

MEANINGS = {
    "intensity": "the value within the window",
    "edge": "gradient magnitude per mm: borders are bright",
    "local_contrast": "standard deviation over 5 × 5 pixels: texture and borders",
    "thickness": "bright on thin bright structures, dark in small holes",
    "mean3": "mean over 3 × 3 pixels",
    "mean5": "mean over 5 × 5 pixels",
    "anisotropy_p": "direction of structures: bright where they stand upright, dark where they lie",
    "anisotropy_q": "direction of structures: bright and dark on the two diagonals",
    "ratio_row_column": "mean along the row to mean along the column",
    "ratio_local_global": "mean over 5 × 5 pixels to the mean of the slice",
}
PERCENT = (1.0, 99.0)


def feature_pictures(scan: ScanPixels, teacher: TeacherModel, key: SliceKey) -> list[Picture]:
    """Draw every feature of every channel of one slice."""
    image, frame = scan.image(key.t, key.z), scan.frame
    names = [(c, f) for c in teacher.channels for f in teacher.features]
    stack = feature_stack(image, teacher.windows, teacher.features, frame.spacing_mm)
    pictures = []
    for values, short, (channel, feature) in zip(stack, short_names(teacher), names, strict=True):
        window = _window(values, feature)
        alt = f"Feature {channel} {feature} of {key}{scan.reduced}."
        markup = tile(grey(values, window), frame, alt, TileText(short), "small")
        name = f"{channel} {feature.replace('_', ' ')}"
        told = f"{name}: {MEANINGS.get(feature, 'a feature')}; shown {window}{scan.reduced}."
        pictures.append(Picture(markup, told))
    return pictures


def _window(values: NDArray[np.float32], name: str) -> DisplayWindow:
    """Scale a feature for the eye; what has a middle (0) keeps it in the middle."""
    known = values[np.isfinite(values)]
    low, high = (float(v) for v in np.percentile(known, PERCENT)) if known.size else (0.0, 1.0)
    if name in ("thickness", "anisotropy_p", "anisotropy_q"):
        high = max(abs(low), abs(high))
        low = -high
    return DisplayWindow("from", low, high if high > low else low + 1.0, "raw")
