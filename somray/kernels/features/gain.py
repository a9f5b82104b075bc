"""The gain of a scan that has no unit: MR is scaled anew by every receiver, coil and reconstruction.

A scan's level is the median of what is tissue in it, told from air on a logarithmic scale. Where two scans of a
protocol differ by more than `STEADY` times in it, windows follow; below, the difference is anatomy or what of the body
a scan shows, and nothing is touched. Scans of several MR channels are left as they are: each has a gain of its own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import Channel
from somray.kernels.features.uptake import (
    BINS,
    body_counts,
    quantile_of,
    uptake_histogram,
)

__all__ = ["STEADY", "gain_between", "has_gain", "tissue_histogram", "tissue_level"]

STEADY = 1.15


def has_gain(channels: Sequence[Channel]) -> bool:
    """Tell whether scans of these channels differ by a gain that can be read."""
    return len(channels) == 1 and channels[0].kind == "MR"


def tissue_histogram(images: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count the values of some slices of a scan; add the counts of all of them, in any order.

    Args:
        images: (n, 1, y, x) values, NaN where there is no data; what is not positive is air.

    Returns:
        (2, 2560) int64 as `uptake_level.subject_histogram` counts them; the second row is 0.
    """
    positive = images > 0
    return np.stack([uptake_histogram(images, positive), np.zeros(BINS, dtype=np.int64)])


def tissue_level(counts: NDArray[np.int64]) -> float | None:
    """Return the median of what is tissue, in the scan's own values; None where nothing is.

    Args:
        counts: from `tissue_histogram`, added over the scan.
    """
    return float(2.0 ** quantile_of(body_counts(counts[0]), 0.5)) if counts[0].any() else None


def gain_between(level: float, reference: float) -> float:
    """Return what a reference's window is multiplied by for a scan; 1 where the two are alike."""
    ratio = level / reference
    return ratio if max(ratio, 1.0 / ratio) > STEADY else 1.0
