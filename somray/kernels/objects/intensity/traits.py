"""What the rule for scans of intensities reads of one object: depth, place in the skull, shape, twin.

Everything is measured on the grid of `rule`, in mm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from somray.kernels.objects.intensity.candidates import BlockPart, Candidates, shape_of
from somray.kernels.objects.intensity.head import IntensityScene
from somray.kernels.objects.intensity.mirror import MirrorPlane

__all__ = [
    "HUG_MM",
    "LONG",
    "RIM_MM",
    "Symmetry",
    "Trait",
    "longest_mm",
    "measure_trait",
    "thickest_mm",
]

HUG_MM = 12.0
"""Skin and the scalp's fat are thinner."""

THIN_MM, LONG = 8.0, 4.0
"""A string or sheet: nowhere thicker, and longer than four times its thickness."""

RIM_MM = 8.0
"""The dura and the sinuses in it lie this near to the vault's wall."""


@dataclass(frozen=True)
class Trait:
    """What the rule reads of one object.

    Args:
        depth_mm: least distance from the body's surface.
        hug_fraction: share of its voxels within `HUG_MM` of the surface.
        vault_fraction: share of its voxels within the skull; None where no skull is seen.
        rim_fraction: share of its voxels within `RIM_MM` of the vault's wall; None likewise.
        thick_mm: diameter of the largest ball inside.
        long_mm: extent along its longest axis.
        midline_mm: distance of its centroid from the plane of symmetry, to the left positive; None without.
        twin: of `mirror`; None without a plane.
        salience: of `tree`.
        volume_mm3: on the grid.
        mask_fraction: share of it that the mask holds.
        cut_fraction: share of its surface where nothing was scanned.
        sphericity: 1 for a ball.
    """

    depth_mm: float
    hug_fraction: float
    vault_fraction: float | None
    rim_fraction: float | None
    thick_mm: float
    long_mm: float
    midline_mm: float | None
    twin: float | None
    salience: float
    volume_mm3: float
    mask_fraction: float
    cut_fraction: float
    sphericity: float

    @property
    def is_thin(self) -> bool:
        """Whether it is a string or a sheet."""
        return self.thick_mm <= THIN_MM and self.long_mm >= LONG * self.thick_mm


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A body's plane of symmetry and how well every candidate has a twin beyond it, (n,)."""

    plane: MirrorPlane
    twins: NDArray[np.float64]


def measure_trait(
    scene: IntensityScene,
    walls: NDArray[np.float64] | None,
    part: BlockPart,
    candidates: Candidates,
    symmetry: Symmetry | None,
) -> Trait:
    """Measure one object.

    Args:
        scene: it lies in.
        walls: distance (z, y, x) to the vault's wall from within; None without a vault.
        part: the object.
        candidates: all of the scene.
        symmetry: of the body, where it has one.
    """
    window, own, spacing_mm = part.window, part.own, scene.spacing_mm
    points, n = part.points_mm(spacing_mm), part.number - 1
    depth = scene.depth_mm[window][own]
    shape = shape_of(own, scene.field[window], spacing_mm)
    return Trait(
        depth_mm=float(depth.min()),
        hug_fraction=float(np.mean(depth <= HUG_MM)),
        vault_fraction=None if scene.vault is None else float(scene.vault[window][own].mean()),
        rim_fraction=None if walls is None else float(np.mean(walls[window][own] <= RIM_MM)),
        thick_mm=thickest_mm(own, spacing_mm),
        long_mm=longest_mm(points),
        midline_mm=None if symmetry is None else float(symmetry.plane.distance_mm(points).mean()),
        twin=None if symmetry is None else float(symmetry.twins[n]),
        salience=float(candidates.salience[n]),
        volume_mm3=shape.volume_mm3,
        cut_fraction=shape.cut_fraction,
        sphericity=shape.sphericity,
        mask_fraction=float(scene.marked[window][own].mean()),
    )


def thickest_mm(own: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float:
    """Return the diameter of the largest ball inside a mask (z, y, x)."""
    inside = ndimage.distance_transform_edt(np.pad(own, 1), sampling=spacing_mm)
    return 2 * float(inside.max())


def longest_mm(points: NDArray[np.float64]) -> float:
    """Return the extent of points (n, 3) in mm along the axis of their largest spread.

    Args:
        points: (n, 3) in mm.
    """
    if len(points) < 2:
        return 0.0
    away = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(away.T @ away)
    along = away @ axes[:, -1]
    return float(along.max() - along.min())
