"""Where a voxel lies in the patient.

Arrays are indexed z, y, x; the affine takes the *voxel index* (x, y, z, 1), centres on whole numbers,
to patient LPS coordinates in mm (DICOM's axes: left, posterior, superior). Readers convert to this
convention; nothing else in somray knows RAS or a file's own axes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["SAME_VOXELS", "Geometry", "spans_space"]

SINGULAR = 1e-6  # of the volume that perpendicular axes would span; no unit, so that microns fare as metres do


SAME_VOXELS = 0.05
"""Grids whose voxels lie nearer to each other than this are one: headers round, in float32 or to six decimals."""


def spans_space(axes: NDArray[np.float64]) -> bool:
    """Whether three axes (columns) are long enough and lead apart."""
    lengths = np.linalg.norm(axes, axis=0)
    return bool((lengths > 0).all() and abs(np.linalg.det(axes / lengths)) >= SINGULAR)


@dataclass(frozen=True)
class Geometry:
    """The grid of one volume.

    Args:
        shape: voxels along (z, y, x), all positive.
        affine: 4×4 rows, voxel index (x, y, z, 1) to LPS mm.

    Raises:
        ShapeError: if the shape is not positive or the affine is singular or not finite.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        """Refuse grids that do not span space."""
        matrix = np.asarray(self.affine, dtype=np.float64)
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ShapeError(f"shape must be three positive sizes (z, y, x), got {self.shape}")
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ShapeError("affine must be a finite 4×4 matrix")
        if not spans_space(matrix[:3, :3]):
            raise ShapeError("affine is singular: two axes of the volume coincide")

    @classmethod
    def from_matrix(cls, shape: tuple[int, int, int], matrix: NDArray[np.float64]) -> "Geometry":
        """Build from a numpy 4×4 matrix."""
        rows = tuple(tuple(float(v) for v in row) for row in np.asarray(matrix, dtype=np.float64))
        return cls(shape, rows)

    @classmethod
    def from_spacing(
        cls, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
    ) -> "Geometry":
        """Build an axis-aligned grid with its origin at zero; spacing_mm is (z, y, x)."""
        return cls.from_matrix(shape, np.diag([spacing_mm[2], spacing_mm[1], spacing_mm[0], 1.0]))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine as (4, 4) float64."""
        return np.asarray(self.affine, dtype=np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (z, y, x) in mm."""
        lengths = np.linalg.norm(self.matrix[:3, :3], axis=0)  # x, y, z
        return float(lengths[2]), float(lengths[1]), float(lengths[0])

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm³."""
        return abs(float(np.linalg.det(self.matrix[:3, :3])))

    @property
    def axial_axes(self) -> tuple[int, int]:
        """The two axes of the array (0 is z) that lie nearest to the patient's transverse plane."""
        axes = self.matrix[:3, :3] / np.linalg.norm(self.matrix[:3, :3], axis=0)  # x, y, z
        lengthwise = int(np.argmax(np.abs(axes[2, ::-1]).round(6)))
        first, second = (axis for axis in range(3) if axis != lengthwise)
        return first, second

    @property
    def skew(self) -> float:
        """Cosine of the two axes that are farthest from perpendicular; 0 where all are."""
        axes = self.matrix[:3, :3] / np.linalg.norm(self.matrix[:3, :3], axis=0)
        return float(np.abs(axes.T @ axes - np.eye(3)).max())

    def distance_voxels(self, other: "Geometry") -> float:
        """Return how far apart two grids put voxels of one index, at most, within this grid's shape.

        In edges of the smallest voxel of both, so that microns fare as metres do.
        """
        ends = [(0.0, float(size - 1)) for size in self.shape]
        corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T  # (8, 3)
        apart = np.linalg.norm(self.to_world(corners) - other.to_world(corners), axis=1)
        return float(apart.max()) / min(*self.spacing_mm, *other.spacing_mm)

    def is_same_grid(self, other: "Geometry") -> bool:
        """Whether both have one shape and their voxels lie in one place, within `SAME_VOXELS`."""
        return self.shape == other.shape and self.distance_voxels(other) <= SAME_VOXELS

    def to_world(self, index_zyx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take voxel indices (n, 3) in z, y, x to LPS mm (n, 3) in x, y, z."""
        xyz = np.asarray(index_zyx, dtype=np.float64)[:, ::-1]
        return np.asarray(xyz @ self.matrix[:3, :3].T + self.matrix[:3, 3])

    def to_index(self, world_xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take LPS mm (n, 3) in x, y, z to voxel indices (n, 3) in z, y, x."""
        inverse = np.linalg.inv(self.matrix)
        xyz = np.asarray(world_xyz, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
        return np.asarray(xyz[:, ::-1])
