"""How worthwhile a slice is as the teacher's reference, from its values alone.

Position must not count: where a lesion lies in a crop says how the data were cut, not what they show.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import Channel, channels_of, kinds_of
from somray.errors import ShapeError
from somray.kernels.features.uptake import BODY_HU, LEAST_CONTRAST, is_soft_tissue
from somray.kernels.features.windows import auto_window

__all__ = ["slice_interest", "slice_lack"]

OUTLYING = 3.0
"""Robust spreads from the median tissue beyond which a pixel belongs to another regime."""

FAR = 3.0
"""How much further a pixel must lie to count in full; what lies between counts in part."""

LEAST_SPREAD = 0.02
"""Share of the window added to the spread: noise, below which nothing stands out."""

DARK = 0.12
"""Windowed level below which a pixel is air rather than tissue, where no unit tells."""

LEAST_HOT = 1e-6
"""Pixels that a slice without hot ones is rated by: behind all others, yet by its contrast."""

LEAST_BODY = 64
"""Pixels of body without which a slice is not worth looking at."""

LEAST_PIXELS = 256
"""Pixels with data without which no map is worth fitting: ten for each of the usual 25 nodes."""

AIR_HU = -300.0


def slice_interest(
    image: NDArray[np.float32],
    modality: str,
    windows: Sequence[tuple[float, float] | None],
    channels: Sequence[str] | None = None,
    level: float | None = None,
) -> float:
    """Rate a slice; the reference is the slice of a scan with the largest value.

    PET and PETCT: how far the slice's hottest tissue lies above its own background, times the geometric
    mean of the shares of the body that are hot and normal tissue; with CT, only *soft tissue* counts
    for either, so that a full bladder (water) does not win, nor a lesion surrounded by fat alone.
    Others: how much tissue the slice shows, times how evenly it is divided into a main regime and what
    stands out from it.

    Args:
        image: (c, y, x) physical values, NaN where there is no data.
        modality: CT, PET, PETCT, MR, XCT or other.
        windows: per channel (low, high), or None to choose it from this slice. For comparable values
            over a scan give the scan's own window.
        channels: names, which tell PET from CT; without them PET is the last channel of PETCT.
        level: lesion level of uptake of the scan, above which PET is hot; left out, the slice's own
            middle between background and peak, which says nothing of lesions elsewhere.

    Returns:
        0 or more; 0 for a slice without data or contrast.
    """
    if image.ndim != 3 or len(windows) != len(image):
        raise ShapeError(f"image {image.shape} does not fit {len(windows)} windows")
    valid = np.asarray(np.isfinite(image).all(axis=0))
    if not valid.any():
        return 0.0
    if modality in ("PET", "PETCT"):
        kinds = kinds_of(channels_of(modality, channels or ()))
        pet = kinds.index("PET") if "PET" in kinds else len(image) - 1
        ct = kinds.index("CT") if "CT" in kinds else 0
        has_ct = modality == "PETCT" and ct != pet
        return _uptake_interest(image[pet], image[ct] if has_ct else None, valid, level)
    total = 0.0
    for plane, window in zip(image, windows, strict=True):
        values = plane[valid].astype(np.float64)
        low, high = (
            window
            if window is not None
            else auto_window(values, modality, Channel("channel", modality))
        )
        grey = np.clip((values - low) / (high - low), 0.0, 1.0)
        tissue = values > AIR_HU if modality == "CT" else grey > DARK
        among = grey if modality == "XCT" else grey[tissue]
        total += _minority(among, valid.size, bright_only=modality == "CT")
    return total / len(image)


def slice_lack(image: NDArray[np.float32], modality: str, channels: Sequence[str]) -> str:
    """Say in words why a slice can teach nothing; "" where it may, worthwhile or not.

    Args:
        image: (c, y, x) physical values, NaN where there is no data.
        modality: as `slice_interest`.
        channels: names, which tell CT.
    """
    valid = np.isfinite(image).all(axis=0)
    if int(valid.sum()) < LEAST_PIXELS:
        return f"has {int(valid.sum())} pixels with data"
    varied, solid = 0, LEAST_BODY
    for plane, kind in zip(image, kinds_of(channels_of(modality, channels)), strict=True):
        values = plane[valid]
        varied = max(varied, int(np.count_nonzero(values != np.median(values))))
        if kind == "CT":
            solid = int(np.count_nonzero(values > AIR_HU))
    if varied < LEAST_BODY:
        return "is blank" if varied == 0 else f"is blank but for {varied} pixels"
    if solid < LEAST_BODY:
        return "shows nothing but air" if solid == 0 else f"shows air, and {solid} pixels of tissue"
    return ""


def _minority(grey: NDArray[np.float64], pixels: int, bright_only: bool) -> float:
    """Rate tissue levels (n,) of a slice: the spread of the share that lies off the main regime."""
    if len(grey) < LEAST_BODY:
        return 0.0
    middle = float(np.median(grey))
    spread = 1.4826 * float(np.median(np.abs(grey - middle))) + LEAST_SPREAD
    # On CT fat is dark and everywhere; it would drown what is rare.
    off_by = grey - middle if bright_only else np.abs(grey - middle)
    beyond = off_by / (OUTLYING * spread) - 1.0
    off = float(np.clip(beyond / FAR, 0.0, 1.0).mean())
    return float(np.sqrt(off * (1.0 - off)) * np.sqrt(len(grey) / pixels))


def _uptake_interest(
    pet: NDArray[np.float32],
    ct: NDArray[np.float32] | None,
    valid: NDArray[np.bool_],
    level: float | None,
) -> float:
    """Rate a slice (y, x): log contrast of hot to background, times how much there is of either.

    Both must be *soft tissue*: a lesion in nothing but fat would teach that all soft tissue is hot.
    """
    if ct is None:
        body = valid & (pet > 0.02 * float(np.nanmax(pet)))
        soft = body
    else:
        body = valid & (ct > BODY_HU)
        soft = valid & is_soft_tissue(ct)
    if int(body.sum()) < LEAST_BODY or int(soft.sum()) < LEAST_BODY:
        return 0.0
    background = float(np.median(pet[body].astype(np.float64)))
    uptake = pet[soft].astype(np.float64)
    peak = float(np.percentile(uptake, 99.5))
    if background <= 0.0 or peak <= LEAST_CONTRAST * background:
        return 0.0
    hot = int((uptake > (np.sqrt(background * peak) if level is None else level)).sum())
    both = np.sqrt(max(hot, LEAST_HOT) * (len(uptake) - hot)) / int(body.sum())
    return float(np.log2(peak / background) * both)
