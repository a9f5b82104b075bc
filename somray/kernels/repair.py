"""Voxels that hold no measurement: found, replaced by the channel's background, counted.

NaN, infinities, and padding: what a scanner writes where it cannot measure. Padding outside the circle
that a scanner reconstructs is how CT slices are stored and no damage; it is counted apart.

A slice is repaired by itself, whole or part by part: what a part must know of its whole slice are `SliceFacts`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Place", "Repair", "SliceFacts", "repair", "slice_facts"]

AIR_HU = -1000.0
AIR_MARGIN_HU = 100.0  # declared padding this close to air needs no repair
CIRCLE = 0.95  # of the radius; a GE series in the test data is padded from 0.957 on
BODY_HU = 2000.0  # above it lie enamel and metal alone
PADDING_HU = -1500.0
"""At or below it CT holds no tissue and no air, not even noisy or overshooting air (-1255 in real data):
values outside the scanner's circle, such as -1500, -2000 or -3024."""


@dataclass(frozen=True)
class Repair:
    """What was done to some slices.

    Args:
        values: (z, y, x), the input itself where nothing had to be done.
        counts: code to voxels replaced: nan_filled, inf_filled, padding_filled.
        by_design: of these, padding outside the scanner's circle.
    """

    values: NDArray[np.float32]
    counts: dict[str, int] = field(default_factory=dict)
    by_design: int = 0


@dataclass(frozen=True)
class Place:
    """Where slices, or parts of them, lie in their volume.

    Args:
        first: (z, y, x) of the first voxel.
        shape: (z, y, x) of the volume.
        axial: the two of its axes (0 is z) that a scanner's circle lies in; not y and x in sagittal and coronal slices.
    """

    first: tuple[int, int, int] = (0, 0, 0)
    shape: tuple[int, int, int] = (1, 1, 1)
    axial: tuple[int, int] = (1, 2)

    def outside_circle(self, z: int, plane: tuple[int, ...]) -> NDArray[np.bool_]:
        """Mark the pixels (y, x) of slice `z` from the first that lie outside the ellipse inscribed in the volume."""
        at = (np.full((1, 1), z), np.arange(plane[0])[:, None], np.arange(plane[1])[None, :])
        along = [
            (2 * (start + index) + 1) / count - 1
            for index, start, count in zip(at, self.first, self.shape, strict=True)
        ]
        one, other = (along[axis] for axis in self.axial)
        return np.broadcast_to(one * one + other * other > CIRCLE * CIRCLE, plane)


_SLICES = Place()


@dataclass(frozen=True)
class SliceFacts:
    """What a part of a slice must know of the whole.

    Args:
        box: first and last row, first and last column that hold a finite value; None where there is none.
        lowest: least finite value, infinite where there is none.
    """

    box: tuple[int, int, int, int] | None = None
    lowest: float = np.inf

    def join(self, other: "SliceFacts") -> "SliceFacts":
        """Return the facts of two parts of one slice, in any order."""
        if self.box is None or other.box is None:
            return self if other.box is None else other
        (a, b, c, d), (e, f, g, h) = self.box, other.box
        box = min(a, e), max(b, f), min(c, g), max(d, h)
        return SliceFacts(box, min(self.lowest, other.lowest))


def slice_facts(values: NDArray[np.float32], corner: tuple[int, int] = (0, 0)) -> SliceFacts:
    """Return the facts of a slice, or of a part (y, x) of it that begins at a corner."""
    finite = np.isfinite(values)
    box = _box(finite)
    if box is None:
        return SliceFacts()
    y, x = corner
    return SliceFacts((box[0] + y, box[1] + y, box[2] + x, box[3] + x), float(values[finite].min()))


def _box(known: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    if not rows.size:
        return None
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def repair(
    values: NDArray[np.float32],
    kind: str,
    padding: float | None = None,
    *,
    outside_is_nan: bool = False,
    whole: Callable[[int], SliceFacts] | None = None,
    place: Place = _SLICES,
) -> Repair:
    """Replace what was never measured by the channel's background.

    Args:
        values: (z, y, x) physical values.
        kind: what the channel measures: CT, PET or another modality.
        padding: value that the header declares for padding.
        outside_is_nan: NaN means "no data" and stays.
        whole: where slices are cut, the facts of one by its number in `values`; asked only where it is needed.
        place: of `values` in their volume; its shape counts only where slices are not axial.

    Returns:
        Repaired values and counts; each slice is repaired by itself, so slabs may be cut anywhere.
    """
    if _is_sound(values, kind, padding):
        return Repair(values)
    padded = _padding(values, kind, padding)
    faults = {"inf_filled": np.isinf(values), "padding_filled": padded}
    if not outside_is_nan:
        faults["nan_filled"] = np.isnan(values)
    is_met = np.logical_or.reduce([mask.any(axis=(1, 2)) for mask in faults.values()])
    by_design = 0
    repaired = values.copy() if is_met.any() else values
    for z in np.flatnonzero(is_met):
        facts = slice_facts(values[z]) if whole is None else whole(int(z))
        if padded[z].any():
            outside = _outside(facts.box, padded[z].shape, place.first[1:])
            if place.axial != _SLICES.axial:
                outside |= place.outside_circle(int(z), padded[z].shape)
            if _is_in_body(kind, padding):  # within the circle it is what was measured
                padded[z] &= outside | (values[z] <= PADDING_HU)
            by_design += int(np.count_nonzero(padded[z] & outside))
        bad = np.logical_or.reduce([mask[z] for mask in faults.values()])
        repaired[z][bad] = _background(facts, kind)
    counts = {code: int(np.count_nonzero(mask)) for code, mask in faults.items()}
    return Repair(repaired, {code: count for code, count in counts.items() if count}, by_design)


def _is_sound(values: NDArray[np.float32], kind: str, declared: float | None) -> bool:
    """Tell from the extremes alone, which costs next to nothing, that there is nothing to replace."""
    low, high = float(values.min()), float(values.max())  # NaN where one is NaN
    if not (np.isfinite(low) and np.isfinite(high)):
        return False
    is_above = kind != "CT" or low > PADDING_HU
    return is_above and (declared is None or not low <= np.float32(declared) <= high)


def _padding(values: NDArray[np.float32], kind: str, declared: float | None) -> NDArray[np.bool_]:
    """Find voxels that were never measured: below all HU, or with the value the header declares."""
    if kind == "CT":
        found = np.isfinite(values) & (values <= PADDING_HU)
        if declared is not None and abs(declared - AIR_HU) > AIR_MARGIN_HU:
            found |= values == np.float32(declared)
        return np.asarray(found)
    if kind == "PET" and declared is not None and declared < 0:
        return np.asarray(values == np.float32(declared))
    return np.zeros(values.shape, dtype=bool)


def _is_in_body(kind: str, declared: float | None) -> bool:
    """Whether tissue has the value that a header declares for padding, such as 0 where HU are stored as they are."""
    return kind == "CT" and declared is not None and AIR_HU + AIR_MARGIN_HU < declared < BODY_HU


def _background(facts: SliceFacts, kind: str) -> float:
    """Return what stands where nothing was measured: air for CT, nothing for PET, else the darkest."""
    if kind == "CT":
        return AIR_HU
    return 0.0 if kind == "PET" or facts.box is None else facts.lowest


def _outside(
    box: tuple[int, int, int, int] | None, shape: tuple[int, ...], corner: tuple[int, int]
) -> NDArray[np.bool_]:
    """Mark the pixels of a part of a slice that lie outside the ellipse inscribed in a box of the whole."""
    if box is None:
        return np.ones(shape, dtype=bool)
    inside = []
    for first, last, start, size in zip(box[::2], box[1::2], corner, shape, strict=True):
        count = last - first + 1
        at = np.arange(start - first, start - first + size)
        along = (2 * at + 1) / count - 1  # -1 to 1 over the box
        inside.append(np.where((at >= 0) & (at < count), along, np.inf))
    y, x = inside[0][:, None], inside[1][None, :]
    return np.asarray(y * y + x * x > CIRCLE * CIRCLE)
