"""What `somray finetune` trained, asked from memory: the voxels of `somray apply --method finetuned`."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from somray.domain.segmenter import SegmenterModel
from somray.io.ome.image import slabs
from somray.kernels.student.spacing import at_shape, shape_at
from somray.kernels.student.window import MOST_PIXELS, SIDE
from somray.stages.finetune.judge import view_of_segmenter
from somray.stages.reading.volume import ScanVolume

__all__ = ["tuned_slice", "tuned_volume"]


def tuned_slice(
    model: SegmenterModel,
    image: NDArray[np.float32],
    spacing_mm: tuple[float, float],
    threads: int = 1,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Let a segmenter of slices see one, in the parts that `stages.pretrain.images` cuts large ones into.

    Args:
        model: sees slices.
        image: (c, y, x) physical values, NaN where there is no data.
        spacing_mm: between pixels along (y, x).
        threads: of a CPU; the result does not depend on them.
        device: where torch computes.

    Returns:
        (y, x) probabilities of the target, 0 where there is no data.
    """
    from somray.kernels.pretrain.segmenter import segmenter_chance  # torch: only here

    _, rows, columns = image.shape
    found = np.zeros((rows, columns), dtype=np.float32)
    side = max(rows, columns) if rows * columns <= MOST_PIXELS else SIDE
    for (y0, y1), (x0, x1) in product(slabs(rows, side), slabs(columns, side)):
        part = image[:, y0:y1, x0:x1]
        shape = shape_at((y1 - y0, x1 - x0), spacing_mm, model.spacing_mm)
        seen = np.ascontiguousarray(at_shape(part, shape))
        chance = segmenter_chance(model, seen, model.windows, threads, device)
        found[y0:y1, x0:x1] = at_shape(chance[None], (y1 - y0, x1 - x0))[0]
    found[~np.isfinite(image).all(axis=0)] = 0.0
    return found


def tuned_volume(
    model: SegmenterModel, seen: ScanVolume, threads: int = 1, device: str = "cpu"
) -> NDArray[np.float32]:
    """Let a segmenter of volumes see a time point on its grid; return (z, y, x) probabilities there."""
    from somray.kernels.pretrain.segmenter import segmenter_chance  # torch: only here

    values = np.ascontiguousarray(seen.means[:-1])
    windows = view_of_segmenter(model).windows_of(values)
    return segmenter_chance(model, values, windows, threads, device)
