"""Bricks of a scan as they are written: every channel read, repaired and brought onto the first one's grid."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.channel import channels_of
from somray.domain.work import MIB
from somray.io.ome.image import ScanMeta
from somray.io.readers import Source
from somray.io.readers.spool import Spool
from somray.kernels.grids.slabs import needed_box, resample_box, resample_slab
from somray.kernels.hounsfield import HounsfieldTally
from somray.kernels.repair import Place, SliceFacts, repair, slice_facts
from somray.stages.ingest.item import IngestItem
from somray.stages.ingest.tally import Tally

__all__ = ["Write", "stream"]

Write = Callable[[Brick, NDArray[np.float32]], None]

WHOLE_BYTES = (
    128 * MIB
)  # of the slices of another grid that are held for a slab; else a box of them
FACT_PIXELS = 1 << 22  # of a slice, looked at at once
_JUDGED = {"CT": (None, "HU"), "PET": (None,)}  # units of headers that the values may contradict


def stream(
    item: IngestItem, sources: Sequence[Source], meta: ScanMeta, bricks: Iterable[Brick], write: Write
) -> Tally:  # fmt: skip
    """Read, repair, resample, count and write some bricks of a scan, in their order."""
    tally = Tally.empty(len(sources))
    kinds = [channel.kind for channel in channels_of(item.modality, item.channels)]
    channels = [_Channel(kinds[c], c, source, meta) for c, source in enumerate(sources)]
    with contextlib.ExitStack() as kept:
        for channel in channels:
            kept.callback(channel.close)
        for brick in bricks:
            found = [channel.values(brick, tally) for channel in channels]
            block = found[0][np.newaxis] if len(found) == 1 else np.stack(found)
            del found
            tally.add_brick(item, block)
            write(brick, block)
    return tally


class _Channel:
    """One channel of a scan.

    Args:
        kind: what it measures.
        number: in the scan.
        source: it is read from.
        meta: the scan, whose grid is the first channel's.
    """

    def __init__(self, kind: str, number: int, source: Source, meta: ScanMeta) -> None:
        self._kind, self._number, self._source, self._meta = kind, number, source, meta
        self._has_own_grid = source.header.geometry != meta.geometry
        self._spool: Spool | None = None
        self._facts: dict[tuple[int, int], SliceFacts] = {}

    def values(self, brick: Brick, tally: Tally) -> NDArray[np.float32]:
        """Return a brick (z, y, x)."""
        if not self._has_own_grid:
            if self._meta.is_cut and self._source.windows != "boxes":
                self._keep(brick)
            return self._repaired(brick, tally)
        own, target = self._source.header.geometry, self._meta.geometry
        rows, columns = own.shape[1:]
        needed = needed_box(own, target, brick)
        if self._meta.is_cut or 4 * rows * columns * max(0, needed.shape[0]) > WHOLE_BYTES:
            return resample_box(lambda box: self._repaired(box, tally), own, target, brick)

        def read(z0: int, z1: int) -> NDArray[np.float32]:
            return self._repaired(Brick.of_slices(brick.t, z0, z1, (rows, columns)), tally)

        return resample_slab(read, own, target, brick.z0, brick.z1)

    def _repaired(self, box: Brick, tally: Tally) -> NDArray[np.float32]:
        header, values = self._source.header, self._stored(box)
        if header.unit in _JUDGED.get(self._kind, ()):
            tally.hounsfield.setdefault(self._number, HounsfieldTally()).add(values)
        is_part = box.shape[1:] != header.shape[2:]
        found = repair(
            values,
            self._kind,
            header.padding,
            outside_is_nan=header.outside_is_nan,
            whole=(lambda z: self._facts_of(box.t, box.z0 + z)) if is_part else None,
            place=Place((box.z0, box.y0, box.x0), header.shape[1:], header.geometry.axial_axes),
        )
        tally.add_repair(found)
        return found.values

    def _facts_of(self, t: int, z: int) -> SliceFacts:
        """Look at a whole slice, a few rows at a time; only slices with something to repair come here."""
        if (t, z) not in self._facts:
            rows, columns = self._source.header.shape[2:]
            step, facts = max(1, FACT_PIXELS // columns), SliceFacts()
            for y in range(0, rows, step):
                part = self._stored(Brick(t, z, z + 1, y, min(rows, y + step), 0, columns))
                facts = facts.join(slice_facts(part[0], (y, 0)))
            self._facts[t, z] = facts
        return self._facts[t, z]

    def _stored(self, box: Brick) -> NDArray[np.float32]:
        if self._spool is not None and self._spool.holds(box):
            return self._spool.read(box)
        return self._source.read_box(box)

    def _keep(self, brick: Brick) -> None:
        """Decode what the brick's neighbours need too, once for all of them."""
        if self._spool is not None and self._spool.holds(brick):
            return
        self.close()
        rows, columns = self._source.header.shape[2:]
        region = replace(brick, x0=0, x1=columns)
        if self._source.windows == "slices" or self._source.is_forward:
            region = replace(region, y0=0, y1=rows)
        self._spool = Spool(self._source, region)

    def close(self) -> None:
        """Let go of what was kept."""
        if self._spool is not None:
            self._spool.close()
        self._spool = None
