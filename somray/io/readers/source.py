"""What every reader returns: a header at once, pixels slab by slab or box by box on request."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.domain.scan import ScanHeader
from somray.errors import DataError, ShapeError, SomrayError
from somray.io.ome.links import StoredArray

__all__ = ["SliceFile", "Source", "Windows", "coded", "grid_of"]

Windows = Literal["slices", "rows", "boxes"]

_WHOLE_PIXELS = 1 << 24  # of the largest slice that is decoded whole without being asked for
_PART = 2048  # rows and columns that are decoded of larger ones


@contextmanager
def coded(path: object) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into a `DataError`.

    A header can lie in more ways than a reader foresees, and the libraries beneath answer some of them with
    any exception there is; one such file must not end the cohort.

    Raises:
        DataError: `unreadable`.
    """
    try:
        yield
    except SomrayError:
        raise
    except PermissionError as error:
        raise DataError("unreadable", f"{path}: no permission to read it") from error
    except OSError as error:
        raise DataError("unreadable", f"{path}: {error.strerror or error}") from error
    except Exception as error:
        what = str(error) or type(error).__name__
        raise DataError(
            "unreadable", f"{path}: is damaged ({what[:200]}); copy it again, or convert it"
        ) from error


@dataclass(frozen=True)
class SliceFile:
    """Where one slice of a DICOM series is stored, frames from 0, and its grid (1, y, x) as its own header says."""

    path: str
    frame: int
    plane: Geometry


class Source:
    """An open scan file or folder of one channel.

    Args:
        path: where it lies, for messages.
        header: what it says of itself.

    What a box costs, which readers that can do better say of themselves:

    Attributes:
        windows: how little is decoded for a box: "slices", whole ones; "rows", all columns of its rows; "boxes".
        splits: whether tasks that read a part each take no more than one that reads all of it: nothing has to be
            unpacked or fetched before, and headers are read in no time.
        is_forward: what was passed is read again from the start, so that asking in order of t, z, y counts.
        slice_bytes: most bytes that are held for a pixel while a whole slice is decoded.
        notes: of masks: for people, what was left out or decided.
    """

    windows: Windows = "slices"
    splits = False
    is_forward = False
    slice_bytes = 16
    notes: tuple[str, ...] = ()

    def __init__(self, path: str, header: ScanHeader) -> None:
        self.path = path
        self.header = header

    def _plane(self, t: int, z: int) -> NDArray[Any]:  # Any: any number
        """Read one checked slice (y, x)."""
        raise NotImplementedError

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        """Read a checked range; here slice by slice."""
        first = self._plane(t, z0)  # before room is made for sizes that may be a lie
        block = np.empty((z1 - z0, *self.header.shape[2:]), dtype=np.float32)
        block[0] = first
        for z in range(z0 + 1, z1):
            block[z - z0] = self._plane(t, z)
        return block

    def read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        """Read slices z0 to z1 (excluded) of time t as (z, y, x) in physical values.

        Raises:
            ShapeError: the range lies outside the scan.
            DataError: `truncated` or `unreadable`.
        """
        times, size_z = self.header.shape[:2]
        if not (0 <= t < times and 0 <= z0 < z1 <= size_z):
            raise ShapeError(f"no slices {z0}..{z1} at t={t}; the scan has t={times}, z={size_z}")
        with coded(self.path):
            return self._read(t, z0, z1)

    def _read_box(self, box: Brick) -> NDArray[np.float32]:
        """Read a checked box; here whole slices, one at a time."""
        found = np.empty(box.shape, dtype=np.float32)
        for z in range(box.z0, box.z1):
            found[z - box.z0] = self._read(box.t, z, z + 1)[0][box.box[1:]]
        return found

    def read_box(self, box: Brick) -> NDArray[np.float32]:
        """Read a box of one time point as (z, y, x) in physical values: the bits that `read` gives there.

        Raises:
            ShapeError: it is empty or lies outside the scan.
            DataError: `truncated` or `unreadable`.
        """
        times, *size = self.header.shape
        ends = [(part.start, part.stop) for part in box.box]
        inside = all(0 <= low < high <= n for (low, high), n in zip(ends, size, strict=True))
        if not (inside and 0 <= box.t < times):
            raise ShapeError(f"no {box}; the scan has (t, z, y, x) {self.header.shape}")
        with coded(self.path):
            if box.shape[1:] == tuple(size[1:]):
                return self._read(box.t, box.z0, box.z1)
            return self._read_box(box)

    def verify(self) -> None:
        """Find what reading would find, without reading it all: a codec that is not here, a file cut short.

        The first slice is decoded, or the beginning of one that is large; formats that can tell more do.

        Raises:
            DataError: as `read`.
        """
        self.read_box(self._first)

    @property
    def _first(self) -> Brick:
        """The first slice, or as much of it as can be decoded alone."""
        rows, columns = self.header.shape[2:]
        if self.windows == "slices" or rows * columns <= _WHOLE_PIXELS:
            return Brick.of_slices(0, 0, 1, (rows, columns))
        return Brick(0, 0, 1, 0, min(rows, _PART), 0, min(columns, _PART))

    def slice_files(self, t: int) -> tuple[SliceFile, ...]:
        """Return the stored slices of a time point in their order along z; () where the source is not DICOM.

        They lie as they were scanned, also where `read` gives them resampled to an even grid.
        """
        return ()

    def absent(self) -> str:
        """Say what its container promises, lacks and reads all the same; "" where nothing is."""
        return ""

    @property
    def stored(self) -> StoredArray | None:
        """What lies on disk and holds its voxels as zarr chunks, as they are read; None of other formats."""
        return None

    @property
    def data_files(self) -> tuple[str, ...]:
        """The files that hold its voxels, where a header may name them; () where the format names none."""
        return ()

    def close(self) -> None:
        """Let go of open files; harmless when repeated."""
        return

    def __enter__(self) -> Self:
        """Use as a context that closes the files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()


def grid_of(path: str, shape: Sequence[int], matrix: NDArray[np.float64]) -> Geometry:
    """Make the grid of a file (z, y, x).

    Raises:
        DataError: `no_space`: zero spacing, singular or missing directions.
    """
    try:
        return Geometry.from_matrix((int(shape[0]), int(shape[1]), int(shape[2])), matrix)
    except ShapeError as error:
        raise DataError("no_space", f"{path}: {error}; correct the header") from error
