"""What is asked of a brick of a scan, and the rows of `slices` and `areas` that its mask gives.

A slice that is cut into tiles is counted tile by tile, and its rows are made when its labels are closed. Counts
are whole numbers, so that they are those of the whole slice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.tables import AreaRow, Row, SliceRow
from somray.domain.work import Result
from somray.io.ome.image import read_meta
from somray.io.storage import Storage
from somray.kernels.features.piece import SliceScale
from somray.kernels.metrics.area import SURE_STEPS, area_figures, count_labels, target_figures
from somray.stages.segment.labels import LabelItem, close_labels

__all__ = [
    "BrickItem",
    "CountedItem",
    "SliceCount",
    "class_rows",
    "close_counted",
    "count_slices",
    "joined_counts",
    "slice_rows",
]


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
        scales: of the slices that are seen, where these are cut into tiles (`scales.scales_for`).
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
    scales: tuple[SliceScale, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class SliceCount:
    """Pixels of a slice, or of a part of it.

    Args:
        t: time index.
        z: slice.
        pixels: how many.
        labels: how many of each label, (256,).
        sure: the target's confidence added up, in steps of 1 / `SURE_STEPS`.
    """

    t: int
    z: int
    pixels: int
    labels: tuple[int, ...]
    sure: int

    def __add__(self, other: "SliceCount") -> "SliceCount":
        """Join two parts of a slice."""
        labels = tuple(a + b for a, b in zip(self.labels, other.labels, strict=True))
        return SliceCount(
            self.t, self.z, self.pixels + other.pixels, labels, self.sure + other.sure
        )

    def as_json(self) -> list[Any]:
        """Return plain numbers, labels as pairs of those that there are."""
        labels = [[value, count] for value, count in enumerate(self.labels) if count]
        return [self.t, self.z, self.pixels, labels, self.sure]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> "SliceCount":
        """Read what `as_json` wrote."""
        t, z, pixels, pairs, sure = data
        labels = [0] * 256
        for value, count in pairs:
            labels[value] = count
        return cls(t, z, pixels, tuple(labels), sure)


@dataclass(frozen=True)
class CountedItem:
    """A label group of a scan whose slices are cut into tiles.

    Args:
        label: the group, with its classes.
        target: label of the class whose area is reported.
        counts: what bricks counted, `SliceCount.as_json`.
    """

    label: LabelItem
    target: int
    counts: tuple[Sequence[Any], ...] = field(repr=False)


def count_slices(
    brick: Brick, labels: NDArray[np.uint8], confidence: NDArray[np.float32], target: int
) -> list[SliceCount]:
    """Count the labels (z, y, x) of a brick, slice by slice."""
    found = []
    for n, (plane, certain) in enumerate(zip(labels, confidence, strict=True)):
        counts, sure = count_labels(plane, certain, target)
        values = tuple(int(count) for count in counts)
        found.append(SliceCount(brick.t, brick.z0 + n, plane.size, values, sure))
    return found


def joined_counts(parts: Iterable[SliceCount]) -> list[SliceCount]:
    """Join the parts of each slice; slices by t and z."""
    found: dict[tuple[int, int], SliceCount] = {}
    for part in parts:
        key = part.t, part.z
        found[key] = found[key] + part if key in found else part
    return [found[key] for key in sorted(found)]


def class_rows(
    place: ScanPlace,
    counts: Sequence[SliceCount],
    classes: Mapping[int, str],
    target: int,
    pixel_mm2: float,
    method: str = "som",
) -> dict[str, Sequence[Row]]:
    """Make the rows of `slices` of whole slices, and of direct transfer (som) those of `areas`."""
    slices, areas = [], []
    named = {"subject": place.subject, "session": place.session}
    for count in counts:
        where: dict[str, Any] = {**named, "t": count.t, "z": count.z}
        known = count.labels[target]
        mean = count.sure / (known * SURE_STEPS) if known else None
        figures = area_figures(known, count.pixels, pixel_mm2)
        slices.append(SliceRow(**where, method=method, confidence=mean, **figures))
        for value, name in sorted(classes.items()):
            area = float(count.labels[value] * pixel_mm2)
            fraction = float(count.labels[value] / count.pixels)
            areas.append(AreaRow(**where, class_name=name, area_mm2=area, fraction=fraction))
    return {"slices": slices, "areas": areas} if method == "som" else {"slices": slices}


def close_counted(item: CountedItem, shared: object = None) -> Result:
    """Close the labels of a scan that is cut into tiles; rows of `slices` and `areas`."""
    close_labels(item.label)
    place = item.label.place
    _, dy, dx = read_meta(Storage.at(place.root), place.name).geometry.spacing_mm
    counts = joined_counts(SliceCount.from_json(one) for one in item.counts)
    classes = dict(item.label.classes)
    method = item.label.label
    return Result(rows=class_rows(place, counts, classes, item.target, dy * dx, method))


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
