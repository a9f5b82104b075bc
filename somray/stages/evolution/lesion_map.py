"""The instances of one time point as they lie in `labels/lesions`, before and after they have their identities.

Found instances are written under provisional numbers with a minus in front, brick by brick, and their lesion_ids
replace them later. So whatever is read about a brick tells both apart, and no volume is held.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.io.ome.arrays import store_errors
from somray.io.ome.chunks import StoredLevel
from somray.io.ome.image import ScanMeta, read_label_brick
from somray.io.storage import Storage
from somray.kernels.evolution.surroundings import near_in_block
from somray.kernels.lesions.parts import renumber

__all__ = ["LABEL", "PIECE_VOXELS", "LesionMap", "SessionScan", "by_brick"]

LABEL = "lesions"
PIECE_VOXELS = 2**18  # of lesions that are taken to another session at once
MOST_KEPT = 4  # bricks that are asked again and again


@dataclass(frozen=True)
class SessionScan:
    """One session's scan, opened: where it lies and what it says of itself."""

    storage: Storage
    place: ScanPlace
    meta: ScanMeta

    def values(self, brick: Brick, channel: int) -> NDArray[np.float32]:
        """Read one channel of any box of voxels, (z, y, x)."""
        array = StoredLevel(self.storage, self.place.name, "0")
        with store_errors(self.storage.uri(self.place.name)):
            return np.asarray(array[(brick.t, channel, *brick.box)], dtype=np.float32)

    def labels(self, name: str, brick: Brick) -> NDArray[np.integer[Any]]:
        """Read a label of any box of voxels, (z, y, x)."""
        return read_label_brick(self.storage, self.place.name, name, brick)

    def surrounded(self, brick: Brick, margin: tuple[int, int, int]) -> NDArray[np.int32]:
        """Read `labels/lesions` of a brick and a margin on all sides, 0 beyond the volume."""
        outer = brick.grown(margin, self.meta.shape[2:])
        block = np.zeros([n + 2 * m for n, m in zip(brick.shape, margin, strict=True)], np.int32)
        inside = tuple(
            slice(o - c + m, o - c + m + n)
            for o, c, m, n in zip(outer.corner, brick.corner, margin, outer.shape, strict=True)
        )
        block[inside] = self.labels(LABEL, outer)
        return block


class LesionMap:
    """The instances of one time point, voxel by voxel; see `common_frame.InstanceMap`.

    Args:
        scan: the scan.
        t: time index.
        bricks: those that hold any, by z, y and x.
        lookup: instance number by provisional number, 0 for none.
    """

    def __init__(
        self, scan: SessionScan, t: int, bricks: Sequence[Brick], lookup: NDArray[np.int32]
    ) -> None:
        self.scan, self.t, self.bricks, self.lookup = scan, t, bricks, lookup
        self._kept: dict[Brick, NDArray[np.int32]] = {}

    def numbers(self, brick: Brick) -> NDArray[np.int32]:
        """Read the instance numbers of any box of voxels, (z, y, x)."""
        block = np.require(self.scan.labels(LABEL, brick), np.int32, ["C", "W"])
        renumber(block, self.lookup)
        return block

    def pieces(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """Yield the voxels (n, 3) of all instances and the instance number of each."""
        for brick in self.bricks:
            block = self.numbers(brick)
            found = np.flatnonzero(block)
            for start in range(0, len(found), PIECE_VOXELS):
                part = found[start : start + PIECE_VOXELS]
                index = np.stack(np.unravel_index(part, block.shape), axis=1)
                yield index + np.array(brick.corner), block.ravel()[part]
        self._kept.clear()

    def at(self, index: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the instance number at each voxel (n, 3), 0 for none."""
        found = np.zeros(len(index), dtype=np.int32)
        for brick, which in by_brick(self.bricks, index):
            if brick not in self._kept:
                if len(self._kept) == MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[brick] = self.numbers(brick)
            z, y, x = (index[which] - np.array(brick.corner)).T
            found[which] = self._kept[brick][z, y, x]
        return found

    def near(
        self, index: NDArray[np.int64], reach: tuple[int, int, int], counted: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell which voxels lie in a counted instance or, along one axis, within reach of one."""
        near = np.zeros(len(index), dtype=bool)
        meta = self.scan.meta
        for brick, which in by_brick(meta.bricks(self.t), index):
            low, high = index[which].min(axis=0).tolist(), (index[which].max(axis=0) + 1).tolist()
            part = Brick(brick.t, low[0], high[0], low[1], high[1], low[2], high[2])
            outer = part.grown(reach, meta.shape[2:])
            block = self.numbers(outer)
            near[which] = near_in_block(
                block, index[which] - np.array(outer.corner), reach, counted
            )
        return near

    def rest(self) -> None:
        """Let go of what is kept."""
        self._kept.clear()


def by_brick(
    bricks: Sequence[Brick], index: NDArray[np.int64]
) -> Iterator[tuple[Brick, NDArray[np.int64]]]:
    """Yield which of the voxels (n, 3) lie in each brick that has any, in the order of the bricks."""
    order = np.argsort(index[:, 0], kind="stable")
    z = index[order, 0]
    for brick in bricks:
        part = order[slice(*np.searchsorted(z, (brick.z0, brick.z1)).tolist())]
        y, x = index[part, 1], index[part, 2]
        inside = (y >= brick.y0) & (y < brick.y1) & (x >= brick.x0) & (x < brick.x1)
        if inside.any():
            yield brick, part[inside]
