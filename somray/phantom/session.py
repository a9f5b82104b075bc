"""What a synthetic scan is made of: images, geometries, true lesions, true movement, true changes.

Images are (z, y, x) float32 in physical values; affines take (x, y, z, 1) to LPS mm. This is the truth
as drawn, not as any method would find it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry

__all__ = ["CHANNELS", "REGIONS", "FloatArray", "PhantomEvent", "PhantomSession"]

FloatArray = NDArray[np.float32]

CHANNELS: dict[str, tuple[str, ...]] = {"ct": ("CT",), "petct": ("CT", "PET"), "xct": ("XCT",)}
"""Modality to its channels, the first one carrying the lesion mask."""


REGIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "trunk": CHANNELS,
    "body": {"petct": ("CT", "PET"), "pet": ("PET",)},
    "head": {"mr": ("MR",)},
}
"""Region to its modalities, the default first, and their channels."""


@dataclass(frozen=True)
class PhantomEvent:
    """One true change of one lesion between two consecutive sessions, in the words of `evolution`.

    Args:
        change: new, resolved, enlarging, shrinking, stable, merged or split.
        lesion_id: identity over all sessions of the subject, from 1.
        from_session: number of the earlier session, from 0.
        to_session: number of the later session.
        linked_ids: absorbed lesions (survivor's row), the survivor (absorbed lesion's row), or the
            parts that left (split).
        volume_from_mm3: volume of the mask before; None when new.
        volume_to_mm3: volume of the mask after; None when resolved or absorbed.
    """

    change: str
    lesion_id: int
    from_session: int
    to_session: int
    linked_ids: tuple[int, ...] = ()
    volume_from_mm3: float | None = None
    volume_to_mm3: float | None = None


@dataclass(frozen=True, eq=False)
class PhantomSession:
    """One synthetic scan with its truth.

    Args:
        index: number of the session, from 0.
        images: channel to (z, y, x) float32 in HU (CT), SUV (PET), counts (XCT) or arbitrary (MR).
        geometries: channel to its grid; PET has its own, coarser one.
        lesions: (z, y, x) int32 on the first channel's grid; 0 none, else the lesion's identity,
            the same in every session.
        movement: (4, 4) LPS mm, takes a point of the anatomy in session 0 to where it is now.
        jitter_mm: (z, 2) shift of each slice of the first channel along x and y, on top of
            `movement`.
        events: what changed since the session before; empty in session 0.
        physiology: (z, y, x) uint8 on the first channel's grid: which structure each voxel belongs to,
            by the numbers of `names`; None where the region keeps none.
        names: number to structure.
        notes: lesion identity to its region and kind (solid, faint, cold_core).
    """

    index: int
    images: Mapping[str, FloatArray]
    geometries: Mapping[str, Geometry]
    lesions: NDArray[np.int32]
    movement: NDArray[np.float64]
    jitter_mm: NDArray[np.float64]
    events: tuple[PhantomEvent, ...] = field(default=())
    physiology: NDArray[np.uint8] | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    notes: Mapping[int, tuple[str, str]] = field(default_factory=dict)
