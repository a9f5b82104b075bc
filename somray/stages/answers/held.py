"""A scan read into memory as ingest would write it: channels on one grid, repaired, judged; nothing goes to disk."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.scan import Scan
from somray.errors import DataError
from somray.io.ome.image import ScanMeta
from somray.io.readers import Source
from somray.stages.answers.fitted import Fitted
from somray.stages.ingest.bricks import stream
from somray.stages.ingest.item import IngestItem, meta_of
from somray.stages.ingest.scan import told
from somray.stages.ingest.tally import judge

__all__ = ["HeldScan", "hold"]


@dataclass(frozen=True, eq=False)
class HeldScan:
    """A scan in memory.

    Args:
        meta: its grid, channels and repairs.
        values: (t, c, z, y, x) float32 physical values, NaN where there is no data.
        level: its own level of uptake, None without PET.
    """

    meta: ScanMeta
    values: NDArray[np.float32] = field(repr=False)
    level: float | None


Check = Callable[[ScanMeta, Sequence[Source]], None]
"""Refuses a scan by what its headers say, before a pixel is read."""


def hold(fitted: Fitted, paths: Sequence[str], check: Check | None = None) -> HeldScan:
    """Read a scan.

    Args:
        fitted: whose scan it shall be.
        paths: one source per channel, in the protocol's order.
        check: looks at the headers first.

    Raises:
        DataError: the scan cannot be used, as `somray run` would set it aside.
    """
    scan = Scan("asked", "t0", fitted.protocol, tuple(paths), "the scan")
    item = IngestItem.of("", scan, fitted.config)
    with contextlib.ExitStack() as opened:
        sources = item.opened(opened)
        meta = meta_of(item, sources)
        if meta.is_cut:
            raise DataError(
                "too_large",
                "slices of more than 64 MiB are labelled in pieces on disk; use `somray apply`",
            )
        if check is not None:
            check(meta, sources)
        values = np.empty(meta.shape, dtype=np.float32)

        def keep(brick: Brick, block: NDArray[np.float32]) -> None:
            values[brick.t, :, brick.z0 : brick.z1] = block

        tally = stream(item, sources, meta, meta.bricks(), keep)
    judge(item, tally)
    whole, result = told(item, meta, tally)
    return HeldScan(whole, values, result.value["uptake_level"])
