"""The grid that objects are found on: voxels of some millimetres, turned so that axes have meaning.

Objects are larger than a pixel, so a scan of any size is first averaged, plane by plane, onto blocks of about
`GRID_MM`; memory then follows the body's size, never the number of pixels. Sums run plane by plane in order of
z, so the bits do not depend on how slabs were cut. On the grid z runs to superior, y to posterior and x to
left, where the scan's geometry knows them. What is found there is drawn back onto pixels slab by slab, by
linear interpolation of each object's own mask.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ShapeError

__all__ = ["BlockMeans", "ObjectGrid", "object_grid"]

LONG_RUN = 8  # voxels of a block's side, up to which they are added one by one

Span = tuple[int, int]
Plane = tuple[Span, Span]


@dataclass(frozen=True)
class ObjectGrid:
    """Blocks of a scan's voxels, and how they are turned.

    Args:
        source: the scan's grid.
        factors: voxels per block along the scan's (z, y, x).
        axes: which of the scan's axes is the grid's z, y, x.
        flips: which of the grid's axes run against the scan's.
        oriented: whether the axes' directions in the patient are known.
    """

    source: Geometry
    factors: tuple[int, int, int]
    axes: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)
    oriented: bool = False

    @property
    def block_shape(self) -> tuple[int, int, int]:
        """Blocks along the scan's own (z, y, x); the last ones may be cut."""
        z, y, x = (-(-n // f) for n, f in zip(self.source.shape, self.factors, strict=True))
        return z, y, x

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the grid along its (z, y, x)."""
        z, y, x = (self.block_shape[axis] for axis in self.axes)
        return z, y, x

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Size of the grid's voxels along its (z, y, x)."""
        own = [s * f for s, f in zip(self.source.spacing_mm, self.factors, strict=True)]
        z, y, x = (own[axis] for axis in self.axes)
        return z, y, x

    def turned(self, blocks: NDArray[Any]) -> NDArray[Any]:  # Any: pixels of any kind
        """Turn blocks (…, z, y, x) in the scan's order to the grid's."""
        lead = blocks.ndim - 3
        order = (*range(lead), *(lead + axis for axis in self.axes))
        return np.asarray(
            np.flip(blocks.transpose(order), tuple(lead + axis for axis in self._flipped))
        )

    def unturned(self, grid: NDArray[Any]) -> NDArray[Any]:  # Any: pixels of any kind
        """Turn a grid (z, y, x) back to the scan's order."""
        return np.asarray(np.flip(grid, self._flipped).transpose(np.argsort(self.axes)))

    @property
    def _flipped(self) -> tuple[int, ...]:
        return tuple(axis for axis, flip in enumerate(self.flips) if flip)

    def to_world(self, index_zyx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take grid indices (n, 3) in z, y, x to patient LPS mm (n, 3) in x, y, z."""
        index = np.array(index_zyx, dtype=np.float64)
        for axis, flip in enumerate(self.flips):
            if flip:
                index[:, axis] = self.shape[axis] - 1 - index[:, axis]
        source = np.empty_like(index)
        source[:, list(self.axes)] = index
        factors = np.array(self.factors, dtype=np.float64)
        return self.source.to_world(source * factors + (factors - 1) / 2)

    def _box(self, z0: int, z1: int, plane: Plane | None) -> tuple[Span, Span, Span]:
        """Return the voxels of the scan that are asked for; whole slices without `plane`."""
        rows, columns = plane or tuple((0, n) for n in self.source.shape[1:])
        return (z0, z1), rows, columns

    def draw(
        self, labels: NDArray[np.int32], z0: int, z1: int, plane: Plane | None = None
    ) -> NDArray[np.int32]:
        """Draw objects on the scan's slices z0 to z1 (excluded).

        Args:
            labels: (z, y, x) int32 on the grid, 0 outside.
            z0: first slice of the scan.
            z1: slice after the last.
            plane: rows and columns, (start, stop) each; all where left out.

        Returns:
            (z1 - z0, y, x) int32: the object whose own mask, interpolated linearly, is largest and at
            least one half.
        """
        blocks: NDArray[np.int32] = np.ascontiguousarray(self.unturned(labels), dtype=np.int32)
        box = self._box(z0, z1, plane)
        shape = tuple(stop - start for start, stop in box)
        drawn, share = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.float32)
        for number, (low, high) in _boxes(blocks).items():
            places = [
                _between(self.factors[axis], (low[axis], high[axis]), limits)
                for axis, limits in enumerate(box)
            ]
            if any(len(where) == 0 for where, _, _ in places):
                continue
            own = np.pad((blocks[_inside(low, high)] == number).astype(np.float32), 1)
            for axis, (_, index, weight) in enumerate(places):
                own = _lerp(own, axis, index, weight)
            window = tuple(slice(w[0], w[-1] + 1) for w, _, _ in places)
            better = (own >= 0.5) & (own > share[window])
            drawn[window][better] = number
            share[window][better] = own[better]
        return drawn

    def sampled(
        self, values: NDArray[np.float32], z0: int, z1: int, plane: Plane | None = None
    ) -> NDArray[np.float32]:
        """Interpolate values (z, y, x) on the grid linearly on slices z0 to z1 (excluded); see `draw`."""
        found: NDArray[np.float32] = np.ascontiguousarray(self.unturned(values), dtype=np.float32)
        shape = found.shape
        found = np.pad(found, 1, mode="edge")
        for axis, limits in enumerate(self._box(z0, z1, plane)):
            reach = (0, shape[axis] - 1)
            _, index, weight = _between(self.factors[axis], reach, limits)
            found = _lerp(found, axis, index, weight)
        return found

    def onto(self, values: NDArray[np.float32], other: "ObjectGrid") -> NDArray[np.float32]:
        """Interpolate values (z, y, x) on the grid linearly at another grid's blocks of the same scan."""
        found: NDArray[np.float32] = np.ascontiguousarray(self.unturned(values), dtype=np.float32)
        shape = found.shape
        found = np.pad(found, 1, mode="edge")
        for axis, count in enumerate(other.block_shape):
            own, theirs = self.factors[axis], other.factors[axis]
            at = (np.arange(count) + 0.5) * theirs / own - 0.5 + 1
            low = np.clip(np.floor(at), 0, shape[axis]).astype(np.intp)
            found = _lerp(found, axis, low, np.clip(at - low, 0.0, 1.0).astype(np.float32))
        return np.ascontiguousarray(other.turned(found), dtype=np.float32)

    def nearest(
        self, labels: NDArray[np.int32], z0: int, z1: int, plane: Plane | None = None
    ) -> NDArray[np.int32]:
        """Give every voxel of slices z0 to z1 (excluded) its block's label; see `draw`."""
        blocks = self.unturned(labels)
        ranges = [np.arange(*span) for span in self._box(z0, z1, plane)]
        z, y, x = (voxels // f for voxels, f in zip(ranges, self.factors, strict=True))
        return np.ascontiguousarray(blocks[np.ix_(z, y, x)], dtype=np.int32)


def object_grid(geometry: Geometry, size_mm: float, oriented: bool) -> ObjectGrid:
    """Choose blocks of about a size, and turn them to superior, posterior, left where that is known.

    Args:
        geometry: the scan's grid.
        size_mm: wanted size of a block; no block is smaller than a voxel.
        oriented: whether the geometry's directions are the patient's.

    Raises:
        ShapeError: the size is not positive.
    """
    if not size_mm > 0:
        raise ShapeError(f"size_mm must be positive, got {size_mm}")
    z, y, x = (max(1, round(size_mm / s)) for s in geometry.spacing_mm)
    if not oriented:
        return ObjectGrid(geometry, (z, y, x))
    direction = geometry.matrix[:3, :3] / np.linalg.norm(geometry.matrix[:3, :3], axis=0)
    towards = direction[::-1, ::-1]  # rows: patient's z, y, x; columns: the scan's z, y, x
    axes = _nearest_axes(np.abs(towards))
    flips = tuple(bool(towards[row, axis] < 0) for row, axis in enumerate(axes))
    return ObjectGrid(geometry, (z, y, x), axes, (flips[0], flips[1], flips[2]), True)


def _nearest_axes(share: NDArray[np.float64]) -> tuple[int, int, int]:
    """Give each of the patient's axes the scan's axis that lies along it most, all different."""
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    return max(orders, key=lambda order: sum(share[row, axis] for row, axis in enumerate(order)))


class BlockMeans:
    """Averages a scan over the grid's blocks while its slabs come by.

    Args:
        grid: where to.
        channels: how many the slabs have.
    """

    def __init__(self, grid: ObjectGrid, channels: int) -> None:
        self._grid = grid
        self._sum = np.zeros((channels, *grid.block_shape))
        self._count = np.zeros((channels, *grid.block_shape), dtype=np.int32)

    def add(
        self, slab: NDArray[np.floating], z_start: int, corner: tuple[int, int] = (0, 0)
    ) -> None:
        """Take slices (c, z, y, x) from `z_start` on; NaN is no data.

        Args:
            slab: whole slices, or boxes of whole blocks, so that each is summed in one piece.
            z_start: first slice.
            corner: first row and column.

        Raises:
            ShapeError: the corner cuts a block.
        """
        _, fy, fx = self._grid.factors
        if corner[0] % fy or corner[1] % fx:
            raise ShapeError(f"a box must begin where a block of {fy} × {fx} does, got {corner}")
        rows, columns = (
            slice(at // f, at // f + -(-n // f))
            for at, f, n in zip(corner, (fy, fx), slab.shape[2:], strict=True)
        )
        for n in range(slab.shape[1]):
            plane = slab[:, n].astype(np.float64)
            known = np.isfinite(plane)
            if not known.all():
                plane = np.where(known, plane, 0.0)
            row = (z_start + n) // self._grid.factors[0]
            self._sum[:, row, rows, columns] += _block_sums(plane, (fy, fx))
            self._count[:, row, rows, columns] += _block_sums(known.astype(np.int32), (fy, fx))

    def finish(self) -> NDArray[np.float32]:
        """Return the means (c, z, y, x) float32 on the grid, NaN where no voxel of a block has data."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (self._sum / self._count).astype(np.float32)
        return np.ascontiguousarray(self._grid.turned(means), dtype=np.float32)


def _block_sums(plane: NDArray[Any], factors: tuple[int, int]) -> NDArray[Any]:
    """Add the voxels (…, y, x) of each block; the last blocks may be cut."""
    for axis, factor in zip((-2, -1), factors, strict=True):
        if factor > 1:
            plane = _runs_added(plane.swapaxes(axis, 0), factor).swapaxes(axis, 0)
    return plane


def _runs_added(lines: NDArray[Any], run: int) -> NDArray[Any]:
    """Add every `run` lines: the first to the sum of the others, as `np.add.reduceat` does, with its bits.

    That one walks short runs slowly; it adds long ones in pairs, and is asked itself.
    """
    if run > LONG_RUN:
        return np.asarray(np.add.reduceat(lines, np.arange(0, len(lines), run), axis=0))
    others = lines[1::run].copy()
    for step in range(2, run):
        more = lines[step::run]
        others[: len(more)] += more
    sums = lines[::run].copy()
    sums[: len(others)] += others
    return sums


def _boxes(
    blocks: NDArray[np.int32],
) -> dict[int, tuple[tuple[int, int, int], tuple[int, int, int]]]:
    """Return lowest and highest index of each object present."""
    from scipy.ndimage import find_objects  # scipy.ndimage takes a while to load

    found = {}
    for number, box in enumerate(find_objects(blocks), start=1):
        if box is not None:
            z, y, x = box
            found[number] = (
                (z.start, y.start, x.start),
                (z.stop - 1, y.stop - 1, x.stop - 1),
            )
    return found


def _inside(low: tuple[int, int, int], high: tuple[int, int, int]) -> tuple[slice, ...]:
    return tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))


def _between(
    factor: int, reach: tuple[int, int], limits: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Say which voxels along an axis see blocks `reach`, and between which blocks each lies.

    Returns:
        Voxel index from the limits' start on, the lower block (0: one before the reach), the weight of the
        upper.
    """
    first = max(limits[0], (reach[0] - 1) * factor)
    last = min(limits[1], (reach[1] + 2) * factor)
    voxels = np.arange(first, max(last, first))
    at = (voxels + 0.5) / factor - 0.5 - (reach[0] - 1)
    low = np.clip(np.floor(at), 0, reach[1] - reach[0] + 1).astype(np.intp)
    return voxels - limits[0], low, np.clip(at - low, 0.0, 1.0).astype(np.float32)


def _lerp(
    block: NDArray[np.float32], axis: int, low: NDArray[np.intp], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    shape = [1, 1, 1]
    shape[axis] = -1
    upper = weight.reshape(shape)
    return np.asarray(
        block.take(low, axis) * (1 - upper) + block.take(low + 1, axis) * upper, dtype=np.float32
    )
