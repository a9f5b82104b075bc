"""What the map sees of a slice: every feature of every channel as a picture."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.kernels.features import feature_stack
from somray.report.data import ReportData, SliceKey
from somray.report.drawing.blocks import Block, Details, Gallery, Picture, Text
from somray.report.drawing.display import DisplayWindow, grey
from somray.report.drawing.tiles import TileText, tile
from somray.report.figures.classes import short_names

__all__ = ["feature_gallery"]

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


def feature_gallery(data: ReportData, teacher: TeacherModel, key: SliceKey) -> Iterable[Block]:
    """Show all features of one slice, folded away."""
    scan = data.scan(key.subject, key.session)
    if scan is None:
        return
    image, frame = scan.image(key.t, key.z), scan.frame
    where = f"subject {key.subject}, session {key.session}, slice {key.z}"
    names = [(c, f) for c in teacher.channels for f in teacher.features]
    stack = feature_stack(image, teacher.windows, teacher.features, frame.spacing_mm)
    pictures = []
    for values, short, (channel, feature) in zip(stack, short_names(names), names, strict=True):
        window = _window(values, feature)
        alt = f"Feature {channel} {feature} of {where}."
        markup = tile(grey(values, window), frame, alt, TileText(short), "small")
        told = f"{channel} {feature.replace('_', ' ')}: {MEANINGS.get(feature, 'a feature')}; shown {window}."
        pictures.append(Picture(markup, told, alt))
    yield Details(
        f"All {len(pictures)} features of the reference slice",
        (
            Text(
                "The numbers that the map knows of each pixel, before they are standardised; one grey "
                "scale each, from its 1st to its 99th percentile on this slice."
            ),
            Gallery(tuple(pictures), "small"),
        ),
    )


def _window(values: NDArray[np.float32], name: str) -> DisplayWindow:
    """Scale a feature for the eye; what has a middle (0) keeps it in the middle."""
    known = values[np.isfinite(values)]
    low, high = (float(v) for v in np.percentile(known, PERCENT)) if known.size else (0.0, 1.0)
    if name in ("thickness", "anisotropy_p", "anisotropy_q"):
        high = max(abs(low), abs(high))
        low = -high
    return DisplayWindow("from", low, high if high > low else low + 1.0, "raw")
