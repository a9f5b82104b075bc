"""Whether a teacher still fits the scan it is carried over to, told without any mask.

Three signs, each against the reference that the teacher was fitted on: pixels lie further from their
nodes (another scale, offset or protocol), many lie further than nearly all of the reference's (tissue it
does not know), or fine structure is weaker than edges are (a blurrier scanner). None of them says
that labels are wrong, and their absence does not say that they are right: noise of 40 HU, a change of
an MR image's gain by a fifth, or a scan of other tissue with the same grey levels may pass.

Sharpness is judged in channels whose thickness counts in the map; beside PET it does not.

Thresholds were chosen on 2026-11-23 on six real scans (`tests/benchmarks/bench_drift.py`), eight PET/CT
subjects and three phantoms. Unchanged scans, whole, other subjects of the protocol among them: distance
ratio at most 1.39, far share at most .049, sharpness at least .90. With 100 HU (or 12 % of the window)
added, or values times 1.2: a ratio of 1.47 or more in all 16, but 1.1 and 1.4 in a series of breast MR
besides. Blurred by 2 pixels: sharpness .24 to .59, once .83. With 40 HU (or 4 %) of noise half were seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = [
    "Drift",
    "DriftReference",
    "DriftSums",
    "drift_of",
    "merge_drift",
]

LARGEST_RATIO = 1.45
"""Mean distance to the nearest node, against the reference's."""

LARGEST_FAR = 0.06
"""Share of pixels further from all nodes than 99 % of the reference's."""

LEAST_SHARPNESS = 0.8
"""Spread of thickness (second derivatives) over that of edge (first), both against the reference's."""

LEAST_WEIGHT = 0.2
"""What thickness must count for in the distance, that sharpness says something about the map."""

LEAST_DISTANCE = 1e-6
"""Stands for a reference whose pixels lie on their nodes."""


@dataclass(frozen=True)
class DriftReference:
    """How far the reference's own pixels lie from their nodes, in weighted standard deviations."""

    mean_distance: float
    far_distance: float


@dataclass(frozen=True)
class DriftSums:
    """What is kept of a scan, or a part of it; plain numbers, so that it travels as JSON.

    Args:
        count: pixels with data.
        sums: of each standardised feature.
        squares: of each standardised feature, squared.
        distance: sum of the distances to the nearest node.
        far: pixels further than the reference's far distance.
    """

    count: int
    sums: tuple[float, ...]
    squares: tuple[float, ...]
    distance: float
    far: int


@dataclass(frozen=True)
class Drift:
    """The verdict on one scan.

    Args:
        status: "ok" or "drifted".
        distance_ratio: mean distance to the nearest node, over the reference's.
        far_fraction: share of pixels further than 99 % of the reference's.
        feature: `CHANNEL_FEATURE` whose mean moved most, by what it counts for in the distance; the
            thickness of the blurred channel where sharpness alone tells.
        shift: by how much its mean moved, in the reference's standard deviations.
        sharpness: the least of all channels; None where thickness or edge does not count.
        reason: in words, empty when ok.
    """

    status: str
    distance_ratio: float
    far_fraction: float
    feature: str
    shift: float
    sharpness: float | None = None
    reason: str = ""


def merge_drift(parts: Sequence[DriftSums]) -> DriftSums:
    """Join the sums of a scan's parts, in the order given (that of the slabs).

    Raises:
        ShapeError: no part, or parts of different features.
    """
    if not parts or len({len(p.sums) for p in parts}) != 1:
        raise ShapeError("parts of one scan must have the same features, and there must be one")
    return DriftSums(
        count=sum(p.count for p in parts),
        sums=tuple(_added(p.sums[f] for p in parts) for f in range(len(parts[0].sums))),
        squares=tuple(_added(p.squares[f] for p in parts) for f in range(len(parts[0].sums))),
        distance=_added(p.distance for p in parts),
        far=sum(p.far for p in parts),
    )


def _added(values: Iterable[float]) -> float:
    """Add in the order given; `sum` of newer Pythons compensates and would give other bits."""
    total = 0.0
    for value in values:
        total += value
    return total


def drift_of(
    sums: DriftSums,
    reference: DriftReference,
    names: Sequence[str],
    weights: NDArray[np.float32],
) -> Drift | None:
    """Judge a scan.

    Args:
        sums: of all of it.
        reference: of the teacher.
        names: of the features, `CHANNEL_FEATURE`, in stack order.
        weights: (f,) what each counts for in the distance.

    Returns:
        The verdict; None for a scan without a single pixel of data.

    Raises:
        ShapeError: names or weights do not fit the sums.
    """
    if not len(names) == len(sums.sums) == len(weights):
        raise ShapeError(
            f"{len(names)} names and {len(weights)} weights for sums of {len(sums.sums)} features"
        )
    if sums.count == 0:
        return None
    mean = np.array(sums.sums) / sums.count
    spread = np.sqrt(np.maximum(np.array(sums.squares) / sums.count - mean**2, 0.0))
    ratio = sums.distance / sums.count / max(reference.mean_distance, LEAST_DISTANCE)
    far = sums.far / sums.count
    sharpness, blurred = _sharpness(spread, names, weights)
    reasons = []
    if ratio > LARGEST_RATIO:
        reasons.append(f"pixels lie {ratio:.2f} times as far from their nodes as the reference's")
    if far > LARGEST_FAR:
        reasons.append(f"{100 * far:.0f} % of the pixels lie further off than 99 % of its own")
    moved = int(np.argmax(np.abs(mean) * weights))
    if sharpness is not None and sharpness < LEAST_SHARPNESS:
        moved = moved if reasons else blurred
        reasons.append(f"fine structure is {sharpness:.2f} times as strong against edges")
    return Drift(
        status="drifted" if reasons else "ok",
        distance_ratio=float(ratio),
        far_fraction=float(far),
        feature=names[moved],
        shift=float(mean[moved]),
        sharpness=sharpness,
        reason="; ".join(reasons),
    )


def _sharpness(
    spread: NDArray[np.float64], names: Sequence[str], weights: NDArray[np.float32]
) -> tuple[float | None, int]:
    """Return the least sharpness of all channels, and the thickness it was seen in."""
    least, where = None, 0
    for index, name in enumerate(names):
        channel, _, feature = name.rpartition("_")
        edge = f"{channel}_edge"
        if feature != "thickness" or edge not in names or weights[index] < LEAST_WEIGHT:
            continue
        edges = float(spread[list(names).index(edge)])
        if edges > LEAST_DISTANCE and (least is None or spread[index] / edges < least):
            least, where = float(spread[index]) / edges, index
    return least, where
