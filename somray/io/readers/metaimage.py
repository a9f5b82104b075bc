"""MetaImage (.mha, .mhd): text header read here, voxels through `RawSource`.

Read by ourselves because SimpleITK needs the whole volume and forgives short files. World is LPS.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.raw import RawLayout, RawSource, volume_shape
from somray.io.readers.source import Source, grid_of

__all__ = ["is_metaimage", "open_metaimage"]

HEADER_BYTES = 65536  # longest header that is read
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i8", "MET_ULONG": "u8",
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
    fields, end = _parse(path)
    try:
        shape = volume_shape(str(path), [int(n) for n in fields["DimSize"].split()])
        matrix, repairs = _affine(fields)
        kind = _TYPES[fields["ElementType"]]
        if int(fields.get("ElementNumberOfChannels", "1")) != 1:
            raise DataError("unreadable", f"{path}: holds several values per voxel; one is read")
    except (KeyError, ValueError) as error:
        raise DataError(
            "unreadable", f"{path}: header field is missing or wrong: {error}"
        ) from error
    geometry = grid_of(str(path), shape[1:], matrix)
    is_big = _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "")))
    files = _data_files(path, fields, shape)
    layout = RawLayout(
        files=files,
        dtype=np.dtype(kind).newbyteorder(">" if is_big else "<").str,
        offset=end if files == (str(path),) else int(fields.get("HeaderSize", "0")),
        encoding="zlib" if _is_true(fields.get("CompressedData", "")) else "raw",
    )
    return RawSource(str(path), ScanHeader(shape, geometry, "metaimage", repairs=repairs), layout)


def _is_true(text: str) -> bool:
    return text.lower().startswith(("t", "1", "y"))


def _parse(path: Path) -> tuple[dict[str, str], int]:
    """Read the header's fields and the byte where it ends."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    fields: dict[str, str] = {}
    end = 0
    for line in head.splitlines(keepends=True):
        end += len(line)
        key, sign, value = line.decode("latin-1").partition("=")
        if not sign:
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return fields, end
    if len(head) < HEADER_BYTES and "NDims" in fields:
        raise DataError("truncated", f"{path}: ends within its header; copy the file again")
    raise DataError("unreadable", f"{path}: is not MetaImage (no ElementDataFile in the header)")


def _affine(fields: dict[str, str]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return voxel to LPS mm; each row of TransformMatrix is the direction of one voxel axis."""
    size = len(fields["DimSize"].split())
    spacing_text = fields.get("ElementSpacing", fields.get("ElementSize"))
    spacing = [1.0] * size if spacing_text is None else [float(v) for v in spacing_text.split()]
    origin_text = fields.get("Offset", fields.get("Position", fields.get("Origin", "")))
    origin = [float(v) for v in origin_text.split()] or [0.0] * size
    rows_text = fields.get("TransformMatrix", fields.get("Rotation", fields.get("Orientation", "")))
    rows = np.array([float(v) for v in rows_text.split()] or np.eye(size).ravel()).reshape(
        size, size
    )
    if len(spacing) != size or len(origin) != size:
        raise ValueError(f"ElementSpacing and Offset need {size} numbers")
    matrix = np.eye(4)
    kept = min(size, 3)
    matrix[:kept, :kept] = rows[:kept, :kept].T * np.array(spacing[:kept])
    matrix[:kept, 3] = origin[:kept]
    return matrix, () if spacing_text is not None else ("spacing_assumed",)


def _data_files(
    path: Path, fields: dict[str, str], shape: tuple[int, int, int, int]
) -> tuple[str, ...]:
    """Return where the voxels lie: in the file itself, beside it, or in a numbered pattern."""
    name = fields["ElementDataFile"]
    if name.upper() == "LOCAL":
        return (str(path),)
    parts = name.split()
    if parts[0].upper() == "LIST":
        lines = path.read_text(encoding="latin-1").partition("LIST")[2].splitlines()[1:]
        return tuple(str(path.parent / line.strip()) for line in lines if line.strip())
    if len(parts) >= 2 and "%" in parts[0]:
        first = int(parts[1])
        step = int(parts[3]) if len(parts) > 3 else 1
        numbers = range(first, first + step * shape[1], step)
        return tuple(str(path.parent / (parts[0] % n)) for n in numbers)
    return (str(path.parent / name),)
