"""ImageJ's calibration of gray values: what its files store in whole numbers, and what was measured.

ImageJ has no signed 16 bit and no HU: it stores such images shifted and writes the straight line to the measured
values into the description (`cf=0`, `c0`, `c1`). Its other functions are curves for films and gels; their values
are taken as stored.
Source: ImageJ 1.53, FileOpener.decodeDescriptionString and Calibration.
"""

from typing import Any

import numpy as np

__all__ = ["has_curve", "value_line"]

_STRAIGHT = 0

Line = tuple[float, float]


def value_line(page: Any) -> Line | None:  # Any: tifffile
    """Return offset and slope of measured values; None where they are as stored."""
    told = _told(page)
    if told.get("cf") != _STRAIGHT:
        return None
    line = _number(told.get("c0")), _number(told.get("c1"))
    return None if line[1] == 0 or line == (0.0, 1.0) or not np.isfinite(line).all() else line


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def has_curve(page: Any) -> bool:  # Any: tifffile
    """Whether values are calibrated in a way that is not read."""
    return bool(_told(page).get("cf", _STRAIGHT) != _STRAIGHT)


def _told(page: Any) -> dict[str, Any]:  # Any: tifffile
    """Return ImageJ's description where it may calibrate: fractions are measured values already."""
    file = page.parent
    is_whole = page.dtype is not None and np.dtype(page.dtype).kind == "u"
    told = file.imagej_metadata if file.is_imagej and is_whole else None
    return told if told and "vunit" in told else {}
