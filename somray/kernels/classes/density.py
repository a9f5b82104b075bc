"""Beside PET: what CT alone says of the pixels that are not hot, told pixel by pixel.

A PET/CT map looks at CT between air and soft tissue only, and little at its edges, so that a lesion is
found alike everywhere (`windows.PETCT_WINDOW`): its nodes cannot tell fat from muscle, lung from air or bone
from tissue. CT's own scale can. Where the map says background, normal or boundary, HU decide instead;
lesion and physiological stay what the map says, to the pixel:

    boundary    CT, averaged over 3 mm, rises by more than 200 HU within 3 mm, at a value between gas and
                bone: skin, the lung's surface, the rim of bone; what is half one and half the other
    lung        below -200 HU, in a region of at least 4 cm² within the slice, most of whose even part is
                denser than -900 HU. What the slice's border cuts is air: foam and blankets beside a body
                (-718, -745 HU in two sarcoma subjects) are as dense as lung that a crop has cut
    background  the rest below -200 HU: air around the body, gas within it
    fat         -200 to -30 HU
    dense       above 130 HU: bone, calcium, contrast agent
    normal      the rest: soft tissue, and water

Nothing is asked but the slice itself, so a slab's classes are those of the whole scan.
"""

from collections.abc import Container, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import FURTHER
from somray.errors import ShapeError
from somray.kernels.classes.contrast import FAT_HU, LUNG_HU, SOFT_HU
from somray.kernels.classes.rule import BACKGROUND, BOUNDARY, NORMAL
from somray.kernels.compiled import compiled

__all__ = [
    "DENSITY_CLASSES",
    "DENSITY_REASONS",
    "density_facts",
    "retold_values",
    "tell_by_density",
]

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]
Runs = NDArray[np.int32]

FAT, LUNG, DENSE = FURTHER["fat"], FURTHER["lung"], FURTHER["dense"]

DENSITY_CLASSES = {value: name for name, value in FURTHER.items() if value in (FAT, LUNG, DENSE)}
"""Classes that a PET/CT map has beside those of its nodes."""

RETOLD = {BACKGROUND: "background", NORMAL: "normal", BOUNDARY: "boundary"}
"""Classes of nodes whose pixels CT tells anew."""

AIR_HU = -1000.0
GAS_HU = -900.0
"""Gas lies below, lung above; most of a region's even pixels decide, since those at its rim are half tissue
(lungs of three CT scans: median -848 to -744; bowel gas there and in a sarcoma subject: -963 to -923. The lungs
of a fourth, hyperinflated, -941 to -933, are taken for gas)."""

LEAST_LUNG_MM2 = 400.0
"""Smaller pockets are gas for all that can be said: hardly a pixel of them is even."""

MEAN_MM = 3.0
"""CT is averaged over a square about as wide: noise of 40 HU becomes 13, a rib's cortex is still seen."""

STEEP_HU = 200.0
"""Rise within `MEAN_MM` above which a pixel is boundary: more than fat differs from muscle."""

BETWEEN_HU = LUNG_HU[1]
"""A boundary is denser than this: what is half gas and half tissue, not the lung beside it."""

_OPEN = 255
"""Stands for lung or background until its region is known."""

_WHERE = "by CT (mean over 3 mm), pixel by pixel, where the map says nothing hot: "

DENSITY_REASONS = {
    "background": f"{_WHERE}below {FAT_HU[0]:g} HU and not lung: air around the body, gas within it",
    "normal": f"{_WHERE}soft tissue and water, {FAT_HU[1]:g} to {SOFT_HU[1]:g} HU",
    "boundary": f"{_WHERE}a rise of more than {STEEP_HU:g} HU within {MEAN_MM:g} mm, between gas and bone",
    "fat": f"{_WHERE}{FAT_HU[0]:g} to {FAT_HU[1]:g} HU",
    "lung": (
        f"{_WHERE}below {FAT_HU[0]:g} HU, in a region of {LEAST_LUNG_MM2 / 100:g} cm² or more within the slice, most "
        f"of its even part denser than {GAS_HU:g} HU (lung that the slice's border cuts is background)"
    ),
    "dense": f"{_WHERE}above {SOFT_HU[1]:g} HU: bone, calcium or contrast agent",
}
"""Class name to the rule that told it, for the report."""


def density_facts(
    kinds: Sequence[str], target: str, by_person: Container[str] = ()
) -> dict[str, float]:
    """Decide which classes CT tells anew, as facts that the model keeps (`TeacherModel.extra`).

    Args:
        kinds: what each channel measures; none is told anew without both CT and PET.
        target: class that the student learns; what it learns comes from nodes, so where it is one of
            those that CT would tell, nothing is told anew.
        by_person: classes whose nodes the configuration names: they stay as the person said.
    """
    if not {"CT", "PET"} <= set(kinds) or target in RETOLD.values():
        return {}
    return {f"density_{name}": 1.0 for name in RETOLD.values() if name not in by_person}


def retold_values(extra: Mapping[str, float]) -> tuple[int, ...]:
    """Return the label values whose pixels CT tells anew; none in models of earlier versions."""
    return tuple(value for value, name in RETOLD.items() if f"density_{name}" in extra)


def tell_by_density(
    labels: Labels, ct: Floats, spacing_mm: tuple[float, float], values: Sequence[int]
) -> None:
    """Give the pixels of some classes the class that CT alone tells; in place.

    Args:
        labels: (y, x) uint8 of one whole slice, 0 where there is no data.
        ct: (y, x) HU; NaN counts as air.
        spacing_mm: distance between pixels along (y, x).
        values: label values that are told anew; all others stay, to the pixel.

    Raises:
        ShapeError: labels and CT are no planes of one shape.

    Cost: O(y x) time, three planes beside the labels.
    """
    if labels.ndim != 2 or labels.shape != ct.shape or labels.dtype != np.uint8:
        raise ShapeError(
            f"labels (y, x) uint8 and CT must have one shape, got {labels.dtype} {labels.shape} and "
            f"{ct.shape}"
        )
    if labels.size == 0 or not len(values):
        return
    retold = np.zeros(256, dtype=np.bool_)
    retold[list(values)] = True
    half = (_pixels(spacing_mm[0]), _pixels(spacing_mm[1]))
    mean = np.empty(ct.shape, dtype=np.float32)
    _average(np.ascontiguousarray(ct, dtype=np.float32), half, mean)
    step = (max(half[0], 1), max(half[1], 1))
    _tell(labels, mean, retold, step)
    _tell_lung(labels, mean, step, LEAST_LUNG_MM2 / (spacing_mm[0] * spacing_mm[1]))


def _pixels(spacing: float) -> int:
    """Return how many pixels lie within half of `MEAN_MM`."""
    return int(np.floor(MEAN_MM / 2 / spacing * (1.0 + 1e-9)))


@compiled
def _average(ct: Floats, half: tuple[int, int], mean: Floats) -> None:
    """Average over a rectangle; beyond the slice its outermost pixels go on, and NaN is air."""
    rows, columns = ct.shape
    down, across = half
    line = np.empty(columns + 2 * across, dtype=np.float32)
    part = np.float32(1.0 / ((2 * down + 1) * (2 * across + 1)))
    for y in range(rows):
        inner = line[across : across + columns]
        inner[:] = np.float32(0)
        for off in range(-down, down + 1):
            source = ct[min(max(y + off, 0), rows - 1)]
            for x in range(columns):
                value = source[x]
                inner[x] += value if value == value else np.float32(AIR_HU)
        line[:across] = inner[0]
        line[across + columns :] = inner[columns - 1]
        target = mean[y]
        target[:] = line[:columns]
        for off in range(1, 2 * across + 1):
            shifted = line[off : off + columns]
            for x in range(columns):
                target[x] += shifted[x]
        for x in range(columns):
            target[x] *= part


@compiled
def _is_steep(mean: Floats, y: int, x: int, step: tuple[int, int]) -> bool:
    """Tell whether CT rises by more than `STEEP_HU` from one side of a pixel to the other."""
    rows, columns = mean.shape
    down, across = step
    dy = mean[min(y + down, rows - 1), x] - mean[max(y - down, 0), x]
    dx = mean[y, min(x + across, columns - 1)] - mean[y, max(x - across, 0)]
    return bool(dy * dy + dx * dx > np.float32(STEEP_HU * STEEP_HU))


@compiled
def _tell(labels: Labels, mean: Floats, retold: NDArray[np.bool_], step: tuple[int, int]) -> None:
    """Write every class but lung; what may be lung stays open."""
    for y in range(labels.shape[0]):
        out = labels[y]
        for x in range(labels.shape[1]):
            if not retold[out[x]]:
                continue
            value = mean[y, x]
            if value > SOFT_HU[1]:
                out[x] = DENSE
            elif value >= BETWEEN_HU and _is_steep(mean, y, x, step):
                out[x] = BOUNDARY
            elif value > FAT_HU[1]:
                out[x] = NORMAL
            elif value >= FAT_HU[0]:
                out[x] = FAT
            else:
                out[x] = _OPEN


@compiled
def _top(parent: Runs, run: int) -> int:
    """Return the first run of a run's region, shortening the way to it."""
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@compiled
def _runs(mean: Floats, runs: Runs, first: Runs) -> int:
    """Write the stretches (row, begin, end) of each row below fat; return how many there are."""
    count = 0
    for y in range(mean.shape[0]):
        first[y] = count
        line, start = mean[y], -1
        for x in range(mean.shape[1]):
            is_low = line[x] < FAT_HU[0]
            if is_low and start < 0:
                start = x
            if not is_low and start >= 0:
                runs[count, 0], runs[count, 1], runs[count, 2] = y, start, x
                count, start = count + 1, -1
        if start >= 0:
            runs[count, 0], runs[count, 1], runs[count, 2] = y, start, mean.shape[1]
            count += 1
    first[mean.shape[0]] = count
    return count


@compiled
def _join(runs: Runs, first: Runs, parent: Runs) -> None:
    """Join runs that touch from row to row; a region is known by its lowest run."""
    for y in range(1, first.size - 1):
        a, b = first[y - 1], first[y]
        while a < first[y] and b < first[y + 1]:
            if runs[a, 1] < runs[b, 2] and runs[b, 1] < runs[a, 2]:
                one, other = _top(parent, a), _top(parent, b)
                parent[max(one, other)] = min(one, other)
            if runs[a, 2] < runs[b, 2]:
                a += 1
            else:
                b += 1


@compiled
def _tell_lung(labels: Labels, mean: Floats, step: tuple[int, int], least_pixels: float) -> None:
    """Write lung or background: lung are large regions off the slice's border, no gas."""
    rows, columns = labels.shape
    runs = np.empty((rows * ((columns + 1) // 2), 3), dtype=np.int32)
    first = np.empty(rows + 1, dtype=np.int32)
    count = _runs(mean, runs, first)
    parent = np.arange(count).astype(np.int32)
    _join(runs, first, parent)
    size, even = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    gas, is_open = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    for run in range(count):
        top, (y, begin, end) = _top(parent, run), runs[run]
        size[top] += end - begin
        if y == 0 or y == rows - 1 or begin == 0 or end == columns:
            is_open[top] = True
        for x in range(begin, end):
            if not _is_steep(mean, y, x, step):
                even[top] += 1
                gas[top] += mean[y, x] < GAS_HU
    for run in range(count):
        top, (y, begin, end) = _top(parent, run), runs[run]
        is_gas = is_open[top] or size[top] < least_pixels or 2 * gas[top] >= even[top]
        for x in range(begin, end):
            if labels[y, x] == _OPEN:
                labels[y, x] = BACKGROUND if is_gas else LUNG
