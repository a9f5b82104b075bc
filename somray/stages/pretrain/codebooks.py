"""Further codebooks of a teacher's features: maps of the same reference from other starts, several targets at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.teacher import TeacherModel
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.errors import DataError, ShapeError
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.som.arrays import Training, fit
from somray.stages.pretrain.images import EncoderView, scan_images
from somray.stages.pretrain.nodes import NodeMaps

__all__ = ["CodebookItem", "codebooks_of", "needs", "run"]

REFERENCE_SLICES = 8
"""Of the reference that further maps are fitted on, at most."""
FINAL_RADIUS = 0.15
"""As the teacher's map is fitted (`kernels.teacher.fit`)."""


@dataclass(frozen=True)
class CodebookItem:
    """What further maps are fitted on.

    Args:
        place: the scan that the teacher was fitted on first.
        slices: the reference's.
        level: the scan's own level of uptake, where a channel is PET.
        count: how many, beside the teacher's own.
        seed: draws where they start.
    """

    place: ScanPlace
    slices: tuple[int, ...]
    level: float | None
    count: int
    seed: int


def needs(tile_bytes: int, dimensions: int = 2) -> Needs:
    """Declare what fitting takes: all features of the slices that are looked at.

    Args:
        tile_bytes: of one slice of a brick with all channels.
        dimensions: of the teacher.
    """
    planes = (40 if dimensions == 2 else 200) + 24 * REFERENCE_SLICES
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + planes * tile_bytes)


def run(item: CodebookItem, shared: TeacherModel) -> Result:
    """Fit further maps, each from another draw of samples.

    Returns:
        Value: `nodes`, (k, f) of each.

    Raises:
        DataError: the reference shows nothing to fit on.
    """
    maps, book = NodeMaps(shared), shared.codebook
    samples = np.concatenate([_samples(item, maps, z) for z in item.slices[:REFERENCE_SLICES]])
    training = Training(
        "samples", FINAL_RADIUS, rare=True, topology=book.topology, wraps=book.wraps
    )
    try:
        found = [
            fit(samples, book.grid, item.seed + n, training=training)
            for n in range(1, item.count + 1)
        ]
    except ShapeError as error:
        raise DataError("not_fittable", f"no further codebook can be fitted: {error}") from error
    return Result(value={"nodes": [one.weights.tolist() for one in found]})


def _samples(item: CodebookItem, maps: NodeMaps, z: int) -> NDArray[np.float32]:
    """Return the samples (n, f) of a reference slice; of a large one, the part that shows most data."""
    teacher = maps.teacher
    view = EncoderView(2, teacher.spacing_mm, (), teacher.windows)
    (image,) = scan_images(item.place, view, slices=(z,))
    meta = read_meta(Storage.at(item.place.root), item.place.name)
    where = image.where if meta.is_cut else Brick.of_slices(0, z, z + 1, meta.shape[3:])
    (found,) = maps.samples(item.place, where, item.level)
    return found


def codebooks_of(told: Mapping[str, Any]) -> tuple[NDArray[np.float32], ...]:  # Any: JSON
    """Return the nodes (k, f) that `run` told of."""
    return tuple(np.array(nodes, dtype=np.float32) for nodes in told["nodes"])
