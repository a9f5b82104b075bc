"""Whether values are Hounsfield units, where neither header nor name tells the modality."""

import numpy as np

from somray.errors import DataError
from somray.io.readers.source import Source

__all__ = ["holds_hounsfield_units"]

VOLUMES = ("nifti", "nrrd", "metaimage")

LEAST_MM = 0.2
"""Micro-CT is finer, and has rules of its own."""

PADDING_HU = -1100.0
"""Below lies what scanners write outside their circle."""

AIR_HU, AIR_SHARE = (-1100.0, -900.0), 0.05
SOFT_HU, SOFT_SHARE = (-150.0, 150.0), 0.05
HIGHEST_HU = 32768.0


def holds_hounsfield_units(source: Source) -> bool:
    """Tell whether the first slice shows a body in air, each at the values that CT gives them.

    One slice, since the first of a compressed file costs nothing to reach.
    """
    header = source.header
    if header.kind not in VOLUMES or header.unit is not None:
        return False
    if min(header.geometry.spacing_mm[1:]) < LEAST_MM:
        return False
    try:
        values = source.read(0, 0, 1)
    except DataError:
        return False
    known = values[np.isfinite(values) & (values >= PADDING_HU)]
    if not known.size or known.max() > HIGHEST_HU:
        return False
    shares = [np.mean((known >= low) & (known <= high)) for low, high in (AIR_HU, SOFT_HU)]
    return bool(shares[0] >= AIR_SHARE and shares[1] >= SOFT_SHARE)
