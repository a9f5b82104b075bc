"""Sources in several folders that name one DICOM series: copies of it, parts of it, or other scans.

Anonymisers may give the series of all people one UID. Then neither UID nor person tells scans apart, but where their
slices lie and what they hold does.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from somray.errors import DataError
from somray.io.cohort.survey.found import Found
from somray.io.readers import open_source

__all__ = ["Kinship"]

_NEAR = 0.05  # of a voxel


@dataclass
class Kinship:
    """Says what sources of one series are to each other; reads slices of those only that lie in one place."""

    _read: dict[tuple[str, int], bytes | None] = field(default_factory=dict)

    def of(self, one: Found, other: Found) -> Literal["copy", "part", "other"]:
        """Say what a source is to another."""
        if one.header.geometry.is_same_grid(other.header.geometry):
            middle = one.header.shape[1] // 2
            return "copy" if self._slice(one, middle) == self._slice(other, middle) else "other"
        offset = _offset(one, other)
        if offset is None:
            return "other"
        whole, of_one, of_other = round(offset), one.header.shape[1], other.header.shape[1]
        is_between = abs(offset - whole) > _NEAR
        if is_between or not -of_other < whole < of_one:
            return "part"
        z = max(0, whole)
        return "part" if self._slice(one, z) == self._slice(other, z - whole) else "other"

    def _slice(self, one: Found, z: int) -> bytes | None:
        """Read a slice; None of what cannot be read, which is like all that cannot."""
        key = (str(one.path), z)
        if key not in self._read:
            try:
                with open_source(one.path, "resample") as source:
                    self._read[key] = source.read(0, z, z + 1).tobytes()
            except DataError:
                self._read[key] = None
        return self._read[key]


def _offset(one: Found, other: Found) -> float | None:
    """Return by how many slices a source begins above another, whole or half; None where they are no one stack."""
    a, b = one.header.geometry, other.header.geometry
    near_mm = _NEAR * min(a.spacing_mm)
    if a.shape[1:] != b.shape[1:] or np.abs(a.matrix - b.matrix)[:3, :3].max() > near_mm:
        return None
    step, way = a.matrix[:3, 2], b.matrix[:3, 3] - a.matrix[:3, 3]
    offset = float(way @ step / (step @ step))
    is_in_line = np.linalg.norm(way - offset * step) <= near_mm
    return offset if is_in_line and abs(2 * offset - round(2 * offset)) <= 2 * _NEAR else None
