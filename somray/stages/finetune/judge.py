"""How well a mask meets a truth, on the scan's own voxels: a segmenter's, or a label group of the run."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.segmenter import SegmenterModel
from somray.io.ome.image import read_label_brick, read_meta
from somray.io.storage import Storage
from somray.kernels.metrics.overlap import agreement_of_counts
from somray.stages.finetune.held_truth import HeldTruth
from somray.stages.pretrain.images import EncoderView, drawn, scan_images

__all__ = [
    "THRESHOLD",
    "figures",
    "labelled_as",
    "segmented",
    "segmented_bricks",
    "view_of_segmenter",
]

THRESHOLD = 0.5
"""Probability from which a segmenter says target."""

Mask = NDArray[np.bool_]
Pieces = Iterator[tuple[Brick, Mask]]


def view_of_segmenter(model: SegmenterModel) -> EncoderView:
    """Return how a segmenter looks at scans."""
    dimensions = 3 if model.sees_volumes else 2
    return EncoderView(dimensions, model.spacing_mm, model.kinds, model.windows)


def segmented(
    place: ScanPlace,
    model: SegmenterModel,
    t: int = 0,
    slices: Sequence[int] | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> Pieces:
    """Segment a time point of a scan; yield where, and the target (z, y, x) there, on its own voxels.

    Args:
        place: the scan.
        model: a trained segmenter.
        t: time index.
        slices: the only ones, where it sees slices; all where None.
        threads: of a CPU; the result does not depend on them.
        device: where torch computes.
    """
    from somray.kernels.pretrain.segmenter import SegmenterAtWork  # torch: only here

    segmenter = SegmenterAtWork(model, device)
    for image in scan_images(place, view_of_segmenter(model), slices=slices, t=t, whole=True):
        chance = segmenter.chance(image.values, image.windows, threads)
        for box, values, known in drawn(place, image, chance):
            yield box, np.asarray((values >= THRESHOLD) & known)


def segmented_bricks(place: ScanPlace, model: SegmenterModel, t: int) -> Pieces:
    """Segment a time point as `segmented` does; yield every brick of the scan, as they are written.

    Of a model of slices a slab is held, a byte a voxel.
    """
    if model.sees_volumes:
        yield from segmented(place, model, t)
        return
    meta = read_meta(Storage.at(place.root), place.name)
    for (z0, z1), bricks in groupby(meta.bricks(t), key=lambda brick: (brick.z0, brick.z1)):
        slab = np.zeros((z1 - z0, *meta.shape[3:]), dtype=bool)
        for box, target in segmented(place, model, t, range(z0, z1)):
            slab[box.z0 - z0 : box.z1 - z0, box.y0 : box.y1, box.x0 : box.x1] = target
        for brick in bricks:
            yield brick, slab[:, brick.y0 : brick.y1, brick.x0 : brick.x1]


def labelled_as(place: ScanPlace, group: str) -> Pieces:
    """Yield where, and what any label of a group covers there, at t 0."""
    storage = Storage.at(place.root)
    for brick in read_meta(storage, place.name).bricks(0):
        yield brick, np.asarray(read_label_brick(storage, place.name, group, brick) > 0)


def figures(pieces: Pieces, truth: HeldTruth) -> dict[str, float | None]:
    """Count how a mask meets a truth: dice, iou, precision, recall, as the table `truth` has them."""
    both = predicted = 0
    for box, mask in pieces:
        both += int(np.count_nonzero(mask & truth.read(box)))
        predicted += int(np.count_nonzero(mask))
    found = agreement_of_counts(both, predicted, truth.voxels, math.prod(truth.shape))
    return {name: found[name] for name in ("dice", "iou", "precision", "recall")}
