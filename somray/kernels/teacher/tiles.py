"""Labelling a slice in tiles: features of a tile are written to a small block, labelled there, forgotten.

So memory does not grow with the slice beyond its result, and a pixel's verdict depends neither on tiles
nor on threads.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from somray.kernels.features.spacing import ChannelView
from somray.kernels.features.table import FeaturePlan
from somray.kernels.grids.patch import Box
from somray.kernels.teacher.signature import EVERY
from somray.kernels.teacher.transfer import Nodes, Verdict, label_block

__all__ = ["SliceView", "kept_rows", "label_slice", "take_back"]

TILE_COLUMNS = 1024
"""Columns of a tile; whole rows where a slice has no more."""

TILE_VALUES = 262_144
"""Features in a tile, over all channels, 1 MiB (bench_features: a quarter of it costs a tenth more time
for its calls, and more brings nothing)."""


class SliceView(NamedTuple):
    """One slice, or a part of one, with everything that labelling it takes.

    Args:
        channels: in image order.
        box: rows and columns of the slice that are labelled.
        plan: which features.
        nodes: of the teacher.
    """

    channels: list[ChannelView]
    box: Box
    plan: FeaturePlan
    nodes: Nodes

    @property
    def first_kept(self) -> int:
        """The first row that a scan's signature looks at, counted from the first that is labelled."""
        return -self.box[0] % EVERY


def kept_rows(box: Box) -> int:
    """Count the rows of a box of a slice that its scan's signature looks at."""
    return -(-box[1] // EVERY) - -(-box[0] // EVERY)


def label_slice(slice_: SliceView, out: Verdict, threads: int, kept: NDArray[np.float32]) -> None:
    """Write the verdict on a slice's box, its rows divided among threads.

    Args:
        slice_: the slice.
        out: planes (y, x) of the box, written.
        threads: the result does not depend on them.
        kept: (c·f, `kept_rows`, x), written with the raw features of every `EVERY`-th row of the slice,
            anything where a channel has no data; of size 0 where they are not wanted.
    """
    rows = out.labels.shape[0]
    if any(c.frame.missing == math.prod(c.seen.shape) for c in slice_.channels):
        _mark_holes(slice_, (0, rows), out)
        return
    if threads <= 1 or rows < 2 * threads:
        _label_rows(slice_, (0, rows), out, kept)
        return
    edges = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda span: _label_rows(slice_, span, out, kept), pairwise(edges)))


def _label_rows(
    slice_: SliceView, rows: tuple[int, int], out: Verdict, kept: NDArray[np.float32]
) -> None:
    """Write some rows of the verdict, columns by columns and band by band."""
    count, width = slice_.plan.planes, out.labels.shape[1]
    top, _, left, _ = slice_.box
    wide = min(width, TILE_COLUMNS)
    high = min(max(4, TILE_VALUES // (count * len(slice_.channels) * wide)), rows[1] - rows[0])
    for x in range(0, width, wide):
        columns = (x, min(x + wide, width))
        across = columns[1] - columns[0]
        place = (left + columns[0], left + columns[1])
        streams = [channel.stream(slice_.plan, place, high) for channel in slice_.channels]
        block = np.empty((len(streams), count, high, across), dtype=np.float32)
        samples = block.reshape(len(streams) * count, high * across)
        for y in range(rows[0], rows[1], high):
            end = min(y + high, rows[1])
            for stream, part in zip(streams, block, strict=True):
                stream.write(top + y, top + end, part, 0)
            _label_tile(samples, slice_.nodes, out.part((slice(y, end), slice(*columns))))
            if kept.size:
                planes = samples.reshape(len(samples), high, across)
                _keep(planes[:, : end - y], y, slice_.first_kept, kept[:, :, slice(*columns)])
    _mark_holes(slice_, rows, out)


def _keep(planes: NDArray[np.float32], y: int, first: int, kept: NDArray[np.float32]) -> None:
    """Keep the rows first, first + `EVERY` … of features (f, rows, x) whose first row is y."""
    begin = -(-(y - first) // EVERY)
    source = planes[:, first + begin * EVERY - y :: EVERY]
    kept[:, begin : begin + source.shape[1]] = source


def _label_tile(samples: NDArray[np.float32], nodes: Nodes, out: Verdict) -> None:
    """Write the verdict of a tile, parts (y, x) of the planes."""
    if out.labels.flags.c_contiguous:  # whole rows: no copy between
        label_block(samples, nodes, out.flat)
        return
    made = Verdict(out.labels.copy(), out.confidence.copy())
    label_block(samples, nodes, made.flat)
    out.labels[:], out.confidence[:] = made


def _mark_holes(slice_: SliceView, rows: tuple[int, int], out: Verdict) -> None:
    """Take back the verdict where any channel has no data."""
    for channel in slice_.channels:
        if channel.has_holes:
            top, _, left, right = slice_.box
            part = channel.patch.at((top + rows[0], top + rows[1], left, right))
            take_back(np.isnan(part), rows, out)


def take_back(holes: NDArray[np.bool_], rows: tuple[int, int], out: Verdict) -> None:
    """Write what holes in some rows of a slice get."""
    part = slice(*rows)
    out.labels[part][holes] = 0
    if out.confidence.size:
        out.confidence[part][holes] = 0.0
