"""A subject's own uptake: what makes PET comparable between subjects.

The pipeline counts every slab of a scan (`subject_histogram`), adds the counts, reads the level
(`subject_level`) and hands it to `apply_teacher`. Modalities without PET have no level (None).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.classes_uptake import uptake_histogram, uptake_of
from somray.kernels.windows import channel_kind

__all__ = ["has_level", "subject_histogram", "subject_level"]


def has_level(modality: str, channels: Sequence[str]) -> bool:
    """Tell whether scans of this protocol have a level of uptake."""
    return any(channel_kind(modality, channel) == "PET" for channel in channels)


def subject_histogram(
    images: NDArray[np.float32], modality: str, channels: Sequence[str]
) -> NDArray[np.int64]:
    """Count the uptake of some slices of a scan; add the counts of all of them, in any order.

    Args:
        images: (n, c, y, x) physical values, NaN where there is no data.
        modality: of the protocol.
        channels: names in image order; the first PET channel is counted.

    Returns:
        (2560,) int64.

    Raises:
        ShapeError: if no channel is PET, or the image has other channels.
    """
    kinds = [channel_kind(modality, channel) for channel in channels]
    if "PET" not in kinds:
        raise ShapeError(f"{modality} with channels {', '.join(channels)} has no PET channel")
    if images.ndim != 4 or images.shape[1] != len(channels):
        raise ShapeError(f"images must be (n, {len(channels)}, y, x), got {images.shape}")
    ct = images[:, kinds.index("CT")] if "CT" in kinds else None
    return uptake_histogram(images[:, kinds.index("PET")], ct)


def subject_level(counts: NDArray[np.int64], modality: str) -> float:
    """Return the subject's lesion level of uptake, in the PET channel's unit."""
    return uptake_of(counts, has_air=modality != "PETCT").lesion
