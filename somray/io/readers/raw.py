"""Voxels that lie one after another in a file, plain or compressed, read slab by slab.

Shared by NIfTI, NRRD, MetaImage and contiguous TIFF. A compressed stream is read forwards; going back
starts it again, so readers ask in order of t and z. A stream that ends early is an error, never zeros:
SimpleITK, for one, reads such files without a word. Values come as float32: whole numbers are exact up to
2^24 and keep seven digits above.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.source import Source
from somray.io.readers.voxels.rows import StoredPlane
from somray.io.readers.voxels.stream import RawLayout, VoxelStream

__all__ = ["RawLayout", "RawSource", "volume_shape"]

_SURPLUS_BYTES = 4096
"""Fewer bytes after the voxels are padding or an appended line, whatever a slice takes."""
_SHEARED = 1e-3  # cosine; headers round their directions to six or seven digits


class RawSource(Source):
    """A scan whose voxels lie one after another.

    Raises:
        DataError: `missing` data file, `truncated` file, `unreadable`: far more bytes than were promised.
    """

    def __init__(self, path: str, header: ScanHeader, layout: RawLayout) -> None:
        super().__init__(path, header)
        self._layout = layout
        self.windows = "boxes" if layout.encoding == "raw" else "rows"
        self.splits = layout.encoding == "raw"
        self.is_forward = not self.splits
        self._dtype = np.dtype(layout.dtype)
        times, size_z, rows, columns = header.shape
        planes = times * size_z // layout.values_per_voxel
        self._slice_bytes = rows * columns * layout.values_per_voxel * self._dtype.itemsize
        count = len(layout.files)
        if not count or planes % count:
            raise DataError("unreadable", f"{path}: {count} data files for {planes} slices")
        self._per_file = planes // count
        for file in map(Path, layout.files):
            if not file.is_file():  # the folder is the header's word and not repeated
                what = f"its data file {file.name} does not exist where the header says"
                raise DataError("missing", f"{path}: {what}; bring it there, or correct the header")
        total = self._per_file * self._slice_bytes
        self._streams = [VoxelStream(name, layout, total) for name in layout.files]
        self._check_surplus()
        if self.header.geometry.skew > _SHEARED:
            self._note("sheared")

    @property
    def data_files(self) -> tuple[str, ...]:
        """The files that hold its voxels."""
        return self._layout.files

    def _note(self, code: str) -> None:
        self.header = replace(self.header, repairs=(*self.header.repairs, code))

    def _check_surplus(self) -> None:
        """Refuse a header that does not cover its own file; tell smaller remainders."""
        if self._layout.surplus == "ignore":
            return
        surplus = max(stream.surplus_bytes() for stream in self._streams)
        is_sure = self._layout.surplus == "refuse" and self._layout.encoding == "raw"
        if is_sure and surplus >= max(self._slice_bytes, _SURPLUS_BYTES):
            raise DataError(
                "unreadable",
                f"{self.path}: holds {surplus} bytes more than the sizes and the type in its header take; "
                "correct the header",
            )
        if surplus > 0:
            self._note("surplus_ignored")

    def verify(self) -> None:
        """Decode the first slice, and find files that end early."""
        super().verify()
        for stream in self._streams:
            stream.verify()

    def _plane(self, t: int, z: int) -> NDArray[np.float32]:
        return self._physical(self._stored(t, z), t)

    def _stored(self, t: int, z: int) -> NDArray[np.generic]:
        """Read one slice as (y, x, values that lie together)."""
        file, start = self._place(t, z)
        data = self._streams[file].read(start, self._slice_bytes)
        together = self._layout.values_per_voxel
        return np.frombuffer(data, self._dtype).reshape(*self.header.shape[2:], together)

    def _place(self, t: int, z: int) -> tuple[int, int]:
        """Return the file of a plane and where it begins there."""
        together = self._layout.values_per_voxel > 1
        file, place = divmod(z if together else t * self.header.shape[1] + z, self._per_file)
        return file, place * self._slice_bytes

    def _read_box(self, box: Brick) -> NDArray[np.float32]:
        found = np.empty(box.shape, dtype=np.float32)
        columns, together = self.header.shape[3], self._layout.values_per_voxel
        for z in range(box.z0, box.z1):
            file, start = self._place(box.t, z)
            plane = StoredPlane(start, columns, self._dtype, together, self._streams[file].read)
            for rows, stored in plane.rows(box):
                found[z - box.z0, rows] = self._physical(stored, box.t)
        return found

    def _physical(self, stored: NDArray[np.generic], t: int) -> NDArray[np.float32]:
        """Take a time point (y, x) out of values that lie together, in physical ones."""
        own = stored[..., t if self._layout.values_per_voxel > 1 else 0]
        slope, intercept = self._layout.slope, self._layout.intercept
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is infinite
            if (slope, intercept) == (1.0, 0.0):
                return own.astype(np.float32)
            return (own.astype(np.float64) * slope + intercept).astype(np.float32)

    def close(self) -> None:
        """Let go of open files."""
        for stream in self._streams:
            stream.close()


def volume_shape(path: str, sizes: Sequence[int]) -> tuple[int, int, int, int]:
    """Make (t, z, y, x) of sizes given x first, with 2 to 4 axes; longer ones must have size 1.

    Raises:
        DataError: `unreadable`: other axes.
    """
    given = [int(n) for n in sizes]
    while len(given) > 4 and given[-1] == 1:
        given.pop()
    if not 2 <= len(given) <= 4 or min(given) < 1:
        raise DataError("unreadable", f"{path}: has axes {list(sizes)}; x, y, z and t are read")
    x, y, z, t = [*given, 1, 1][:4]
    return t, z, y, x
