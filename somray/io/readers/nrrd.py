"""NRRD (.nrrd, .nhdr): header through pynrrd, voxels through `RawSource`.

Slab by slab; pynrrd itself would read the whole volume. Raw, gzip, bzip2, text and hex; attached, detached,
listed and numbered data files.
"""

from pathlib import Path

import numpy as np

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.raw import RawLayout, RawSource
from somray.io.readers.source import Source, grid_of
from somray.io.readers.voxels.data_files import named_files
from somray.io.readers.voxels.inflate import first_bytes
from somray.io.readers.voxels.nrrd_axes import NrrdAxes, axes_of, place_of_axes
from somray.io.readers.voxels.nrrd_fields import NrrdFields, read_fields

__all__ = ["described", "is_nrrd", "open_nrrd"]

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
_ENCODINGS = {
    "raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
    "ascii": "text", "text": "text", "txt": "text", "hex": "hex",
}  # fmt: skip


def is_nrrd(path: Path) -> bool:
    """Tell NRRD by its name or its magic number."""
    if not path.is_file():
        return False
    return path.suffix.lower() in (".nrrd", ".nhdr") or first_bytes(path, 6) == b"NRRD00"


def open_nrrd(path: Path, irregular: str = "refuse") -> Source:
    """Open an NRRD file.

    Raises:
        DataError: `unreadable`, `truncated`, `missing` data file, `no_space`.
    """
    return RawSource(str(path), *described(path))


def described(path: Path) -> tuple[ScanHeader, RawLayout]:
    """Read what a file says of itself, and where its voxels lie.

    Raises:
        DataError: as `open_nrrd`.
    """
    header = read_fields(path)
    axes = axes_of(path, header)
    matrix, repairs = place_of_axes(path, header, axes)
    geometry = grid_of(str(path), axes.shape[1:], matrix)
    layout = _layout(path, header, axes)
    return ScanHeader(axes.shape, geometry, "nrrd", repairs=repairs), layout


def _layout(path: Path, header: NrrdFields, axes: NrrdAxes) -> RawLayout:
    """Tell where and how the voxels lie."""
    fields = header.fields
    written = " ".join(str(fields["type"]).split())
    kind = next((k for k, names in _TYPES.items() if written in names), None)
    encoding = _ENCODINGS.get(str(fields["encoding"]))
    if kind is None or encoding is None:
        what = f"type {written[:40]}, encoding {str(fields['encoding'])[:40]}"
        raise DataError("unreadable", f"{path}: holds {what}, which is not read; convert it")
    skip = int(fields.get("byte skip", 0))
    lines = int(fields.get("line skip", 0))
    if skip < -1 or lines < 0:
        raise DataError("unreadable", f"{path}: skips {lines} lines and {skip} bytes; correct it")
    is_plain = encoding in ("raw", "text", "hex")
    is_last = is_plain and skip == -1
    if is_last and encoding != "raw":
        raise DataError("unreadable", f"{path}: its data are text; `byte skip: -1` needs raw ones")
    detached = fields.get("data file")
    start = 0 if detached is not None else header.end
    return RawLayout(
        files=_files(path, header, axes),
        dtype=np.dtype(f"{_order(path, header, kind, encoding)}{kind}").str,
        offset=-1 if is_last else start + (skip if is_plain else 0),
        inner_offset=0 if is_plain else skip,
        encoding=encoding,
        line_skip=0 if is_last else lines,
        values_per_voxel=axes.shape[0] if axes.is_serial_first else 1,
        surplus="refuse" if detached is None else "tell",
    )


def _order(path: Path, header: NrrdFields, kind: str, encoding: str) -> str:
    """Return the byte order; the format demands that it is said."""
    order = {"little": "<", "big": ">"}.get(str(header.fields.get("endian", "")))
    if order is None and np.dtype(kind).itemsize > 1 and encoding != "text":
        raise DataError(
            "unreadable", f"{path}: its header does not say `endian: little` or `big`; add it"
        )
    return order or "<"


def _files(path: Path, header: NrrdFields, axes: NrrdAxes) -> tuple[str, ...]:
    """Return the data files, in the order of the slices."""
    detached = header.fields.get("data file")
    if detached is None:
        return (str(path),)
    return named_files(path, str(detached), header.listed, axes.shape[0] * axes.shape[1])
