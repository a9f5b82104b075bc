"""MetaImage (.mha, .mhd): text header read here, voxels through `RawSource`.

Read by ourselves because SimpleITK needs the whole volume, forgives short files and reads no text data. World is
LPS. `DistanceUnits` and the function from element to intensity are honoured, which ITK passes over.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.lengths import mm_per_unit
from somray.io.readers.raw import RawLayout, RawSource, volume_shape
from somray.io.readers.source import Source, grid_of
from somray.io.readers.voxels.data_files import named_files
from somray.io.readers.voxels.meta_fields import DATA_FILE, MetaFields, read_fields

__all__ = ["is_metaimage", "open_metaimage"]

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",  # four bytes, as in MetaIO
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


def is_metaimage(path: Path) -> bool:
    """Tell MetaImage by its name."""
    return path.is_file() and path.suffix.lower() in (".mha", ".mhd")


def open_metaimage(path: Path, irregular: str = "refuse") -> Source:
    """Open a MetaImage file.

    Raises:
        DataError: `unreadable`, `truncated`, `missing` data file, `no_space`.
    """
    fields = read_fields(path)
    try:
        shape = _shape(path, fields)
        matrix, repairs = _affine(path, fields)
        layout = _layout(path, fields, shape)
    except ValueError as error:
        raise DataError(
            "unreadable", f"{path}: its header field {error} is missing or wrong; correct it"
        ) from error
    geometry = grid_of(str(path), shape[1:], matrix)
    return RawSource(str(path), ScanHeader(shape, geometry, "metaimage", repairs=repairs), layout)


def _shape(path: Path, fields: MetaFields) -> tuple[int, int, int, int]:
    """Return (t, z, y, x); what is no image of one value per voxel is refused."""
    kind = fields.text("ObjectType") or "Image"
    if kind.lower() != "image":
        raise DataError("unreadable", f"{path}: is a MetaIO object but no image; name an image")
    sizes = fields.numbers("DimSize")
    if not sizes or not all(n.is_integer() for n in sizes):
        raise ValueError("DimSize")
    if fields.whole("NDims", len(sizes)) != len(sizes):
        raise ValueError("NDims")
    if fields.whole("ElementNumberOfChannels", 1) != 1:
        count = fields.whole("ElementNumberOfChannels", 1)
        raise DataError(
            "unreadable",
            f"{path}: holds {count} values per voxel (ElementNumberOfChannels); one is read, so write one "
            "file per component",
        )
    if fields.text("Kinds").lower().split()[2:] in (["list"], ["time"]) and len(sizes) == 3:
        sizes.insert(2, 1)  # frames of one slice, as Plus and 3D Slicer record ultrasound
    return volume_shape(str(path), [int(n) for n in sizes])


def _layout(path: Path, fields: MetaFields, shape: tuple[int, int, int, int]) -> RawLayout:
    """Tell where and how the voxels lie."""
    kind = _TYPES.get(fields.text("ElementType").upper().removesuffix("_ARRAY"))
    if kind is None:
        raise ValueError("ElementType")
    is_big = fields.is_true("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    slope = (fields.numbers("ElementToIntensityFunctionSlope") or [1.0])[0]
    intercept = (fields.numbers("ElementToIntensityFunctionOffset") or [0.0])[0]
    if not (math.isfinite(slope) and math.isfinite(intercept) and slope):
        raise ValueError("ElementToIntensityFunctionSlope")
    encoding = "raw"
    if not fields.is_true("BinaryData", default=True):
        encoding = "text"
    elif fields.is_true("CompressedData"):
        encoding = "zlib"
    name = fields.text(DATA_FILE)
    if not name:
        raise ValueError("ElementDataFile")
    is_local = name.upper() == "LOCAL"  # the voxels follow the header
    planes = shape[0] * shape[1]
    return RawLayout(
        files=(str(path),) if is_local else named_files(path, name, fields.listed, planes),
        dtype=np.dtype(kind).newbyteorder(">" if is_big else "<").str,
        offset=_offset(path, fields, encoding, is_local=is_local),
        encoding=encoding,
        slope=slope,
        intercept=intercept,
        packed_bytes=fields.whole("CompressedDataSize", 0) or None,
        surplus="refuse" if is_local else "tell",
    )


def _offset(path: Path, fields: MetaFields, encoding: str, *, is_local: bool) -> int:
    """Return the bytes before the voxels; -1: they are the file's last."""
    skip = fields.whole("HeaderSize", 0)
    if skip < -1 or (skip == -1 and encoding != "raw"):
        raise ValueError("HeaderSize")
    if not is_local or skip == -1:
        return skip
    if skip not in (0, fields.end):
        raise DataError(
            "unreadable",
            f"{path}: HeaderSize {skip} contradicts data that follow the header (LOCAL); remove the field",
        )
    return fields.end


def _affine(path: Path, fields: MetaFields) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return voxel to LPS mm; each row of TransformMatrix is the direction of one voxel axis."""
    size = len(fields.numbers("DimSize"))
    spacing = fields.numbers("ElementSpacing", "ElementSize")
    origin = fields.numbers("Offset", "Position", "Origin")
    rows = fields.numbers("TransformMatrix", "Rotation", "Orientation")
    repairs = [] if origin and rows else ["position_assumed"]
    if not spacing:
        repairs = ["spacing_assumed"]
    for name, values, count in (
        ("ElementSpacing", spacing, size),
        ("Offset", origin, size),
        ("TransformMatrix", rows, size * size),
    ):
        if len(values) not in (0, count):
            raise ValueError(name)
    matrix = np.eye(4)
    kept = min(size, 3)
    directions = np.reshape(rows or np.eye(size), (size, size))[:kept, :kept].T
    matrix[:kept, :kept] = directions * np.array(spacing or [1.0] * size)[:kept]
    matrix[:kept, 3] = (origin or [0.0] * size)[:kept]
    if kept == 2:
        repairs.append("thickness_assumed")
    matrix[:kept] *= _scale(path, fields)
    return matrix, tuple(repairs)


def _scale(path: Path, fields: MetaFields) -> float:
    """Return mm per unit of the header; mm where it names none."""
    try:
        return mm_per_unit(fields.text("DistanceUnits")) or 1.0
    except ValueError as error:
        raise DataError(
            "no_space", f"{path}: its DistanceUnits are no unit of length that is known; write mm"
        ) from error
