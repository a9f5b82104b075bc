"""The ellipsoid that a lesion is as long, as wide and as thick as, and whether the lesion meets the image's rim.

A solid ellipsoid with the lesion's second moments stands for it: a moment λ along one of its axes belongs to
an axis of √(20 λ), since a solid ellipsoid of semi-axis a has λ = a²/5. A voxel is a small solid itself and
brings the moments of its own parallelepiped along (one twelfth of a step along each axis of the grid), so a
single voxel has axes too, and a box has its exact moments. Sums are whole numbers of voxel indices, so they do
not depend on how the volume is cut; the grid's matrix, oblique and anisotropic ones too, comes in at the end.

Sources: Goldstein, Poole, Safko, "Classical Mechanics", 2002, chapter 5 (moments and axes of a solid); the ratios
as in Lehmann, "Label object representation and manipulation with ITK", Insight Journal, 2007.
"""

from dataclasses import dataclass
from math import acos, degrees

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.compiled import compiled

__all__ = ["EllipsoidFigures", "EllipsoidMeter", "equivalent_diameter"]

LEAST_ELONGATION = 1.1
"""Below it a long axis is chance of the grid: balls of 128 cubic voxels and more stay below, wherever they lie
between voxels, smaller ones reach 1.2 (`tests/kernels/lesions/test_ellipsoid.py`)."""

_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # of z, y, x, in the order of the sums
_VOXEL = np.eye(3) / 12.0  # second moments of a unit step along each axis
_FAR = 2**31 - 1  # beyond any index
_NOTHING = 1e-9  # a component of a unit vector that rounding made


@dataclass(frozen=True)
class EllipsoidFigures:
    """One lesion's ellipsoid; its fields are columns of `lesions`.

    Args:
        equivalent_diameter_mm: of a ball of its volume, (6 V / π)^⅓.
        ellipsoid_major_mm: longest axis of the ellipsoid, from tip to tip.
        ellipsoid_middle_mm: the next.
        ellipsoid_minor_mm: the shortest.
        elongation: major / middle, 1 or more.
        flatness: middle / minor, 1 or more.
        orientation_x: of the unit vector of the long axis in LPS, the first of z, y, x that is not 0 being
            positive; None where elongation is below `LEAST_ELONGATION`, as the others.
        orientation_y: likewise.
        orientation_z: likewise.
        polar_angle_deg: angle between the long axis and LPS z, 0 to 90 degrees; None likewise.
        touches_border: whether one of its voxels lies on a face of the volume; faces across an axis of one
            voxel do not count.
    """

    equivalent_diameter_mm: float
    ellipsoid_major_mm: float
    ellipsoid_middle_mm: float
    ellipsoid_minor_mm: float
    elongation: float
    flatness: float
    orientation_x: float | None
    orientation_y: float | None
    orientation_z: float | None
    polar_angle_deg: float | None
    touches_border: bool


def equivalent_diameter(volume_mm3: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the diameters in mm of balls of some volumes, (6 V / π)^⅓."""
    return np.asarray(np.cbrt(np.asarray(volume_mm3, dtype=np.float64) * (6.0 / np.pi)))


class EllipsoidMeter:
    """Sums up numbered lesions box by box, in any order and however the volume is cut.

    Memory: 104 bytes a lesion. Sums that leave 64 bits come out right all the same (they wrap), as long as a
    lesion's moments about its own centre fit: 2.6·10¹⁰ voxels spread over 65,536.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._sums = np.zeros((0, 10), dtype=np.int64)  # voxels; z, y, x; zz, yy, xx, zy, zx, yx
        self._box = np.zeros((0, 6), dtype=np.int32)  # least z, y, x; largest z, y, x

    def add(self, labels: NDArray[np.integer], corner: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Take one box of voxels.

        Args:
            labels: (z, y, x) final lesion numbers, 0 outside.
            corner: index (z, y, x) of its first voxel in the volume.

        Raises:
            ShapeError: if the labels are not three-dimensional.
        """
        if labels.ndim != 3:
            raise ShapeError(f"labels must be (z, y, x), got {labels.shape}")
        self._grow(int(labels.max(initial=0)) + 1)
        block = np.ascontiguousarray(labels, dtype=np.int32)
        _add(block, np.array(corner, dtype=np.int64), self._sums, self._box)

    def merge(self, other: "EllipsoidMeter") -> None:
        """Take what another meter of the same volume has met."""
        self._grow(len(other._sums))
        met = len(other._sums)
        self._sums[:met] += other._sums
        np.minimum(self._box[:met, :3], other._box[:, :3], out=self._box[:met, :3])
        np.maximum(self._box[:met, 3:], other._box[:, 3:], out=self._box[:met, 3:])

    def finish(self) -> list[EllipsoidFigures]:
        """Return the figures of all lesions met, in order of their numbers."""
        met = self._sums[:, 0] > 0
        if not met.any():
            return []
        count = self._sums[met, 0]
        values, vectors = np.linalg.eigh(self._moments(self._sums[met]))
        axes = np.sqrt(20.0 * np.maximum(values, 0.0))  # (n, 3) minor, middle, major
        diameter = equivalent_diameter(count * self._geometry.voxel_mm3)
        columns = (
            diameter.tolist(),
            axes.tolist(),
            _signed(vectors[:, :, 2]).tolist(),
            self._touches(self._box[met]).tolist(),
        )
        return [_figures(*row) for row in zip(*columns, strict=True)]

    def _grow(self, size: int) -> None:
        more = size - len(self._sums)
        if more > 0:
            self._sums = np.pad(self._sums, ((0, more), (0, 0)))
            unmet = np.repeat(np.array([[_FAR] * 3 + [-1] * 3], dtype=np.int32), more, axis=0)
            self._box = np.concatenate([self._box, unmet])

    def _moments(self, sums: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return second moments about each lesion's own centre in mm², (n, 3, 3) over LPS x, y, z."""
        count, first = sums[:, 0], sums[:, 1:4]
        middle = np.floor(first / count[:, None] + 0.5).astype(np.int64)
        left = first - count[:, None] * middle  # sums about the voxel next to the centre: exact
        offset = left / count[:, None]
        index = np.empty((len(sums), 3, 3))
        for place, (a, b) in enumerate(_PAIRS):
            about = sums[:, 4 + place] - middle[:, a] * first[:, b] - middle[:, b] * left[:, a]
            index[:, a, b] = index[:, b, a] = about / count - offset[:, a] * offset[:, b]
        steps = self._geometry.matrix[:3, :3][:, ::-1]  # columns: a step along z, y, x
        return np.asarray(steps @ (index + _VOXEL) @ steps.T)

    def _touches(self, box: NDArray[np.int32]) -> NDArray[np.bool_]:
        shape = np.asarray(self._geometry.shape)
        meets = (box[:, :3] == 0) | (box[:, 3:] == shape - 1)
        return np.asarray((meets & (shape > 1)).any(axis=1))


def _signed(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn unit vectors (n, 3) so that the first of z, y, x that is not 0 is positive."""
    clean = np.where(np.abs(vectors) < _NOTHING, 0.0, vectors)
    backwards = clean[:, ::-1]
    first = np.argmax(backwards != 0, axis=1)
    sign = np.sign(backwards[np.arange(len(clean)), first])
    return np.asarray(clean * sign[:, None] + 0.0)  # no negative zero


def _figures(
    diameter: float, axes: list[float], vector: list[float], touches: bool
) -> EllipsoidFigures:
    minor, middle, major = axes
    told = major >= LEAST_ELONGATION * middle
    x, y, z = vector if told else (None, None, None)
    return EllipsoidFigures(
        equivalent_diameter_mm=diameter,
        ellipsoid_major_mm=major,
        ellipsoid_middle_mm=middle,
        ellipsoid_minor_mm=minor,
        elongation=major / middle,
        flatness=middle / minor,
        orientation_x=x,
        orientation_y=y,
        orientation_z=z,
        polar_angle_deg=None if z is None else degrees(acos(min(1.0, z))),
        touches_border=touches,
    )


@compiled
def _add(
    labels: NDArray[np.int32],
    corner: NDArray[np.int64],
    sums: NDArray[np.int64],
    box: NDArray[np.int32],
) -> None:
    """Add every voxel's index and its products to its lesion's row, and widen the lesion's box."""
    depth, rows, columns = labels.shape
    for a in range(depth):
        for b in range(rows):
            for c in range(columns):
                lesion = labels[a, b, c]
                if lesion > 0:
                    z, y, x = a + corner[0], b + corner[1], c + corner[2]
                    row, edge = sums[lesion], box[lesion]
                    row[0] += 1
                    row[1] += z
                    row[2] += y
                    row[3] += x
                    row[4] += z * z
                    row[5] += y * y
                    row[6] += x * x
                    row[7] += z * y
                    row[8] += z * x
                    row[9] += y * x
                    edge[0], edge[1], edge[2] = min(edge[0], z), min(edge[1], y), min(edge[2], x)
                    edge[3], edge[4], edge[5] = max(edge[3], z), max(edge[4], y), max(edge[5], x)
