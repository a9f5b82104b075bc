"""What `somray finetune` trained, asked from memory: the voxels of `somray apply --method finetuned`."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from somray.kernels.student.spacing import at_shape, shape_at
from somray.kernels.student.window import window_parts
from somray.stages.finetune.judge import view_of_segmenter
from somray.stages.reading.volume import ScanVolume

if TYPE_CHECKING:
    from somray.kernels.pretrain.segmenter import SegmenterAtWork  # torch

__all__ = ["tuned_slice", "tuned_volume"]


def tuned_slice(
    segmenter: "SegmenterAtWork",
    image: NDArray[np.float32],
    spacing_mm: tuple[float, float],
    threads: int = 1,
) -> NDArray[np.float32]:
    """Let a segmenter of slices see one, in the parts that `stages.pretrain.images` cuts large ones into.

    Args:
        segmenter: sees slices.
        image: (c, y, x) physical values, NaN where there is no data.
        spacing_mm: between pixels along (y, x).
        threads: of a CPU; the result does not depend on them.

    Returns:
        (y, x) probabilities of the target, 0 where there is no data.
    """
    _, rows, columns = image.shape
    found = np.zeros((rows, columns), dtype=np.float32)
    for window in window_parts((rows, columns)):
        part = image[:, *window]
        own = (part.shape[1], part.shape[2])
        seen = at_shape(part, shape_at(own, spacing_mm, segmenter.model.spacing_mm))
        chance = segmenter.chance(np.ascontiguousarray(seen), threads=threads)
        found[window] = at_shape(chance[None], own)[0]
    found[~np.isfinite(image).all(axis=0)] = 0.0
    return found


def tuned_volume(
    segmenter: "SegmenterAtWork", seen: ScanVolume, threads: int = 1
) -> NDArray[np.float32]:
    """Let a segmenter of volumes see a time point on its grid; return (z, y, x) probabilities there."""
    values = np.ascontiguousarray(seen.means[:-1])
    return segmenter.chance(values, view_of_segmenter(segmenter.model).windows_of(values), threads)
