"""Which rule finds a scan's objects: one per kind of image, chosen by the protocol's modality."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.objects import uptake
from somray.kernels.objects.found import FoundObject
from somray.kernels.objects.grid import ObjectGrid
from somray.kernels.objects.uptake_rule import find_hot_objects
from somray.kernels.windows import channel_kind

__all__ = ["ScanRule", "rule_for"]

Heights = tuple[float, float]


@dataclass(frozen=True)
class ScanRule:
    """How the objects of a scan are found.

    Args:
        name: uptake.
        kinds: what each channel measures (`windows.channel_kind`).
    """

    name: str
    kinds: tuple[str, ...]

    @property
    def grid_mm(self) -> float:
        """Size of the blocks that objects are found on."""
        return uptake.GRID_MM

    @property
    def keeps_mask(self) -> bool:
        """Whether lesions keep the pixels that the map or student drew."""
        return False

    @property
    def has_uptake(self) -> bool:
        """Whether a channel measures uptake."""
        return "PET" in self.kinds

    def find(
        self, means: NDArray[np.float32], grid: ObjectGrid
    ) -> tuple[NDArray[np.int32], list[FoundObject], Heights | None]:
        """Find the objects of one time point.

        Args:
            means: (c + 1, z, y, x) channels and the target's share on the grid, NaN where there is no data.
            grid: theirs.

        Returns:
            Labels (z, y, x) int32, the objects in the order of their numbers, and from which height to which a
            body is shown (None where it has no landmarks).
        """
        pet = means[self.kinds.index("PET")]
        ct = means[self.kinds.index("CT")] if "CT" in self.kinds else None
        scene = uptake.uptake_scene(pet, ct, grid.spacing_mm, grid.oriented)
        if scene is None:
            return np.zeros(grid.shape, dtype=np.int32), [], None
        labels, objects = find_hot_objects(scene)
        heights = None
        if scene.frame is not None:
            lowest, highest = (scene.frame.place((z, 0, 0)).height for z in (0, grid.shape[0] - 1))
            heights = (float(highest), float(lowest))
        return labels, objects, heights


def rule_for(modality: str, channels: tuple[str, ...]) -> ScanRule | None:
    """Return the rule of a protocol; None where lesions are followed as the map draws them (XCT, others)."""
    kinds = tuple(channel_kind(modality, channel) for channel in channels)
    return ScanRule("uptake", kinds) if "PET" in kinds else None
