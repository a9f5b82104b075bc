"""The pieces that an encoder learns from, read from the shards of many scans; a few of them are held."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.work import digest_of
from somray.io.ome.pieces import PieceGrid, read_piece_array
from somray.io.storage import Storage
from somray.kernels.pretrain.piece import TaughtPiece
from somray.kernels.student.views import Window

__all__ = ["ScanShards", "ShardSource"]

HELD_BYTES = 2**27
"""Of pieces that are kept in memory beside those in use: storage far away answers late."""


@dataclass(frozen=True)
class ScanShards:
    """The pieces of one scan.

    Args:
        group: where they lie in the run.
        digest: of all that they hold.
        grid: how they are cut.
        corners: where pieces begin.
        windows: per channel (low, high), of this scan.
        axes: of a volume, which of the scan's axes is the encoder's z, y, x; () of slices.
        flips: which of the encoder's axes run against the scan's.
        features: whether features were written.
    """

    group: str
    digest: str
    grid: PieceGrid
    corners: tuple[tuple[int, int, int], ...]
    windows: tuple[Window, ...]
    axes: tuple[int, ...] = ()
    flips: tuple[bool, ...] = ()
    features: bool = False

    @classmethod
    def of(cls, group: str, told: Mapping[str, Any]) -> "ScanShards":  # Any: JSON
        """Read what the unit that wrote them told (`shards.run`)."""
        z, y, x = told["shape"]
        depth, rows, columns = told["part"]
        return cls(
            group=group,
            digest=told["digest"],
            grid=PieceGrid((z, y, x), (depth, rows, columns)),
            corners=tuple((a, b, c) for a, b, c in told["corners"]),
            windows=tuple((low, high) for low, high in told["windows"]),
            axes=tuple(told.get("axes", ())),
            flips=tuple(told.get("flips", ())),
            features=told["features"],
        )

    def turned(self, block: NDArray[Any]) -> NDArray[Any]:  # Any: an array's own type
        """Turn a piece (lead, z, y, x) of a volume to the encoder's axes; of slices, drop z."""
        if not self.axes:
            return np.ascontiguousarray(block[:, 0])
        flipped = tuple(1 + axis for axis, flip in enumerate(self.flips) if flip)
        order = (0, *(1 + axis for axis in self.axes))
        return np.ascontiguousarray(np.flip(block.transpose(order), flipped))


class ShardSource:
    """All pieces of many scans, in their order; see `kernels.pretrain.piece.PieceSource`.

    Args:
        root: path or URL of the run.
        scans: whose pieces.
    """

    def __init__(self, root: str, scans: Sequence[ScanShards]) -> None:
        self._root, self._scans = root, tuple(scans)
        self._places = [(scan, corner) for scan in self._scans for corner in scan.corners]
        self._held: OrderedDict[int, TaughtPiece] = OrderedDict()

    def __len__(self) -> int:
        """Count the pieces."""
        return len(self._places)

    def __getstate__(self) -> dict[str, Any]:
        """Travel without the pieces that are held."""
        return {**self.__dict__, "_held": OrderedDict()}

    def digest(self) -> str:
        """Name all that they hold."""
        return digest_of([scan.digest for scan in self._scans])

    def read(self, number: int) -> TaughtPiece:
        """Read one piece.

        Raises:
            StoreError: it is missing or cannot be read.
        """
        if number not in self._held:
            self._held[number] = self._read(number)
        self._held.move_to_end(number)
        while len(self._held) > 1 and sum(map(_bytes, self._held.values())) > HELD_BYTES:
            self._held.popitem(last=False)
        return self._held[number]

    def _read(self, number: int) -> TaughtPiece:
        scan, corner = self._places[number]
        storage, box = Storage.at(self._root), scan.grid.box(corner)
        names = ("values", "nodes", *(("features",) if scan.features else ()))
        found = {
            name: scan.turned(read_piece_array(storage, scan.group, name, box)) for name in names
        }
        values = found["values"]
        nothing = np.zeros((0, *values.shape[1:]), dtype=np.float16)
        return TaughtPiece(values, found["nodes"], found.get("features", nothing), scan.windows)


def _bytes(piece: TaughtPiece) -> int:
    return piece.values.nbytes + piece.nodes.nbytes + piece.features.nbytes
