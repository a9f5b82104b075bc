"""A subject's own uptake: what makes PET comparable between subjects.

The pipeline counts every slab of a scan (`subject_histogram`), adds the counts, reads the level
(`subject_level`) and hands it to `apply_teacher`. Modalities without PET have no level (None).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import Channel, kinds_of
from somray.errors import ShapeError
from somray.kernels.features.uptake import (
    BINS,
    BODY_HU,
    lies_in_soft_tissue,
    uptake_histogram,
    uptake_of,
)

__all__ = ["has_level", "subject_histogram", "subject_level"]

LEAST_SOFT_SHARE = 0.01
"""Share of the body that must be soft tissue for the level to be read there."""


def has_level(channels: Sequence[Channel]) -> bool:
    """Tell whether scans of these channels have a level of uptake."""
    return any(channel.is_uptake for channel in channels)


def subject_histogram(
    images: NDArray[np.float32], channels: Sequence[Channel]
) -> NDArray[np.int64]:
    """Count the uptake of some slices of a scan; add the counts of all of them, in any order.

    With CT, soft tissue is counted for itself: urine, marrow and air are no measure of it, nor is what
    lies beside them and shows their uptake.

    Args:
        images: (n, c, y, x) physical values, NaN where there is no data.
        channels: in image order; the first PET channel is counted.

    Returns:
        (2, 2560) int64: the body (all pixels with data where there is no CT), and its soft tissue.

    Raises:
        ShapeError: if no channel is PET, or the image has other channels.
    """
    kinds = kinds_of(channels)
    if "PET" not in kinds:
        told = ", ".join(f"{channel.name} ({channel.kind})" for channel in channels)
        raise ShapeError(f"there is no PET channel among {told}")
    if images.ndim != 4 or images.shape[1] != len(channels):
        raise ShapeError(f"images must be (n, {len(channels)}, y, x), got {images.shape}")
    pet = images[:, kinds.index("PET")]
    if "CT" not in kinds:
        return np.stack([uptake_histogram(pet), np.zeros(BINS, dtype=np.int64)])
    ct = images[:, kinds.index("CT")]
    return np.stack(
        [uptake_histogram(pet, ct > BODY_HU), uptake_histogram(pet, lies_in_soft_tissue(ct))]
    )


def subject_level(counts: NDArray[np.int64], modality: str) -> float:
    """Return the subject's lesion level of uptake, in the PET channel's unit.

    It is read from soft tissue; where CT shows next to none, from the body.

    Args:
        counts: (2, 2560) from `subject_histogram`, added over the scan.
        modality: of the protocol.

    Raises:
        ShapeError: if no pixel with PET data lies in the body.
    """
    body, soft = counts
    enough = int(soft.sum()) >= LEAST_SOFT_SHARE * int(body.sum()) > 0
    return uptake_of(soft if enough else body, has_air=modality != "PETCT").lesion
