"""Which values of a channel matter: the window that clips and scales it before features.

What `auto` chooses is deterministic and depends on values only. CT has a physical scale, so its window
is fixed; PET is scaled by the subject's own uptake (see `classes_uptake`); everything else takes robust
percentiles.
"""

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import Channel
from somray.errors import ShapeError
from somray.kernels.features.uptake import uptake_histogram, uptake_of

__all__ = [
    "CT_WINDOW",
    "PETCT_WINDOW",
    "UPTAKE_WINDOWS",
    "auto_window",
    "uptake_window",
]

CT_WINDOW = (-300.0, 500.0)
"""HU; air and lung are one at its low end, so that the map's few nodes go to what differs in tissue."""

PETCT_WINDOW = (-150.0, 40.0)
"""HU; from air to soft tissue. Beside PET, CT has to tell urine (0 to 10 HU) from tissue, and all tissue
above the window is one: muscle that is denser than the reference's must not be nearer to its tumour than
to its muscle (bench_lesions: up to 40 or 45 HU carries over, up to 60 and more does not always). Below,
air must lie far enough from fat's noise (bench_phantom_truth: agreement of a still scan's background
falls from .96 to .90 where the window begins at -125 HU)."""

UPTAKE_WINDOWS = {"PETCT": (0.8, 1.2), "PET": (0.0, 2.0)}
"""PET window in lesion levels, around the level for the same reason. Beside CT, which shows the body,
it may be narrow: below is all cold, above all hot (bench_lesions: half-widths of .1 to .3 are alike,
.5 and 1 lose .01 to .02). PET alone must tell the body from air as well."""

LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5


def uptake_window(level: float, modality: str) -> tuple[float, float]:
    """Return the PET window of a subject with this lesion level of uptake."""
    low, high = UPTAKE_WINDOWS[modality]
    return low * level, high * level


def _finite_in_order(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Copy the finite values, sorted. Whole slices of a large scan come here: nothing is held but the copy."""
    parts = values if values.ndim > 1 else values[None]
    held = np.empty(sum(int(np.isfinite(part).sum()) for part in parts), np.float32)
    filled = 0
    for part in parts:
        finite = part[np.isfinite(part)]
        held[filled : filled + finite.size] = finite
        filled += finite.size
    held.sort()
    return held


def _percentiles(in_order: NDArray[np.float32]) -> tuple[float, float]:
    """Return both percentiles between values in order, to the bit as numpy's of the same values in float64."""

    def at(percent: float) -> float:
        place = (len(in_order) - 1) * (percent / 100)
        lower = min(int(place), max(len(in_order) - 2, 0))
        a, b = float(in_order[lower]), float(in_order[min(lower + 1, len(in_order) - 1)])
        weight = place - lower
        return b - (b - a) * (1 - weight) if weight >= 0.5 else a + (b - a) * weight

    return at(LOW_PERCENT), at(HIGH_PERCENT)


def _without_padding(in_order: NDArray[np.float32]) -> NDArray[np.float32]:
    """Drop a fill value such as -3024: repeated, and further below the rest than the rest is wide."""
    lowest = in_order[0]
    rest = in_order[np.searchsorted(in_order, lowest, side="right") :]
    if len(in_order) - len(rest) < 2 or not len(rest):
        return in_order
    low, high = _percentiles(rest)
    far = float(rest[0]) - float(lowest) > high - low > 0
    return rest if far else in_order


def auto_window(
    values: NDArray[np.float32], modality: str, channel: Channel
) -> tuple[float, float]:
    """Choose the window of one channel from its values.

    Args:
        values: any shape, physical values, NaN where there is no data.
        modality: CT, PET, PETCT, MR, XCT or other.
        channel: which of its channels.

    Returns:
        (low, high) in the image's values, low < high.

    Raises:
        ShapeError: if no value is finite.
    """
    finite = _finite_in_order(values)
    if finite.size == 0:
        raise ShapeError(f"channel {channel.name}: no finite value to choose a window from")
    if channel.kind == "CT":
        return PETCT_WINDOW if modality == "PETCT" else CT_WINDOW
    if channel.is_uptake:
        return uptake_window(uptake_of(uptake_histogram(values)).lesion, modality)
    kept = _without_padding(finite)
    low, high = _percentiles(kept)
    if not low < high:
        low, high = float(kept[0]), float(kept[-1])
    if not low < high:
        half = max(0.5, abs(low) * 1e-3)
        return low - half, low + half
    return low, high
