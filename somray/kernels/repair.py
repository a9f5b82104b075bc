"""Voxels that hold no measurement: found, replaced by the channel's background, counted.

NaN, infinities, and padding: what a scanner writes where it cannot measure. Padding outside the circle
that a scanner reconstructs is how CT slices are stored and no damage; it is counted apart.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Repair", "outside_circle", "repair"]

AIR_HU = -1000.0
AIR_MARGIN_HU = 100.0  # declared padding this close to air needs no repair
CIRCLE = 0.95  # of the radius; a GE series in the test data is padded from 0.957 on
PADDING_HU = -1500.0
"""At or below it CT holds no tissue and no air, not even noisy or overshooting air (-1255 in real data):
values outside the scanner's circle, such as -1500, -2000 or -3024."""


@dataclass(frozen=True)
class Repair:
    """What was done to some slices.

    Args:
        values: (z, y, x), the input itself where nothing had to be done.
        counts: code to voxels replaced: nan_filled, inf_filled, padding_filled.
        by_design: of these, padding outside the scanner's circle.
    """

    values: NDArray[np.float32]
    counts: dict[str, int] = field(default_factory=dict)
    by_design: int = 0


def repair(
    values: NDArray[np.float32],
    kind: str,
    padding: float | None = None,
    *,
    outside_is_nan: bool = False,
) -> Repair:
    """Replace what was never measured by the channel's background.

    Args:
        values: (z, y, x) physical values.
        kind: what the channel measures: CT, PET or another modality.
        padding: value that the header declares for padding.
        outside_is_nan: NaN means "no data" and stays.

    Returns:
        Repaired values and counts; each slice is repaired by itself, so slabs may be cut anywhere.
    """
    finite = np.isfinite(values)
    padded = _padding(values, kind, padding)
    faults = {"inf_filled": np.isinf(values), "padding_filled": padded}
    if not outside_is_nan:
        faults["nan_filled"] = np.isnan(values)
    counts = {code: int(np.count_nonzero(mask)) for code, mask in faults.items()}
    counts = {code: count for code, count in counts.items() if count}
    if not counts:
        return Repair(values)
    bad = np.logical_or.reduce(list(faults.values()))
    by_design = 0
    repaired = values.copy()
    for z in np.flatnonzero(bad.any(axis=(1, 2))):
        repaired[z][bad[z]] = _background(values[z][finite[z] & ~bad[z]], kind)
        if padded[z].any():
            by_design += int(np.count_nonzero(padded[z] & outside_circle(finite[z])))
    return Repair(repaired, counts, by_design)


def _padding(values: NDArray[np.float32], kind: str, declared: float | None) -> NDArray[np.bool_]:
    """Find voxels that were never measured: below all HU, or with the value the header declares."""
    if kind == "CT":
        found = np.isfinite(values) & (values <= PADDING_HU)
        if declared is not None and abs(declared - AIR_HU) > AIR_MARGIN_HU:
            found |= values == np.float32(declared)
        return np.asarray(found)
    if kind == "PET" and declared is not None and declared < 0:
        return np.asarray(values == np.float32(declared))
    return np.zeros(values.shape, dtype=bool)


def _background(known: NDArray[np.float32], kind: str) -> float:
    """Return what stands where nothing was measured: air for CT, nothing for PET, else the darkest."""
    if kind == "CT":
        return AIR_HU
    if kind == "PET" or not known.size:
        return 0.0
    return float(known.min())


def outside_circle(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the pixels outside the ellipse inscribed in the box of known pixels.

    Args:
        known: (y, x), True where the slice has a value at all; a slice on a larger canvas has its own box.

    Returns:
        (y, x), True in the corners beyond the ellipse; all True where nothing is known.
    """
    inside = np.zeros(known.shape, dtype=bool)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    if rows.size:
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        y = (2 * np.arange(height)[:, None] + 1) / height - 1  # -1 to 1 over the box
        x = (2 * np.arange(width)[None, :] + 1) / width - 1
        inside[box] = y * y + x * x <= CIRCLE * CIRCLE
    return ~inside
