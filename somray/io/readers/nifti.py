"""NIfTI-1 and -2 (.nii, .hdr/.img, compressed or not): header through nibabel, voxels through `RawSource`.

What a file is, its content says and not its name: a plain file may be called .nii.gz and a compressed one .nii.
`scl_slope` is honoured; a slope of 0 or NaN means none. Analyze 7.5 is refused, for it does not say which side
is left.
"""

import lzma
import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.nifti1 import data_type_codes, intent_codes

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.raw import RawLayout, RawSource, volume_shape
from somray.io.readers.source import Source, grid_of
from somray.io.readers.voxels.inflate import compression_of, first_bytes, open_stream
from somray.io.readers.voxels.nifti_place import place_of

__all__ = ["is_nifti", "nifti_extensions", "open_nifti"]

_PACKED = ("", ".gz", ".bz2", ".xz", ".zst", ".zip")
SUFFIXES = tuple(kind + packed for kind in (".nii", ".hdr", ".img") for packed in _PACKED)
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_VECTORS = (1004, 1005, 1006, 1007, 1010, 2003, 2004, 2006, 2007, 2008, 2009, 2016, 2017)
"""Intent codes of matrices, vectors, colors, and of warps (FSL's)."""
_SURFACE = [27307, 1, 6]  # how FreeSurfer folds the 163,842 vertices of fsaverage
_HEADS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # by their size in bytes
_EXTENSION_BYTES = 4  # after the header: whether extensions follow
_MOST_EXTENSIONS = 1 << 24  # bytes
_OTHERS = ((0, b"NRRD0"), (128, b"DICM"))  # files of other formats with a NIfTI name


def is_nifti(path: Path) -> bool:
    """Tell NIfTI by its name, or by the magic number of a plain file with another name."""
    if not path.is_file():
        return False
    head = first_bytes(path, 348)
    if any(head[at : at + len(magic)] == magic for at, magic in _OTHERS):
        return False
    is_single = head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"
    return is_single or path.name.lower().endswith(SUFFIXES)


def open_nifti(path: Path, irregular: str = "refuse") -> Source:
    """Open a NIfTI file.

    Raises:
        DataError: `unreadable`, `truncated`, `no_space`, `missing` (the other file of a pair).
    """
    header, own, pixels = _find(path)
    shape = _shape(path, header)
    code = int(header["datatype"])
    if code not in _TYPES:
        known = code in data_type_codes.code
        what = str(data_type_codes.label[code]) if known else "an unknown type"
        raise DataError(
            "unreadable",
            f"{path}: holds {what} (code {code}); one real number per voxel is read: write "
            "the values themselves",
        )
    slope, intercept, repairs = _scaling(path, header)
    if shape[0] > 1 == shape[1]:  # also what converters make of slices whose places were lost
        repairs = (*repairs, "times_of_one_slice")
    matrix, notes = place_of(str(path), header, shape[1:])
    geometry = grid_of(str(path), shape[1:], matrix)
    layout = RawLayout(
        files=(str(pixels),),
        dtype=np.dtype(_TYPES[code]).newbyteorder(header.endianness).str,
        inner_offset=_offset(path, header, is_single=own == pixels),
        encoding=compression_of(pixels),
        slope=slope,
        intercept=intercept,
        surplus="refuse",
    )
    found = ScanHeader(shape, geometry, "nifti", repairs=(*repairs, *notes))
    return RawSource(str(path), found, layout)


def nifti_extensions(path: Path) -> list[bytes]:
    """Return the contents of a header's extensions.

    Raises:
        DataError: as `open_nifti`.
    """
    header, path, pixels = _find(path)
    start = header.sizeof_hdr + _EXTENSION_BYTES
    end = start + _MOST_EXTENSIONS
    data = _head(path, min(_offset(path, header, is_single=True), end) if path == pixels else end)
    if not data[header.sizeof_hdr : header.sizeof_hdr + 1].strip(b"\0"):
        return []
    found, at = [], start
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(header.endianness + "i", data, at)
        if size < 8 or at + size > len(data):
            break
        found.append(data[at + 8 : at + size])
        at += size
    return found


def _find(path: Path) -> tuple[Any, Path, Path]:  # Any: nibabel has no types
    """Return the header, its file, and that of the voxels: one for both, or the two of a pair."""
    head = _head(path)
    if not _magic(head) and ".img" in path.name.lower():
        path = _sibling(path, ".hdr")
        head = _head(path)
    header = _header(path, head)
    is_single = _magic(head).startswith(b"n+")
    return header, path, path if is_single else _sibling(path, ".img")


def _head(path: Path, count: int = 540) -> bytes:
    """Read the first bytes of a file, unpacked."""
    encoding = compression_of(path)
    try:
        with path.open("rb") as plain, open_stream(plain, encoding, np.dtype("u1")) as file:
            return file.read(count)
    except EOFError as error:
        raise DataError("truncated", f"{path}: ends within its header; copy it again") from error
    except (zlib.error, lzma.LZMAError, OSError) as error:
        raise DataError(
            "unreadable", f"{path}: compressed data are damaged ({error}); copy the file again"
        ) from error


def _magic(head: bytes) -> bytes:
    """Return n+1, ni1, n+2 or ni2; nothing where there is none."""
    for at, magics in ((4, (b"n+2", b"ni2")), (344, (b"n+1", b"ni1"))):
        if head[at : at + 3] in magics:
            return head[at : at + 3]
    return b""


def _header(path: Path, head: bytes) -> Any:  # Any: nibabel has no types
    """Parse a header; its size and, where that is damaged, the count of its axes tell the byte order."""
    magic = _magic(head)
    if not magic:
        raise _no_header(path, head)
    size = 540 if magic.endswith(b"2") else 348
    if len(head) < size:
        raise DataError("truncated", f"{path}: ends within its header; copy the file again")
    axes = ("q", 16) if size == 540 else ("h", 40)
    for (kind, at), values in ((("i", 0), (size,)), (axes, range(1, 8))):
        for sign in "<>":
            if struct.unpack_from(sign + kind, head, at)[0] in values:
                return _HEADS[size](head[:size], endianness=sign, check=False)
    raise DataError("unreadable", f"{path}: its NIfTI header is damaged; copy the file again")


def _no_header(path: Path, head: bytes) -> DataError:
    """Say what a file is that does not begin with a NIfTI header."""
    sizes = [struct.unpack_from(sign + "i", head)[0] for sign in "<>" if len(head) >= 4]
    is_headed = any(size in _HEADS for size in sizes)
    if not head or (is_headed and len(head) < min(_HEADS)):
        return DataError("truncated", f"{path}: ends within its header; copy the file again")
    if 348 in sizes:
        what = "is Analyze 7.5, which does not say where left is; convert it to NIfTI"
    elif head.startswith(b"\x1f\x8b"):
        what = "is compressed twice; unpack it once"
    else:
        what = "is not NIfTI, whatever its name; name another file"
    return DataError("unreadable", f"{path}: {what}")


def _sibling(path: Path, kind: str) -> Path:
    """Return the other file of a pair."""
    name = path.name
    stem = name[: max(name.lower().rfind(".hdr"), name.lower().rfind(".img"))]
    for ending in (kind, kind.upper()):
        for packed in _PACKED:
            if (found := path.with_name(f"{stem}{ending}{packed}")).is_file() and found != path:
                return found
    raise DataError(
        "missing", f"{path}: is one of two files, the {kind} file is not beside it; bring it there"
    )


def _shape(path: Path, header: Any) -> tuple[int, int, int, int]:  # Any: nibabel
    """Return (t, z, y, x); vectors and other further axes are refused by their name."""
    axes = int(header["dim"][0])
    sizes = [int(n) for n in header["dim"][1 : axes + 1]]
    if not 1 <= axes <= 7:
        raise DataError("unreadable", f"{path}: its header gives {axes} axes; 2 to 7 are possible")
    if min(sizes) < 0:
        raise DataError("unreadable", f"{path}: its sizes {sizes} must be positive; correct them")
    sizes = [*sizes[:3], *(max(n, 1) for n in sizes[3:])]  # 0 beyond space means unused, as in ITK
    intent = int(header["intent_code"])
    is_vector = intent in _VECTORS
    if max(sizes[3 if is_vector else 4 :], default=1) > 1:
        what = intent_codes.label[intent] if is_vector else "vector"
        raise DataError(
            "unreadable",
            f"{path}: holds several values per voxel ({what}, sizes {sizes}); x, y, z and t of one value "
            "are read, so write one file per component",
        )
    if sizes[:3] == _SURFACE:
        raise DataError(
            "unreadable",
            f"{path}: holds FreeSurfer's values on a surface, no volume; name the volume itself",
        )
    return volume_shape(str(path), sizes)


def _scaling(path: Path, header: Any) -> tuple[float, float, tuple[str, ...]]:  # Any: nibabel
    """Return slope, intercept and repairs; a slope of 0 or none at all scales nothing, as everywhere."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope):
        return 1.0, 0.0, ()
    if np.isfinite(slope) and np.isfinite(intercept):
        return slope, intercept, ()
    if slope == 1.0 or np.isinf(slope):
        return 1.0, 0.0, ("scaling_ignored",)
    raise DataError(
        "no_units",
        f"{path}: its values are to be scaled by {slope:g} and shifted by {intercept:g}; correct scl_inter",
    )


def _offset(path: Path, header: Any, *, is_single: bool) -> int:  # Any: nibabel
    """Return the byte where voxels begin."""
    given = float(header["vox_offset"])
    least = header.sizeof_hdr + _EXTENSION_BYTES if is_single else 0
    if given == 0:
        return int(least)
    if not least <= given < 1 << 62:
        raise DataError(
            "unreadable",
            f"{path}: its voxels are said to begin at byte {given:g}, within the header; correct vox_offset",
        )
    return int(given)
