"""Which rule finds a scan's objects: one per kind of image, chosen by the protocol's modality."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of, kinds_of
from somray.kernels.objects.found import FoundObject
from somray.kernels.objects.grid import ObjectGrid
from somray.kernels.objects.intensity.dense_rule import DENSE_GRID_MM, name_dense_objects
from somray.kernels.objects.intensity.head import look_at
from somray.kernels.objects.intensity.rule import INTENSITY_GRID_MM, objects_of
from somray.kernels.objects.lung.rule import LUNG_GRID_MM, find_in_lung
from somray.kernels.objects.map_parts import MOST_BLOCKS, find_map_parts, map_parts
from somray.kernels.objects.uptake.find import GRID_MM as UPTAKE_GRID_MM
from somray.kernels.objects.uptake.find import uptake_scene
from somray.kernels.objects.uptake.rule import find_hot_objects

__all__ = ["FoundScan", "ScanRule", "rule_for", "rule_of_kinds"]


GRIDS_MM = {
    "uptake": UPTAKE_GRID_MM,
    "intensity": INTENSITY_GRID_MM,
    "dense": DENSE_GRID_MM,
    "lung": LUNG_GRID_MM,
}


FLAT = 4
"""Times `MOST_BLOCKS` that whole voxels may make of it; a flat scan, thinner than such a block, would have more."""


def _blocks(
    size_mm: float, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> int:
    """Return how many blocks of about a size cover a scan (`grid.object_grid`)."""
    factors = [max(1, round(size_mm / s)) for s in spacing_mm]
    return math.prod(-(-n // f) for n, f in zip(shape, factors, strict=True))


@dataclass(frozen=True, eq=False)
class FoundScan:
    """What was found at one time point of a scan.

    Args:
        labels: (z, y, x) int32 on the grid, 0 outside.
        objects: in the order of their numbers.
        body: (z, y, x) bool, cavities included; None where nothing tells it.
        heights: of a body's frame, from which to which the scan shows it; None without landmarks.
        keeps_mask: whether lesions keep the pixels that the map or student drew.
    """

    labels: NDArray[np.int32]
    objects: list[FoundObject]
    body: NDArray[np.bool_] | None = None
    heights: tuple[float, float] | None = None
    keeps_mask: bool = False


@dataclass(frozen=True)
class ScanRule:
    """How the objects of a scan are found.

    Args:
        name: uptake (PET, PETCT), intensity (MR), dense (CT: as the map draws them, bones and
            tables named), lung (CT where a person asks for it: what the lung encloses) or map (as
            the map draws them).
        kinds: what each channel measures (`domain.channel`).
    """

    name: str
    kinds: tuple[str, ...]

    def grid_mm(self, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> float:
        """Return the size of the blocks that a scan's objects are found on.

        Args:
            shape: voxels of the scan along (z, y, x).
            spacing_mm: their size.
        """
        if self.name == "map":
            extent = float(np.prod(np.multiply(shape, spacing_mm)))
            size = max(float(np.cbrt(extent / MOST_BLOCKS)), min(spacing_mm))
            while _blocks(size, shape, spacing_mm) > FLAT * MOST_BLOCKS:
                size *= 1.1
            return size
        return GRIDS_MM[self.name]

    @property
    def follows_parts(self) -> bool:
        """Whether connected parts are followed, not objects: where a map draws lesions by itself."""
        return self.name in ("dense", "map")

    @property
    def asks_map(self) -> bool:
        """Whether the target that a map or student drew has a say in what is found."""
        return self.name not in ("uptake", "lung")

    @property
    def has_uptake(self) -> bool:
        """Whether a channel measures uptake."""
        return "PET" in self.kinds

    def find(self, means: NDArray[np.float32], grid: ObjectGrid) -> FoundScan:
        """Find the objects of one time point.

        Args:
            means: (c + 1, z, y, x) channels and the target's share on the grid, NaN where there is no data.
            grid: theirs.
        """
        if self.name == "uptake":
            return self._by_uptake(means, grid)
        if self.name == "lung":
            return FoundScan(*find_in_lung(means[0], grid.spacing_mm))
        image, mask = means[0], np.nan_to_num(means[-1])
        if self.name == "map":
            return FoundScan(*find_map_parts(image, mask, grid.spacing_mm), keeps_mask=True)
        if self.name == "dense":
            parts = map_parts(mask)
            named = name_dense_objects(image, parts, grid.spacing_mm, grid.oriented)
            return FoundScan(parts, named, keeps_mask=True)
        return _by_intensity(image, mask, grid)

    def _by_uptake(self, means: NDArray[np.float32], grid: ObjectGrid) -> FoundScan:
        pet = means[self.kinds.index("PET")]
        ct = means[self.kinds.index("CT")] if "CT" in self.kinds else None
        scene = uptake_scene(pet, ct, grid.spacing_mm, grid.oriented)
        if scene is None:
            return FoundScan(np.zeros(grid.shape, dtype=np.int32), [])
        labels, objects = find_hot_objects(scene)
        heights = None
        if scene.frame is not None:
            lowest, highest = (scene.frame.place((z, 0, 0)).height for z in (0, grid.shape[0] - 1))
            heights = (float(highest), float(lowest))
        return FoundScan(labels, objects, scene.body, heights)


def _by_intensity(
    image: NDArray[np.float32], mask: NDArray[np.float32], grid: ObjectGrid
) -> FoundScan:
    """Find objects by a head's symmetry and skull; a bare brain shows neither, so there the map's word stands."""
    scene = look_at(image, mask, grid.spacing_mm)
    if scene is None:
        return FoundScan(np.zeros(grid.shape, dtype=np.int32), [])
    if scene.is_bare:
        parts = find_map_parts(image, mask, grid.spacing_mm)
        return FoundScan(*parts, body=scene.body, keeps_mask=True)
    labels, objects = objects_of(scene, image, grid.oriented)
    return FoundScan(labels, objects, scene.body)


def rule_for(modality: str, channels: tuple[str, ...], asked: str = "auto") -> ScanRule:
    """Return the rule of a protocol; CT keeps the pixels of its map, micro-CT and others its objects too.

    Args:
        modality: of the protocol.
        channels: of the protocol.
        asked: `lung` where a person asks for what the lung encloses.
    """
    kinds = kinds_of(channels_of(modality, channels))
    return ScanRule("lung", kinds) if asked == "lung" else rule_of_kinds(kinds)


def rule_of_kinds(kinds: tuple[str, ...]) -> ScanRule:
    """Return the rule of scans whose channels measure this."""
    if "PET" in kinds:
        return ScanRule("uptake", kinds)
    return ScanRule({"MR": "intensity", "CT": "dense"}.get(kinds[0], "map"), kinds)
