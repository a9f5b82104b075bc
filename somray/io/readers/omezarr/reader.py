"""OME-Zarr groups read where they lie: folders, zip archives (.ozx, .zip) and URLs, a few chunks at a time."""

import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.errors
import zarr.storage
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.ome.links import StoredArray
from somray.io.readers.omezarr.chunks import (
    CutChunkError,
    WholeChunks,
    absent_chunks,
    foreign_chunk,
    is_blosc,
)
from somray.io.readers.omezarr.metadata import ZarrImage, image_of, own_affine
from somray.io.readers.omezarr.stored import stored_array
from somray.io.readers.source import Source, grid_of
from somray.io.readers.tiff.stack import channel_index
from somray.io.storage import Storage, is_url

__all__ = ["MARKS", "is_omezarr", "open_omezarr"]

MARKS = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
"""Files one of which lies in the folder of every zarr group or array."""

MOST_BYTES = 128 * 2**20  # of one chunk, which is decoded whole
AT_ONCE_BYTES = 64 * 2**20  # of the chunks that are decoded together
WIDEST_CHUNK = 2048  # columns; reading tile by tile decodes wider ones several times
_ZIPS = (".ozx", ".zip")


def is_omezarr(path: Path) -> bool:
    """Tell a zarr folder, or a zip archive of one, by the names in it."""
    if path.is_dir():
        return any((path / mark).is_file() for mark in MARKS)
    return path.suffix.lower() in _ZIPS and path.is_file() and _root_in(path) is not None


def _root_in(path: Path) -> str | None:
    """Return the folder inside a zip archive that is the group: the archive itself or its only folder."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    roots = ["", *(tops if len(tops) == 1 else ())]
    inside = set(names)
    return next(
        (r for r in roots if any(f"{r}/{mark}".lstrip("/") in inside for mark in MARKS)), None
    )


def open_omezarr(path: Path | str, irregular: str = "refuse", channel: str | None = None) -> Source:
    """Open one channel of an image in a folder, a zip archive or at a URL.

    Raises:
        DataError: `unreadable`, `truncated`, `mixed_series`, `no_space`, `too_large`.
    """
    place = str(path)
    root = "" if is_url(place) or Path(place).is_dir() else _root_in(Path(place)) or ""
    store = _store(place)
    try:
        group = _group(place, store, root)
        group, root = _image_group(place, group, root)
        image = image_of(place, dict(group.attrs))
        array = _array(place, group, image.path)
        return _opened(place, image, array, channel)
    except BaseException:
        _close(store)
        raise


def _store(place: str) -> WholeChunks:
    if not is_url(place) and Path(place).is_file():
        return WholeChunks(zarr.storage.ZipStore(place, mode="r", read_only=True))
    return WholeChunks(Storage.at(place).zarr("", read_only=True))


def _close(store: WholeChunks) -> None:
    if isinstance(store.inner, zarr.storage.ZipStore):
        store.close()


def _group(place: str, store: Any, root: str) -> zarr.Group:
    try:
        return zarr.open_group(store=store, path=root, mode="r")
    except (zarr.errors.ContainsArrayError, zarr.errors.GroupNotFoundError) as error:
        raise DataError(
            "unreadable",
            f"{place}: is a zarr array or an empty folder, not an OME-Zarr image; name the group that has "
            "`multiscales`",
        ) from error


def _image_group(place: str, group: zarr.Group, root: str) -> tuple[zarr.Group, str]:
    """Follow bioformats2raw's layout to its one image."""
    attributes = dict(group.attrs)
    ome = attributes.get("ome")
    told = {**attributes, **(ome if isinstance(ome, Mapping) else {})}
    if "bioformats2raw.layout" not in told or "multiscales" in told or "plate" in told:
        return group, root
    images = sorted(name for name, _ in group.groups() if name.isdecimal())
    if len(images) != 1:
        raise DataError(
            "mixed_series",
            f"{place}: holds {len(images)} images; name one of its groups ({', '.join(images[:4])} …)",
        )
    return group[images[0]], f"{root}/{images[0]}".lstrip("/")  # type: ignore[return-value]


def _array(place: str, group: zarr.Group, path: str) -> Any:  # Any: zarr's arrays
    """Open the full level."""
    try:
        found = group.get(path)
    except ValueError as error:
        if (
            type(error).__name__ != "UnknownCodecError"
        ):  # of zarr or of numcodecs, which has no types
            raise
        raise DataError(
            "unreadable",
            f"{place}: is packed in a way that is not read ({error}); write it with Blosc, Zstandard or gzip",
        ) from error
    if not isinstance(found, zarr.Array):
        raise DataError("missing", f"{place}: its full level {path!r} is not there; copy it again")
    if np.dtype(found.dtype).kind not in "iufb":
        raise DataError(
            "unreadable", f"{place}: holds {found.dtype}; one real number per voxel is read"
        )
    size = math.prod(found.chunks) * np.dtype(found.dtype).itemsize
    if size > MOST_BYTES:
        raise DataError(
            "too_large",
            f"{place}: one chunk takes {size / 2**20:.0f} MiB, at most {MOST_BYTES // 2**20} fit a task; "
            "write it with smaller chunks",
        )
    store: Any = found.store  # Any: ours, that `_store` made
    store.packed = f"{found.path}/" if is_blosc(found) else None
    return found


def _opened(place: str, image: ZarrImage, array: Any, channel: str | None) -> Source:  # Any: zarr
    if len(image.axes) != array.ndim:
        raise DataError(
            "unreadable", f"{place}: names axes {image.axes} for an array of {array.ndim}"
        )
    sizes = dict(zip(image.axes, (int(n) for n in array.shape), strict=True))
    chosen = channel_index(place, image.channels, sizes.get("c", 1), channel)
    shape = (sizes.get("t", 1), sizes.get("z", 1), sizes["y"], sizes["x"])
    parent = _parent_affine(place)
    matrix, repairs = (image.matrix, image.repairs) if parent is None else (parent, ())
    header = ScanHeader(
        shape,
        grid_of(place, shape[1:], matrix),
        "ome-zarr",
        unit=image.units[chosen] if chosen < len(image.units) else None,
        outside_is_nan=image.is_own,
        repairs=repairs,
    )
    return _ZarrSource(place, header, array, image.axes, chosen)


def _parent_affine(place: str) -> NDArray[np.float64] | None:
    """Return the affine of the scan of ours that a label image belongs to, None for any other.

    A label's own metadata cannot say how an oblique scan lies.
    """
    parts = place.rstrip("/").rsplit("/", 2)
    if len(parts) != 3 or parts[1] != "labels":
        return None
    try:
        scan = zarr.open_group(store=_store(parts[0]), mode="r")
    except (OSError, ValueError, KeyError):
        return None
    return own_affine(dict(scan.attrs))


class _ZarrSource(Source):
    """One channel of one array."""

    splits = True

    def __init__(
        self, path: str, header: ScanHeader, array: Any, axes: str, channel: int
    ) -> None:  # Any: zarr
        super().__init__(path, header)
        self._axes, self._channel, self._array = axes, channel, array
        self._is_found = False  # a chunk, where zarr looks for them
        chunks = dict(zip(self._axes, array.chunks, strict=True))
        self.windows = "boxes" if chunks["x"] <= WIDEST_CHUNK else "rows"

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        return self._read_box(Brick.of_slices(t, z0, z1, self.header.shape[2:]))

    def _read_box(self, box: Brick) -> NDArray[np.float32]:
        block = np.empty(box.shape, dtype=np.float32)
        kept = [axis for axis in self._axes if axis in "zyx"]
        order = [kept.index(axis) for axis in "zyx" if axis in kept]
        z, row, column = box.box
        for y, x in self._tiles(box):
            where = {"t": box.t, "c": self._channel, "z": z, "y": y, "x": x}
            found = self._found(tuple(where[axis] for axis in self._axes))
            block[
                :, y.start - row.start : y.stop - row.start,
                x.start - column.start : x.stop - column.start,
            ] = found.transpose(order)  # fmt: skip
        return block

    def _found(self, where: tuple[Any, ...]) -> NDArray[Any]:  # Any: slices, any number
        try:
            found = np.asarray(self._array[where])
        except CutChunkError as error:
            raise DataError(
                "truncated", f"{self.path}: its chunk {error} ends early; copy the scan again"
            ) from error
        self._check_named(found)
        return found

    def _check_named(self, found: NDArray[Any]) -> None:  # Any: any number
        """Refuse an array whose chunks lie under other names, where zarr gives the fill value alone."""
        if self._is_found:
            return
        alike = np.broadcast_to(found.flat[0], found.shape)
        is_constant = np.array_equal(found, alike, equal_nan=True)
        key = foreign_chunk(self._array) if is_constant else None
        if key is not None:
            asked = self._array.metadata.encode_chunk_key((0,) * self._array.ndim)
            raise DataError(
                "unreadable",
                f"{self.path}: its chunks are named like {key}, its metadata ask for {asked}; correct "
                "`dimension_separator` in .zarray (`chunk_key_encoding` in zarr.json)",
            )
        self._is_found = True

    def _tiles(self, box: Brick) -> Iterator[tuple[slice, slice]]:
        """Cut the box along chunks, so that few are decoded at a time."""
        columns = self.header.shape[3]
        chunks = dict(zip(self._axes, self._array.chunks, strict=True))
        deep, down, across = chunks.get("z", 1), chunks["y"], chunks["x"]
        layers = -(-box.z1 // deep) - box.z0 // deep
        size = math.prod(self._array.chunks) * np.dtype(self._array.dtype).itemsize * layers
        fit, wide = max(AT_ONCE_BYTES // size, 1), -(-columns // across)
        high = down * max(fit // wide, 1)
        broad = columns if fit >= wide else across * fit
        for y in range(box.y0 // high * high, box.y1, high):
            for x in range(box.x0 // broad * broad, box.x1, broad):
                yield (
                    slice(max(y, box.y0), min(y + high, box.y1)),
                    slice(max(x, box.x0), min(x + broad, box.x1)),
                )

    def absent(self) -> str:
        """Say how many chunks are not there, which zarr reads as the fill value; "" where all are."""
        is_one = {"c": self._channel} if "c" in self._axes else {}
        within = {self._axes.index(axis): index for axis, index in is_one.items()}
        gone, total = absent_chunks(self._array, within)
        if not gone:
            return ""
        return (
            f"{gone} of its {total} chunks are not there and are read as its fill value, {self._array.fill_value}: "
            "writers leave out chunks of nothing else, and so does a copy that broke off"
        )

    @property
    def stored(self) -> StoredArray | None:
        """What lies on disk of its channel."""
        return stored_array(self._array, self._axes, self._channel)

    def close(self) -> None:
        """Let go of a zip archive."""
        _close(self._array.store_path.store)
