"""What a teacher sees of a scan it is carried over to: each class's profile, and how far pixels lie off.

Taken on every `EVERY`-th row of a slice, which is plenty for means and costs little, from the features that
labelling has made anyway. Values are added up as multiples of 2^-20: such sums are exact in float64 up to
eight billion times the spread of a feature, so they do not depend on how a scan is cut. They travel as JSON.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.classes.profiles import GroupSums, merge_groups
from somray.kernels.compiled import compiled
from somray.kernels.grids.patch import Box
from somray.kernels.som.nearest import find_nearest
from somray.kernels.som.table import node_table
from somray.kernels.teacher.distances import Distances
from somray.kernels.teacher.drift import (
    Drift,
    DriftReference,
    DriftSums,
    drift_of,
    merge_drift,
)

__all__ = [
    "EVERY",
    "Signature",
    "SignatureSums",
    "drift_from",
    "merge_signatures",
    "spread_facts",
]

EVERY = 4
GRAINS = 2.0**20
"""Steps that one standard deviation is counted in."""
PART = 128
"""Pixels that are worked on together, in the first-level cache; a multiple of the search's grain."""
FAR_PERCENT = 99.0


Floats = NDArray[np.float32]
Sums = NDArray[np.float64]


class _Book(NamedTuple):
    """A teacher as `_add` reads it: standardisation (f,), weights (f,), table of nodes, what counts as far."""

    center: Floats
    scale: Floats
    weights: Floats
    shift: Floats
    nodes: Floats
    groups: Floats
    far: float


@dataclass(frozen=True, eq=False)
class Signature:
    """Sums over a part of a scan.

    Args:
        classes: standardised features added up by label value, 0 (no data) left empty.
        drift: the same over all pixels, with their distances to the nodes.
    """

    classes: GroupSums
    drift: DriftSums

    def as_json(self) -> dict[str, Any]:
        """Return plain numbers; `from_json` gives the same bits back."""
        groups = {
            name: getattr(self.classes, name).tolist() for name in ("counts", "sums", "squares")
        }
        return {"classes": groups, "drift": asdict(self.drift)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Signature":
        """Read what `as_json` wrote."""
        groups, drift = data["classes"], data["drift"]
        return cls(
            GroupSums(
                np.array(groups["counts"], dtype=np.int64),
                np.array(groups["sums"], dtype=np.float64),
                np.array(groups["squares"], dtype=np.float64),
            ),
            DriftSums(
                **{**drift, "sums": tuple(drift["sums"]), "squares": tuple(drift["squares"])}
            ),
        )


def spread_facts(distances: Distances) -> dict[str, float]:
    """Return what a model must remember of its reference, to be compared with later scans."""
    return {
        "distance_mean": distances.mean,
        "distance_far": distances.percentile(FAR_PERCENT),
    }


class SignatureSums:
    """Sums up what a teacher sees of a scan.

    Args:
        model: the teacher, whose `extra` holds `spread_facts`.
    """

    def __init__(self, model: TeacherModel) -> None:
        table, reference = node_table(model.codebook.weights), _reference(model)
        self._book = _Book(
            model.center,
            model.scale,
            model.feature_weights,
            table.shift,
            table.nodes,
            table.groups,
            reference.far_distance,
        )
        shape = max(model.class_names) + 1, len(model.center)
        self._sums, self._squares = np.zeros(shape), np.zeros(shape)
        self._counts = np.zeros(shape[0], dtype=np.int64)
        self._apart = np.zeros(2)

    def add(self, raw: Floats, labels: NDArray[np.uint8], first: int, part: Box) -> None:
        """Add the pixels with data of every `EVERY`-th row of a plane, from row `first` on.

        Args:
            raw: (f, rows, x) raw features of these rows, anything where a pixel has no data.
            labels: (y, x) classes that the teacher gave to the plane, 0 where there is no data.
            first: row of the plane.
            part: rows and columns of the plane that count.
        """
        rows = -(-(part[0] - first) // EVERY), -(-(part[1] - first) // EVERY)
        place = first, rows[0], rows[1], part[2], part[3]
        tables = self._sums, self._squares, self._counts, self._apart
        _add(raw, labels, place, self._book, tables)

    def signature(self) -> Signature:
        """Return the sums.

        Raises:
            ShapeError: features of a pixel are too large to be added up.
        """
        if not (np.isfinite(self._squares).all() and np.isfinite(self._apart).all()):
            raise ShapeError("features hold values that are too large; scale the scan first")
        sums, squares = self._sums / GRAINS, self._squares / GRAINS
        drift = DriftSums(
            count=int(self._counts.sum()),
            sums=tuple(sums.sum(axis=0).tolist()),
            squares=tuple(squares.sum(axis=0).tolist()),
            distance=float(self._apart[0] / GRAINS),
            far=int(self._apart[1]),
        )
        return Signature(GroupSums(self._counts.copy(), sums, squares), drift)


@compiled
def _scale_part(
    raw: Floats, place: tuple[int, int], size: int, book: _Book, part: Floats, scaled: Sums
) -> None:
    """Write pixels of row and column `place`: as the search reads them, and as they are added up (2·f, n)."""
    row, start = place
    features = len(raw)
    for f in range(features):
        line, own = raw[f][row][start : start + size], part[f]
        center, scale, weight, shift = book.center[f], book.scale[f], book.weights[f], book.shift[f]
        values, powers = scaled[f], scaled[features + f]
        for i in range(size):
            value = (line[i] - center) / scale
            own[i] = value * weight - shift
            wide = np.float64(value)
            values[i] = np.rint(wide * GRAINS)
            powers[i] = np.rint(wide * wide * GRAINS)


@compiled
def _add(
    raw: Floats,
    labels: NDArray[np.uint8],
    place: tuple[int, int, int, int, int],
    book: _Book,
    tables: tuple[Sums, Sums, NDArray[np.int64], Sums],
) -> None:
    """Add pixels to the sums and squares (k, f) of their classes, and their distances to the nodes."""
    first, begin, end, x0, x1 = place
    features = len(raw)
    sums, squares, counts, apart = tables
    part, scaled = np.zeros((features, PART), dtype=np.float32), np.empty((2 * features, PART))
    best, index = np.empty((1, PART), dtype=np.float32), np.empty((1, PART), dtype=np.int32)
    for row in range(begin, end):
        for start in range(x0, x1, PART):
            size = min(PART, x1 - start)
            named = labels[first + row * EVERY][start : start + size]
            _scale_part(raw, (row, start), size, book, part, scaled)
            find_nearest(part, book.groups, best, index)
            for i in range(size):
                g = named[i]
                if g == 0:
                    continue
                counts[g] += 1
                node, squared = index[0, i], 0.0
                for f in range(features):
                    sums[g, f] += scaled[f, i]
                    squares[g, f] += scaled[features + f, i]
                    off = np.float64(part[f, i]) - np.float64(book.nodes[node, f])
                    squared += off * off
                distance = np.float64(np.float32(math.sqrt(squared)))
                apart[0] += np.rint(distance * GRAINS)
                apart[1] += 1.0 if distance > book.far else 0.0


def merge_signatures(parts: Sequence[Signature]) -> Signature:
    """Join parts of one scan in the order given."""
    return Signature(
        merge_groups([part.classes for part in parts]), merge_drift([part.drift for part in parts])
    )


def drift_from(model: TeacherModel, sums: DriftSums) -> Drift | None:
    """Judge a whole scan; None without a pixel of data."""
    return drift_of(sums, _reference(model), model.feature_names, model.feature_weights)


def _reference(model: TeacherModel) -> DriftReference:
    return DriftReference(model.extra["distance_mean"], model.extra["distance_far"])
