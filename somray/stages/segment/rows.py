"""What is asked of a brick of a scan, and the rows of `slices` that its mask gives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.tables import SliceRow
from somray.kernels.metrics.area import target_figures

__all__ = ["BrickItem", "slice_rows"]


@dataclass(frozen=True)
class BrickItem:
    """One brick of one scan.

    Args:
        place: the scan.
        target: class whose area is reported.
        brick: what is segmented.
        level: the scan's own level of uptake, where a channel is PET.
        windows: per channel, for the student: the protocol's, with PET's at the scan's level.
        threads: for the network.
        value: of the target, in labels/som and labels/student.
        confidence: whether the student writes labels/confidence too.
        gpu: whether the student computes on a GPU, where there is one.
    """

    place: ScanPlace
    target: str
    brick: Brick
    level: float | None = None
    windows: tuple[tuple[float, float], ...] | None = None
    threads: int = 1
    value: int = 3
    confidence: bool = False
    gpu: bool = False


def slice_rows(
    item: BrickItem,
    method: str,
    target: NDArray[np.bool_],
    confidence: NDArray[np.float32],
    pixel_mm2: float,
) -> list[SliceRow]:
    """Make a row per slice of a brick.

    Args:
        item: the brick.
        method: whose mask it is.
        target: (z, y, x), the mask.
        confidence: (z, y, x) in [0, 1].
        pixel_mm2: area of a pixel.
    """
    rows = []
    for n, mask in enumerate(target):
        mean = float(confidence[n][mask].mean(dtype=np.float64)) if mask.any() else None
        rows.append(
            SliceRow(
                subject=item.place.subject,
                session=item.place.session,
                method=method,
                t=item.brick.t,
                z=item.brick.z0 + n,
                confidence=mean,
                **target_figures(mask, pixel_mm2),
            )
        )
    return rows
