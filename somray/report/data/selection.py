"""Which slices and pairs get a picture: few, always the same, and never by position in the scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from somray.report.data.run import ProtocolData, Row, Rows

__all__ = [
    "MOST_SLICES",
    "ReferenceSlices",
    "SliceKey",
    "pictured_pairs",
    "reference_slices",
    "slices_to_show",
]

MOST_SLICES = 6


@dataclass(frozen=True)
class SliceKey:
    """One slice of one scan."""

    subject: str
    session: str
    t: int
    z: int

    def __str__(self) -> str:
        """Name it for people."""
        return f"subject {self.subject}, session {self.session}, slice {self.z}"


@dataclass(frozen=True)
class ReferenceSlices:
    """The slices a teacher was fitted on, and in words what they are."""

    keys: tuple[SliceKey, ...]
    told: str


def reference_slices(protocol: ProtocolData) -> ReferenceSlices:
    """Return the slices the teacher was fitted on.

    The model names them; where it does not (its images came without names), the slice with the largest
    target stands in, and the words say so.
    """
    teacher = protocol.teacher
    if teacher is not None and teacher.reference:
        keys = tuple(SliceKey(subject, session, 0, z) for subject, session, z in teacher.reference)
        if len(keys) == 1:
            return ReferenceSlices(keys, "the slice that the teacher was fitted on")
        told = f"one of the slices that the teacher was fitted on ({teacher.fitted_on})"
        return ReferenceSlices(keys, told)
    slices = protocol.rows("slices", method="som")
    if not slices:
        return ReferenceSlices((), "")
    best = max(slices, key=lambda r: (r["target_area_mm2"], r["subject"], r["session"], -r["z"]))
    key = SliceKey(best["subject"], best["session"], best["t"], best["z"])
    told = "the slice with the most target, since the model does not name its reference"
    return ReferenceSlices((key,), told)


def slices_to_show(
    areas: Mapping[int, float], count: int, always: Sequence[int] = (), most: int = MOST_SLICES
) -> list[int]:
    """Choose slices, six if not told otherwise: reference ones, the largest target, then spread over the target.

    Args:
        areas: slice index to target area, 0 or missing where there is none.
        count: slices of the scan.
        always: slices that must be among them.
        most: slices to choose.
    """
    chosen = list(dict.fromkeys(z for z in always if 0 <= z < count))[:most]
    filled = sorted(z for z, area in areas.items() if area > 0)
    if not filled:
        low, middle, high = (int(z) for z in np.linspace(0, count - 1, 5)[1:4].round())
        return sorted(list(dict.fromkeys([*chosen, middle, low, high]))[:most])
    largest = max(filled, key=lambda z: (areas[z], -z))
    chosen = list(dict.fromkeys([*chosen, largest]))[:most]
    weights = np.cumsum([areas[z] for z in filled])
    quantiles = (np.arange(most) + 0.5) / most * weights[-1]
    for z in [filled[int(i)] for i in np.searchsorted(weights, quantiles)]:
        if len(chosen) < most and z not in chosen:
            chosen.append(z)
    return sorted(chosen)


def pictured_pairs(rows: Rows, areas: Mapping[int, float]) -> Rows:
    """Choose up to two slice pairs of a scan: the one with most target, and one not registered well."""
    done = [r for r in rows if r["matrix"] is not None]
    troubled = [r for r in rows if r["status"] != "ok"]
    chosen: Rows = []
    if done:
        chosen.append(max(done, key=lambda r: (_target(r, areas), -(r["fixed_z"] or 0))))
    order = {"refused": 0, "weak": 1}
    for row in sorted(troubled, key=lambda r: (order.get(r["status"], 2), r["fixed_z"] or 0))[:1]:
        if row not in chosen:
            chosen.append(row)
    return chosen


def _target(row: Row, areas: Mapping[int, float]) -> float:
    return float(areas.get(row["fixed_z"], 0.0) + areas.get(row["moving_z"], 0.0))
