"""NRRD (.nrrd, .nhdr): header through pynrrd, voxels through `RawSource`.

The file's space (left-posterior-superior, right-anterior-superior …) is turned into LPS. Slab by slab;
pynrrd itself would read the whole volume.
"""

import warnings
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.raw import RawLayout, RawSource, volume_shape
from somray.io.readers.source import Source, grid_of

__all__ = ["is_nrrd", "open_nrrd"]

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}  # fmt: skip
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_SHORT_SPACES = {"LPS": (1, 1), "RAS": (-1, -1), "LAS": (1, -1)}
_TIME_KINDS = ("time", "list")


def is_nrrd(path: Path) -> bool:
    """Tell NRRD by its name."""
    return path.is_file() and path.suffix.lower() in (".nrrd", ".nhdr")


def open_nrrd(path: Path, irregular: str = "refuse") -> Source:
    """Open an NRRD file.

    Raises:
        DataError: `unreadable`, `truncated`, `missing` data file, `no_space`.
    """
    header, end = _header(path)
    sizes = [int(n) for n in header["sizes"]]
    _check_axes(path, header, sizes)
    shape = volume_shape(str(path), sizes)
    matrix, repairs = _affine(path, header, len(sizes))
    geometry = grid_of(str(path), shape[1:], matrix)
    kind = next((k for k, names in _TYPES.items() if header["type"] in names), None)
    encoding = _ENCODINGS.get(str(header["encoding"]).lower())
    if kind is None or encoding is None:
        what = f"type {header['type']}, encoding {header['encoding']}"
        raise DataError("unreadable", f"{path}: holds {what}, which is not read; convert it")
    is_big = str(header.get("endian", "little")).lower() == "big"
    detached = header.get("data file", header.get("datafile"))
    files, offset = _data_files(path, header, detached, end)
    skip = int(header.get("byte skip", header.get("byteskip", 0)))
    layout = RawLayout(
        files=files,
        dtype=np.dtype(kind).newbyteorder(">" if is_big else "<").str,
        offset=-1 if skip == -1 else offset + (skip if encoding == "raw" else 0),
        inner_offset=0 if encoding == "raw" else max(skip, 0),
        encoding=encoding,
    )
    return RawSource(str(path), ScanHeader(shape, geometry, "nrrd", repairs=repairs), layout)


def _header(path: Path) -> tuple[Any, int]:  # Any: pynrrd has no types
    """Read the header and the byte where it ends."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = nrrd.read_header(file)
            end = file.tell()
        missing = [k for k in ("sizes", "type", "encoding", "dimension") if k not in header]
        if missing:
            raise DataError("unreadable", f"{path}: its header lacks {', '.join(missing)}")
        return header, end
    except (nrrd.NRRDError, ValueError, KeyError, IndexError, StopIteration) as error:
        raise DataError("unreadable", f"{path}: is not NRRD ({error})") from error


def _check_axes(path: Path, header: Any, sizes: list[int]) -> None:  # Any: pynrrd
    """Refuse colour and vector axes; time may only be the slowest axis."""
    kinds = [str(k).lower() for k in header.get("kinds", [])]
    for axis, kind in enumerate(kinds):
        is_space = kind in ("domain", "space", "???", "none")
        is_time = axis == 3 and kind in _TIME_KINDS
        if not is_space and not is_time and sizes[axis] != 1:
            raise DataError(
                "unreadable",
                f"{path}: axis {axis} is of kind {kind}; x, y, z and then time are read",
            )


def _affine(
    path: Path, header: Any, axes: int
) -> tuple[NDArray[np.float64], tuple[str, ...]]:  # Any: pynrrd
    """Return voxel to LPS mm, and what had to be assumed."""
    matrix = np.eye(4)
    kept = min(axes, 3)
    directions = header.get("space directions")
    if directions is None:
        spacings = header.get("spacings")
        if spacings is None:
            return matrix, ("spacing_assumed",)
        matrix[range(kept), range(kept)] = np.nan_to_num(
            np.asarray(spacings, dtype=float)[:kept], nan=1.0
        )
        return matrix, ("position_assumed",)
    vectors = np.asarray(directions, dtype=np.float64)[:kept]
    size = vectors.shape[1]
    if size > 3 or np.isnan(vectors).any():
        raise DataError("no_space", f"{path}: its first axes are not spatial; reorder them")
    matrix[:size, :kept] = vectors.T
    origin = header.get("space origin")
    if origin is not None:
        matrix[:size, 3] = np.nan_to_num(np.asarray(origin, dtype=np.float64))
    signs = _signs(str(header.get("space", "left-posterior-superior")))
    if signs is None:
        return matrix, ("position_assumed",)
    return np.diag([*signs, 1.0, 1.0]) @ matrix, ()


def _signs(space: str) -> tuple[int, int] | None:
    """Return the signs that take x and y of a space to LPS; None where it is no patient's space."""
    words = space.lower().removesuffix("-time").split("-")
    short = space.upper() if len(words) == 1 else "".join(w[:1] for w in words[:3]).upper()
    return _SHORT_SPACES.get(short.removesuffix("T") if len(short) == 4 else short)


def _data_files(
    path: Path, header: Any, detached: Any, end: int
) -> tuple[tuple[str, ...], int]:  # Any: pynrrd
    """Return the data files and the byte where data begin in them."""
    if detached is None:
        return (str(path),), end
    names = detached if isinstance(detached, list) else [str(detached)]
    if any("%" in n or n.upper().startswith("LIST") for n in names):
        raise DataError("unreadable", f"{path}: numbered data files are not read; join them in one")
    if int(header.get("line skip", header.get("lineskip", 0))):
        raise DataError("unreadable", f"{path}: `line skip` is not read; use `byte skip`")
    return tuple(str(path.parent / n) for n in names), 0
