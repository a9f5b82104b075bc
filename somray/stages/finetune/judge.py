"""How well a mask meets a truth, on the scan's own voxels: a segmenter's, or a label group of the run."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.segmenter import SegmenterModel
from somray.io.ome.image import read_label_brick, read_meta
from somray.io.storage import Storage
from somray.kernels.metrics.overlap import agreement_of_counts
from somray.stages.pretrain.images import EncoderView, drawn, scan_images

__all__ = ["THRESHOLD", "figures", "labelled_as", "segmented", "view_of_segmenter"]

THRESHOLD = 0.5
"""Probability from which a segmenter says target."""

Mask = NDArray[np.bool_]
Pieces = Iterator[tuple[Brick, Mask]]


def view_of_segmenter(model: SegmenterModel) -> EncoderView:
    """Return how a segmenter looks at scans."""
    dimensions = 3 if model.sees_volumes else 2
    return EncoderView(dimensions, model.spacing_mm, model.kinds, model.windows)


def segmented(place: ScanPlace, model: SegmenterModel, t: int = 0, threads: int = 1) -> Pieces:
    """Segment a time point of a scan; yield where, and the target (z, y, x) there, on its own voxels."""
    from somray.kernels.pretrain.segmenter import segmenter_chance  # torch: only here

    for image in scan_images(place, view_of_segmenter(model), t=t, whole=True):
        chance = segmenter_chance(model, image.values, image.windows, threads)
        for box, values, known in drawn(place, image, chance):
            yield box, np.asarray((values >= THRESHOLD) & known)


def labelled_as(place: ScanPlace, group: str) -> Pieces:
    """Yield where, and what any label of a group covers there, at t 0."""
    storage = Storage.at(place.root)
    for brick in read_meta(storage, place.name).bricks(0):
        yield brick, np.asarray(read_label_brick(storage, place.name, group, brick) > 0)


def figures(pieces: Pieces, truth: Mask) -> dict[str, float | None]:
    """Count how a mask meets a truth (z, y, x): dice, iou, precision, recall, as the table `truth` has them."""
    both = predicted = 0
    for box, mask in pieces:
        both += int(np.count_nonzero(mask & truth[box.box]))
        predicted += int(np.count_nonzero(mask))
    found = agreement_of_counts(both, predicted, int(np.count_nonzero(truth)), truth.size)
    return {name: found[name] for name in ("dice", "iou", "precision", "recall")}
