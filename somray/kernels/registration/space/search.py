"""The search for one volume's motion onto another: starts, refinement coarse to fine, rivals.

A body is nearly symmetric, so the mirror image of a session aligns well with it; what tells the two apart
is that the mirror image of the mirror image aligns better. Every motion therefore has rivals: the moving
volume mirrored, brought to where the motion has it, mirrored there in each of the three planes. Where
headers tell the sides, half turns about the three axes say instead what outline and texture reach alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.registration.space.evidence import explained
from somray.kernels.registration.space.itk_engine import refine_itk
from somray.kernels.registration.space.motions import is_believable, reflected
from somray.kernels.registration.space.prepare import (
    Grid,
    GriddedVolume,
    Window,
    prepare_volume,
)
from somray.kernels.registration.space.refine import refine_space
from somray.kernels.registration.space.starts import small_turns, volume_starts, wide_turns

__all__ = ["ENGINES", "SpaceMotion", "SpaceSearch", "half_turns", "mirror_images"]

Matrix = NDArray[np.float64]
Refiner = Callable[[Grid, Grid, Matrix, int, str], Matrix | None]
Rivals = Callable[[Grid, Matrix, int], tuple[Grid, Matrix]]

ENGINES: dict[str, Refiner] = {"somray": refine_space, "simpleitk": refine_itk}
"""Engine name to what refines a motion on the fine grids."""

_COARSE_VOXELS = 30_000
_FINE_VOXELS = 500_000
_STARTS, _WIDE_STARTS = 4, 8
_COARSE_STEPS, _FINE_STEPS, _RIVAL_STEPS = 20, 12, 8
_BLOCK = 8  # voxels: held-out blocks are larger than what structure reaches over
_AFFINE_LEAST = 0.01  # structure that an affine motion must add on voxels it was not fitted to
_AFFINE_GAIN = 0.1  # and this share of what the rigid motion left unexplained


@dataclass(frozen=True, eq=False)
class SpaceMotion:
    """A motion found.

    Args:
        sampling: (4, 4) fixed LPS mm to moving LPS mm.
        structure: structure that it explains on the fine grids.
        model: rigid3d or affine3d.
    """

    sampling: Matrix
    structure: float
    model: str = "rigid3d"


class SpaceSearch:
    """Two volumes at two working spacings, and what intensities say about the motion between them."""

    def __init__(
        self, fixed: GriddedVolume, moving: GriddedVolume, window: Window, engine: str
    ) -> None:
        """Prepare both volumes.

        Args:
            fixed: fixed volume.
            moving: moving volume.
            window: values that become 0 and 1.
            engine: a key of `ENGINES`.
        """
        self.coarse, self.fine = (
            (prepare_volume(fixed, window, spacing), prepare_volume(moving, window, spacing))
            for spacing in (
                _spacing_for(fixed.geometry, moving.geometry, voxels)
                for voxels in (_COARSE_VOXELS, _FINE_VOXELS)
            )
        )
        self._refine = ENGINES[engine]

    def best(self) -> SpaceMotion | None:
        """Search from scanner coordinates and from small turns with any shift."""
        return self.finished([np.eye(4), *volume_starts(*self.coarse, keep=_STARTS)])

    def finished(self, begin: list[Matrix]) -> SpaceMotion | None:
        """Refine starts on the coarse grids and the best of them on the fine ones."""
        found = self._coarse_best(self.coarse[1], begin)
        if found is None:
            return None
        refined = self._refine(*self.fine, found[0], _FINE_STEPS, "rigid3d")
        if refined is None:
            return None
        return SpaceMotion(refined, explained(*self.fine, refined))

    def wide(self) -> SpaceMotion | None:
        """Search over turns about all axes, as far as heads turn between sessions."""
        begin = volume_starts(*self.coarse, _WIDE_STARTS, turns=wide_turns())
        return self.finished(begin)

    def lead(self, motion: SpaceMotion, rivals: Rivals) -> float:
        """Return by how much a motion explains more than its rivals, in Fisher's z.

        Both are judged on the coarse grids.

        Args:
            motion: the motion.
            rivals: `mirror_images` or `half_turns`.
        """
        rival = 0.0
        for axis in range(3):
            moving, about = rivals(self.coarse[1], motion.sampling[:3, :3], axis)
            turns = small_turns() if axis == 0 else [np.zeros(3)]
            begin = volume_starts(self.coarse[0], moving, 2 if axis == 0 else 1, about, turns)
            found = self._coarse_best(moving, begin, _RIVAL_STEPS)
            rival = max(rival, 0.0 if found is None else found[1])
        refined = refine_space(*self.coarse, motion.sampling, _RIVAL_STEPS)
        own = 0.0 if refined is None else explained(*self.coarse, refined)
        both = np.arctanh(np.clip([own, rival], 0.0, 0.999))
        return float(both[0] - both[1])

    def affine(self, rigid: SpaceMotion) -> SpaceMotion | None:
        """Refine an affine motion; None where it is lost or not believable."""
        refined = self._refine(*self.fine, rigid.sampling, _FINE_STEPS, "affine3d")
        if refined is None or not is_believable(refined):
            return None
        return SpaceMotion(refined, explained(*self.fine, refined), "affine3d")

    def simplest(self, rigid: SpaceMotion) -> SpaceMotion:
        """Keep the rigid motion unless an affine one explains clearly more where it was not fitted.

        The affine motion is fitted to every other block of the volume and judged on the rest; the rigid
        one was fitted to all.
        """
        fixed, moving = self.fine
        fitted = _blocks(fixed.image.shape)
        part = Grid(fixed.image, fixed.weight * fitted, fixed.geometry)
        tried = refine_space(part, moving, rigid.sampling, _FINE_STEPS, "affine3d")
        if tried is None or not is_believable(tried):
            return rigid
        before = explained(fixed, moving, rigid.sampling, ~fitted)
        gained = explained(fixed, moving, tried, ~fitted) - before
        if gained < max(_AFFINE_LEAST, _AFFINE_GAIN * (1.0 - before)):
            return rigid
        richer = self.affine(rigid)
        return rigid if richer is None or richer.structure <= rigid.structure else richer

    def _coarse_best(
        self, moving: Grid, begin: list[Matrix], steps: int = _COARSE_STEPS
    ) -> tuple[Matrix, float] | None:
        fixed = self.coarse[0]
        best: tuple[Matrix, float] | None = None
        for start in begin:
            refined = refine_space(fixed, moving, start, steps)
            if refined is not None:
                reached = explained(fixed, moving, refined)
                best = (refined, reached) if best is None or reached > best[1] else best
        return best


def mirror_images(moving: Grid, turn: Matrix, axis: int) -> tuple[Grid, Matrix]:
    """Return the moving volume mirrored, and the rotation that lays it mirrored in a plane of fixed."""
    # Mirrored twice is turned: moving about its x, fixed about this axis.
    about = np.diag([-1.0, 1.0, 1.0]) @ turn
    about[:, axis] *= -1.0
    return Grid(moving.image, moving.weight, reflected(moving.geometry, 0)), about


def half_turns(moving: Grid, turn: Matrix, axis: int) -> tuple[Grid, Matrix]:
    """Return the moving volume, and the rotation that lays it half a turn wrong about an axis of fixed."""
    half = -np.eye(3)
    half[axis, axis] = 1.0
    return moving, turn @ half


def _spacing_for(fixed: Geometry, moving: Geometry, voxels: int) -> float:
    """Choose the working spacing: no finer than the finest axis, and no more voxels than asked for."""
    spacing = min(*fixed.spacing_mm, *moving.spacing_mm)
    while any(_count(g, spacing) > voxels for g in (fixed, moving)):
        spacing *= 1.1
    return spacing


def _count(geometry: Geometry, spacing_mm: float) -> float:
    sizes = zip(geometry.shape, geometry.spacing_mm, strict=True)
    return float(np.prod([n * min(1.0, step / spacing_mm) for n, step in sizes]))


def _blocks(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark every other block of a checkerboard in space."""
    z, y, x = (np.arange(n) // _BLOCK for n in shape)
    return np.asarray((z[:, None, None] + y[None, :, None] + x[None, None, :]) % 2 == 0)
