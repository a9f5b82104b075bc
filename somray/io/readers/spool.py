"""A part of a source kept in a temporary file, for sources that are decoded by whole rows or slices.

What lies in tiles would otherwise be decoded once for each of them.
"""

import tempfile
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.errors import DataError
from somray.io.readers.source import Source
from somray.io.readers.voxels.rows import StoredPlane

__all__ = ["Spool"]

_ROWS_PIXELS = 1 << 22  # decoded at once


class Spool:
    """Some rows, all columns, of some slices of one time point.

    Raises:
        DataError: as the source; `storage`: there is no room.
    """

    def __init__(self, source: Source, region: Brick) -> None:
        self.region = region
        self._file = tempfile.TemporaryFile(prefix="somray-spool-")  # noqa: SIM115 - until close()
        try:
            for z in range(region.z0, region.z1):
                self._keep(source, replace(region, z0=z, z1=z + 1))
        except OSError as error:
            self.close()
            raise DataError(
                "storage",
                f"{source.path}: takes {4 * region.voxels / 2**30:.1f} GiB of {tempfile.gettempdir()} while it is "
                f"cut ({error.strerror}); free space, or set TMPDIR",
            ) from error
        except BaseException:
            self.close()
            raise

    def _keep(self, source: Source, plane: Brick) -> None:
        rows, columns = plane.shape[1:]
        whole = source.windows == "slices"
        step = rows if whole else max(1, _ROWS_PIXELS // columns)
        for y in range(plane.y0, plane.y1, step):
            part = replace(plane, y0=y, y1=min(y + step, plane.y1))
            self._file.write(np.ascontiguousarray(source.read_box(part)).data)

    def holds(self, box: Brick) -> bool:
        """Whether a box lies in what is kept."""
        own = self.region
        inside = own.z0 <= box.z0 and box.z1 <= own.z1 and own.y0 <= box.y0 and box.y1 <= own.y1
        return box.t == own.t and inside

    def read(self, box: Brick) -> NDArray[np.float32]:
        """Read a box (z, y, x) of it."""
        found = np.empty(box.shape, dtype=np.float32)
        _, rows, columns = self.region.shape
        inside = replace(box, y0=box.y0 - self.region.y0, y1=box.y1 - self.region.y0)
        for n in range(box.shape[0]):
            start = 4 * (box.z0 - self.region.z0 + n) * rows * columns
            plane = StoredPlane(start, columns, np.dtype(np.float32), 1, self._bytes)
            for part, stored in plane.rows(inside):
                found[n, part] = stored[..., 0]
        return found

    def _bytes(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)

    def close(self) -> None:
        """Remove the file; harmless when repeated."""
        self._file.close()
