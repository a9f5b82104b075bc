"""A volume that an encoder learns from, layer by layer of its blocks: memory follows a layer and never the scan.

On blocks, values and features are means and a node is the commonest of its voxels. Of volumes with very many blocks
some layers are taken, spread evenly, and of very large planes their middle. Axes are the scan's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome.image import ScanMeta, read_brick, read_meta, slabs
from somray.io.ome.metadata import tile_shape
from somray.io.ome.pieces import PieceGrid
from somray.io.storage import Storage
from somray.kernels.grids.commonest import commonest
from somray.kernels.objects.grid import BlockMeans, ObjectGrid
from somray.kernels.pretrain.piece import NO_NODE
from somray.stages.pretrain.images import spread_slices
from somray.stages.pretrain.nodes import NodeMaps

__all__ = ["Blocks", "Layers", "layer_bytes"]

PIECE_SIDE = 96
"""Blocks along each axis of a piece, at most; neighbours are of one size."""
THINNEST = 32
"""Block rows of a layer, at least: a patch is as thick."""
LAYER_BYTES = 2**29
"""Of a layer's sums; what does not fit makes it thinner."""
MOST_BLOCKS = 2**24
"""Of a volume that is learned from."""
PLANE_SIDE = 384
"""Blocks along the sides of a plane, at most."""
SUM_BYTES = 12
"""Of one sum and its count (`BlockMeans`)."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Pixels or blocks with what is told of them.

    Args:
        values: (c, z, y, x) float32.
        nodes: (k, z, y, x) int16.
        features: (f, z, y, x) float32; of size 0 where they are not asked for.
    """

    values: NDArray[np.float32]
    nodes: NDArray[np.int16]
    features: NDArray[np.float32]

    def part(self, rows: slice, columns: slice) -> "Blocks":
        """Return some rows and columns of all of them."""
        box = (slice(None), slice(None), rows, columns)
        return Blocks(self.values[box], self.nodes[box], self.features[box])


def layer_bytes(planes: int) -> int:
    """Return what a layer of so many channels and features takes at most."""
    return max(LAYER_BYTES, planes * THINNEST * PLANE_SIDE**2 * SUM_BYTES)


@dataclass(frozen=True, eq=False)
class Layers:
    """The layers of one scan at its first time point.

    Args:
        place: the scan.
        level: its own level of uptake, where a channel is PET.
        maps: what its pixels are seen with.
        grid: the encoder's blocks.
        features: whether they are asked for.
    """

    place: ScanPlace
    level: float | None
    maps: NodeMaps
    grid: ObjectGrid
    features: bool

    @property
    def _meta(self) -> ScanMeta:
        return read_meta(Storage.at(self.place.root), self.place.name)

    @property
    def _planes(self) -> int:
        """Channels and features."""
        channels = len(self.maps.teacher.channels)
        return channels + (len(self.maps.teacher.center) if self.features else 0)

    @property
    def _sides(self) -> tuple[int, int]:
        """Rows and columns of blocks that are learned from."""
        _, rows, columns = self.grid.block_shape
        return min(rows, PLANE_SIDE), min(columns, PLANE_SIDE)

    def pieces(self) -> PieceGrid:
        """Return how the volume is cut."""
        depth, (high, wide) = self.grid.block_shape[0], self._sides
        thick = LAYER_BYTES // (self._planes * SUM_BYTES * high * wide)
        rows = _even(depth, min(max(thick, THINNEST), PIECE_SIDE))
        part = rows, _even(high, PIECE_SIDE), _even(wide, PIECE_SIDE)
        return PieceGrid((depth, high, wide), part)

    def chosen(self) -> list[tuple[int, int]]:
        """List the layers that are learned from: first block row, and the one after the last."""
        pieces = self.pieces()
        (rows, *_), (_, high, wide) = pieces.part, pieces.shape
        every = slabs(pieces.shape[0], rows)
        most = max(1, MOST_BLOCKS // (rows * high * wide))
        return [every[n] for n in spread_slices(len(every), most)]

    def read(self, first: int, last: int) -> Blocks:
        """Average the block rows from `first` to `last` (excluded)."""
        box, (fz, fy, fx) = self._box(first, last), self.grid.factors
        geometry = Geometry.from_spacing(box.shape, self.grid.source.spacing_mm)
        own = ObjectGrid(geometry, self.grid.factors)
        means = BlockMeans(own, self._planes)
        books = len(self.maps.books)
        nodes = np.full((books, *own.block_shape), NO_NODE, dtype=np.int16)
        for part in self._parts(box):
            corner = part.y0 - box.y0, part.x0 - box.x0
            values, told = self._seen(part)
            means.add(values, part.z0 - box.z0, corner)
            found = commonest(told, (fy, fx), NO_NODE)
            row, y, x = (part.z0 - box.z0) // fz, corner[0] // fy, corner[1] // fx
            nodes[:, row, y : y + found.shape[1], x : x + found.shape[2]] = found
        blocks = means.finish()
        channels = len(self.maps.teacher.channels)
        return Blocks(blocks[:channels], nodes, blocks[channels:])

    def _box(self, first: int, last: int) -> Brick:
        """Return the voxels of some block rows."""
        starts = [
            (n - side) // 2 for n, side in zip(self.grid.block_shape[1:], self._sides, strict=True)
        ]
        (fz, fy, fx), (depth, rows, columns) = self.grid.factors, self.grid.source.shape
        (y, x), (high, wide) = starts, self._sides
        return Brick(
            0, first * fz, min(last * fz, depth),
            y * fy, min((y + high) * fy, rows), x * fx, min((x + wide) * fx, columns),
        )  # fmt: skip

    def _parts(self, box: Brick) -> Iterator[Brick]:
        """Cut a box into block rows, and these, where slices are cut, into parts of whole blocks."""
        meta, (fz, fy, fx) = self._meta, self.grid.factors
        high, wide = box.shape[1:]
        if meta.is_cut:
            rows, columns = tile_shape((meta.shape[1], *meta.shape[3:]))
            high, wide = max(rows // fy, 1) * fy, max(columns // fx, 1) * fx
        for z0, z1 in slabs(box.z1 - box.z0, fz):
            for y0, y1 in slabs(box.y1 - box.y0, high):
                for x0, x1 in slabs(box.x1 - box.x0, wide):
                    yield Brick(
                        0,
                        box.z0 + z0,
                        box.z0 + z1,
                        box.y0 + y0,
                        box.y0 + y1,
                        box.x0 + x0,
                        box.x0 + x1,
                    )

    def _seen(self, part: Brick) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """Return channels and features (c + f, z, y, x), and nodes (k, z, y, x)."""
        values = read_brick(Storage.at(self.place.root), self.place.name, part)
        seen = list(self.maps.look(self.place, part, self.level))
        nodes = np.stack([one.nodes for one in seen], axis=1)
        if self.features:
            values = np.concatenate([values, np.stack([one.features for one in seen], axis=1)])
        return values, nodes


def _even(size: int, most: int) -> int:
    """Return the length of equal parts of an axis, none longer than `most`."""
    return -(-size // -(-size // most))
