"""Scans with a truth, as a segmenter learns from them; the one place beside the `truth` stage that reads a truth.

What is learned is the union of the mask's labels, at t 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.io.masks.rtstruct import check_frame
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.student.training.patches import Example
from somray.kernels.student.views import ImageViews
from somray.kernels.student.window import MOST_PIXELS
from somray.stages.finetune.held_truth import HeldTruth
from somray.stages.pretrain.images import EncoderView, scan_images, spread_slices

__all__ = ["LabelledScan", "examples_of", "truth_of", "values_each"]

MOST_VALUES = 2**28
"""Of all examples together, channels and masks of all scans: 1 GiB."""
FEWEST_SLICES = 4  # of a scan, however many scans there are
EMPTY_SHARE = 1 / 3  # of a scan's slices that are chosen for showing no target


@dataclass(frozen=True)
class LabelledScan:
    """A scan of a run and its truth.

    Args:
        place: the scan.
        path: of the label mask, in any readable format, on any grid.
        source: of the scan's first channel, for its frame of reference; None where unknown.
    """

    place: ScanPlace
    path: str
    source: str | None = None

    @property
    def name(self) -> str:
        """What its units are called."""
        return f"sub-{self.place.subject}_ses-{self.place.session}"


def truth_of(scan: LabelledScan) -> HeldTruth:
    """Lay a truth aside on its scan's own voxels; to be closed.

    Raises:
        DataError: it cannot be read, or lies elsewhere.
    """
    check_frame(scan.path, scan.source)
    meta = read_meta(Storage.at(scan.place.root), scan.place.name)
    return HeldTruth.of(scan.path, meta.geometry, meta.shape[0])


def examples_of(
    scan: LabelledScan, truth: HeldTruth, view: EncoderView, most_values: int
) -> list[Example]:
    """Return what is learned from one scan: its volume, or some of its slices, with target and without.

    Args:
        scan: the scan.
        truth: `truth_of` it.
        view: how it is looked at.
        most_values: that its slices may take.
    """
    place = scan.place

    def share(box: Brick) -> NDArray[np.float32]:
        return truth.read(box).astype(np.float32)

    slices = None if view.dimensions == 3 else _slices(truth, len(view.kinds), most_values)
    found = []
    for image in scan_images(place, view, share, slices=slices):
        known: NDArray[np.bool_] = np.asarray(np.isfinite(image.values).all(axis=0))
        target: NDArray[np.float32] = np.zeros(known.shape, dtype=np.float32)
        if image.extra is not None:
            target[known] = np.nan_to_num(image.extra[known])
        views = ImageViews(view.kinds, image.windows)
        found.append(Example(image.values, target, known.astype(np.float32), views))
    return found


def values_each(scans: Sequence[LabelledScan]) -> int:
    """Return how many values the slices of each of so many scans may take."""
    return MOST_VALUES // max(1, len(scans))


def _slices(truth: HeldTruth, channels: int, most_values: int) -> tuple[int, ...]:
    """Choose slices with target and without, each evenly spread."""
    depth, rows, columns = truth.shape
    held = min(rows * columns, MOST_PIXELS)  # of larger slices a part is learned from
    most = max(FEWEST_SLICES, min(most_values // (held * (channels + 2)), depth))
    full, empty = np.flatnonzero(truth.shown), np.flatnonzero(~truth.shown)
    bare = min(len(empty), max(int(most * EMPTY_SHARE), most - len(full)))
    shown = min(len(full), most - bare)
    chosen = [*full[list(spread_slices(len(full), shown))]] if shown else []
    chosen += [*empty[list(spread_slices(len(empty), bare))]] if bare else []
    return tuple(sorted(int(z) for z in chosen))
