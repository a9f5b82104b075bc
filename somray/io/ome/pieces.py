"""What an encoder learns from one scan, cut into pieces: a zarr v3 group of sharded arrays, a shard a piece.

Arrays are (lead, z, y, x) and share the last three axes; every piece is a box of them that begins where a shard does.
The order is the law: `create_pieces`, `write_piece` for every array and piece, `finish_pieces`; only the last sets
`attributes.somray.complete`, which `io.ome.marks.is_complete` reads.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from somray.io.ome.arrays import store_errors
from somray.io.ome.chunks import StoredLevel
from somray.io.ome.shards import stored_layout, write_shard
from somray.io.storage import Storage

__all__ = ["PieceGrid", "create_pieces", "finish_pieces", "read_piece_array", "write_piece"]

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class PieceGrid:
    """How the last three axes are cut.

    Args:
        shape: of all arrays along (z, y, x).
        part: of a piece; the last ones may be smaller.
    """

    shape: Shape
    part: Shape

    def corners(self) -> list[Shape]:
        """List where pieces begin, by z, y and x."""
        axes = (range(0, n, p) for n, p in zip(self.shape, self.part, strict=True))
        return [(z, y, x) for z, y, x in itertools.product(*axes)]

    def box(self, corner: Shape) -> tuple[slice, slice, slice]:
        """Return the box of the piece that begins at a corner."""
        z, y, x = (
            slice(c, min(c + p, n)) for c, p, n in zip(corner, self.part, self.shape, strict=True)
        )
        return z, y, x


def create_pieces(
    storage: Storage, name: str, grid: PieceGrid, arrays: Mapping[str, tuple[int, str]]
) -> None:
    """Make the empty arrays of a group, each of a length along its first axis and a type; what was there is removed."""
    with store_errors(storage.uri(name)):
        storage.remove(name)
        zarr.create_group(
            zarr_format=3, store=storage.zarr(name), attributes={"somray": {"complete": False}}
        )
        for array, (lead, dtype) in arrays.items():
            zarr.create_array(
                store=storage.zarr(name),
                name=array,
                shape=(lead, *grid.shape),
                chunks=(1, *grid.part),
                shards=(lead, *grid.part),
                dtype=dtype,
                compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
                fill_value=float("nan") if dtype.startswith("float") else -1,
                dimension_names=("c", "z", "y", "x"),
            )


def write_piece(
    storage: Storage, name: str, array: str, corner: Shape, block: NDArray[Any]
) -> None:
    """Write one piece (lead, z, y, x) of an array; a smaller one is filled up with what means no data."""
    place = f"{name}/{array}"
    with store_errors(storage.uri(place)):
        layout = stored_layout(storage, place)
        whole = np.ascontiguousarray(block, dtype=layout.dtype)
        write_shard(storage, place, (0, *corner), whole, layout)


def finish_pieces(storage: Storage, name: str) -> None:
    """Mark a group as complete."""
    with store_errors(storage.uri(name)):
        group = zarr.open_group(store=storage.zarr(name), mode="r+")
        group.update_attributes({"somray": {"complete": True}})


def read_piece_array(
    storage: Storage, name: str, array: str, box: tuple[slice, slice, slice]
) -> NDArray[Any]:  # Any: the array's own type
    """Read a box of an array (lead, z, y, x)."""
    opened = StoredLevel(storage, name, array)
    with store_errors(storage.uri(name)):
        return opened[(slice(None), *box)]
