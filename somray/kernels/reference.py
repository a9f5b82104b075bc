"""How worthwhile a slice is as the teacher's reference, from its values alone.

Position must not count: where a lesion lies in a crop says how the data were cut, not what they show.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.classes_uptake import BODY_HU, LEAST_CONTRAST
from somray.kernels.windows import auto_window, channel_kind

__all__ = ["slice_interest"]

BINS = 32
LEAST_BODY = 64
"""Pixels of body without which a PET slice is not worth looking at."""


def slice_interest(
    image: NDArray[np.float32],
    modality: str,
    windows: Sequence[tuple[float, float] | None],
    channels: Sequence[str] | None = None,
) -> float:
    """Rate a slice; the reference is the slice of a scan with the largest value.

    PET and PETCT: how far the slice's hottest tissue lies above its own background, times how evenly
    the slice is divided into hot and normal tissue. Others: how many regimes the slice shows, as the
    entropy of its windowed values (air or a single tissue gives little).

    Args:
        image: (c, y, x) physical values, NaN where there is no data.
        modality: CT, PET, PETCT, MR, XCT or other.
        windows: per channel (low, high), or None to choose it from this slice. For comparable values
            over a scan give the scan's own window.
        channels: names, which tell PET from CT; without them PET is the last channel of PETCT.

    Returns:
        0 or more; 0 for a slice without data or contrast.
    """
    if image.ndim != 3 or len(windows) != len(image):
        raise ShapeError(f"image {image.shape} does not fit {len(windows)} windows")
    valid = np.isfinite(image).all(axis=0)
    if not valid.any():
        return 0.0
    if modality in ("PET", "PETCT"):
        kinds = [channel_kind(modality, name) for name in channels or ()]
        pet = kinds.index("PET") if "PET" in kinds else len(image) - 1
        ct = kinds.index("CT") if "CT" in kinds else 0
        has_ct = modality == "PETCT" and ct != pet
        return _uptake_interest(image[pet][valid], image[ct][valid] if has_ct else None)
    total = 0.0
    for plane, window in zip(image, windows, strict=True):
        values = plane[valid].astype(np.float64)
        low, high = window if window is not None else auto_window(values, modality, "channel")
        total += _entropy(np.clip((values - low) / (high - low), 0.0, 1.0))
    return total / len(image) * float(valid.mean())


def _entropy(values: NDArray[np.float64]) -> float:
    """Shannon entropy in bits of values in [0, 1]."""
    counts = np.bincount((values * (BINS - 1)).astype(np.int64), minlength=BINS)
    share = counts[counts > 0] / len(values)
    return float(-(share * np.log2(share)).sum())


def _uptake_interest(pet: NDArray[np.float32], ct: NDArray[np.float32] | None) -> float:
    """Rate pixels (n,): log contrast of hot to background, times the spread of the two shares."""
    body = ct > BODY_HU if ct is not None else pet > 0.02 * pet.max()
    if int(body.sum()) < LEAST_BODY:
        return 0.0
    uptake = pet[body].astype(np.float64)
    background = float(np.median(uptake))
    peak = float(np.percentile(uptake, 99.5))
    if background <= 0.0 or peak <= LEAST_CONTRAST * background:
        return 0.0
    hot = float((uptake > np.sqrt(background * peak)).mean())
    return float(np.log2(peak / background) * np.sqrt(hot * (1.0 - hot)))
