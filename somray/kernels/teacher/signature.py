"""What a teacher sees of a scan it is carried over to: each class's profile, and how far pixels lie off.

Taken on every `EVERY`-th row, which is plenty for means and costs little, from the features that labelling
has made anyway. Sums of slabs are joined in their order and travel as JSON.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.kernels.classes.profiles import GroupSums, groups_of, merge_groups
from somray.kernels.som.passes import nodes_and_distances
from somray.kernels.teacher.distances import Distances
from somray.kernels.teacher.drift import (
    Drift,
    DriftReference,
    DriftSums,
    drift_of,
    drift_sums,
    merge_drift,
)
from somray.kernels.teacher.reference import Standard

__all__ = [
    "EVERY",
    "Signature",
    "drift_from",
    "merge_signatures",
    "signature_of",
    "spread_facts",
]

EVERY = 4
FAR_PERCENT = 99.0


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


def signature_of(
    model: TeacherModel, raw: NDArray[np.float32], labels: NDArray[np.uint8]
) -> Signature:
    """Sum up pixels of a scan, in their order, in float64.

    Args:
        model: the teacher, whose `extra` holds `spread_facts`.
        raw: (f, n) raw features of the pixels with data of every `EVERY`-th row, slice by slice, row by
            row; overwritten.
        labels: (n,) classes that the teacher gave to them.
    """
    standard = Standard(model.center, model.scale, model.feature_weights)
    features = standard.standardised(raw)
    _, apart = nodes_and_distances(standard.weighted(features), model.codebook.weights)
    classes = groups_of(features, labels, max(model.class_names) + 1)
    return Signature(classes, drift_sums(features, apart, _reference(model)))


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
