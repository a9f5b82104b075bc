"""What a TIFF or PNG stack says of itself, as a `ScanHeader`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from somray.domain.scan import ScanHeader
from somray.io.readers.source import grid_of
from somray.io.readers.tiff.spacing import Spacing, assumed

__all__ = ["stack_header"]


def stack_header(
    path: Path,
    shape: tuple[int, ...],
    spacing: Spacing | None,
    notes: Sequence[str],
    kind: str = "tiff",
) -> ScanHeader:
    """Describe a stack.

    Args:
        path: for messages.
        shape: (t, z, y, x).
        spacing: (z, y, x) in mm as far as known.
        notes: codes of what else was assumed or changed.
        kind: name of the reader.

    Raises:
        DataError: `no_space`.
    """
    (z, y, x), doubts = assumed(spacing)
    geometry = grid_of(str(path), shape[1:], np.diag([x, y, z, 1.0]))
    sizes = (shape[0], shape[1], shape[2], shape[3])
    return ScanHeader(sizes, geometry, kind, unit="raw", repairs=(*doubts, *notes))
