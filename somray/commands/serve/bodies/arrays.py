"""One slice as bytes: numpy's .npy, PNG of 8 or 16 bits, or plain numbers.

Headers are believed only as far as the bytes bear them out, and nothing is allocated before.
"""

import io
import math
import re
import struct
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from somray.commands.serve.refusal import RefusedError

__all__ = ["DTYPES", "npy_bytes", "read_npy", "read_plain", "read_png"]

DTYPES = ("float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32")
"""Numbers that a slice may be sent as."""

_MAGIC = b"\x93NUMPY"
_HEADS = {
    b"\x01\x00": "<H",
    b"\x02\x00": "<I",
}  # by version, how the length of the header is written
_HEADER = re.compile(
    rb"\{\s*'descr':\s*'([<>|=][a-zA-Z]\d{1,2})',\s*'fortran_order':\s*(True|False),"
    rb"\s*'shape':\s*\(([\d, ]{0,80})\),?\s*\}\s*"
)
"""As numpy.save writes it; nothing of it is ever evaluated."""
_MOST_HEADER = 4096  # bytes
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = 33  # bytes of signature and IHDR
_DEFLATE_RATIO = 1032
_NO_NPY = RefusedError(
    422,
    "npy",
    "the body is no .npy file of version 1 or 2 with plain numbers; write it with numpy.save",
)


def read_npy(body: bytes, most_pixels: int) -> NDArray[np.float32]:
    """Read a slice as (c, y, x); no pickle is ever loaded.

    Raises:
        RefusedError: it is no .npy of real numbers, too large, or not as long as it says.
    """
    form = _HEADS.get(body[6:8])
    if body[:6] != _MAGIC or form is None or len(body) < 12:
        raise _NO_NPY
    start = 8 + struct.calcsize(form)
    end = start + struct.unpack_from(form, body, 8)[0]
    found = _HEADER.fullmatch(body[start:end]) if end - start <= _MOST_HEADER else None
    if found is None or end > len(body):
        raise _NO_NPY
    try:
        dtype = np.dtype(found[1].decode("ascii"))
    except TypeError as error:
        raise _NO_NPY from error
    shape = tuple(int(n) for n in found[3].split(b",") if n.strip())
    return _sized(body, end, shape, dtype, ("F" if found[2] == b"True" else "C", most_pixels))


def read_plain(body: bytes, shape: tuple[int, ...], dtype: str) -> NDArray[np.float32]:
    """Read a slice that was promised in this shape and type: little-endian, x fastest."""
    kind = np.dtype(dtype).newbyteorder("<")
    return _sized(body, 0, shape, kind, ("C", math.prod(shape)))


def _sized(
    body: bytes, start: int, shape: tuple[int, ...], dtype: Any, how: tuple[str, int]
) -> NDArray[np.float32]:  # Any: numpy's dtype of whatever was sent
    """Take numbers off a body that holds exactly those that its header promises."""
    order, most_pixels = how
    if dtype.newbyteorder("=").name not in DTYPES:
        raise RefusedError(422, "dtype", f"numbers must be {', '.join(DTYPES)}")
    if len(shape) not in (2, 3) or not all(isinstance(n, int) and n > 0 for n in shape):
        raise RefusedError(422, "shape", f"a slice is (y, x) or (c, y, x), got {list(shape)[:8]}")
    count = math.prod(shape)
    if count > most_pixels:
        raise RefusedError(413, "too_large", f"at most {most_pixels} pixels are taken, got {count}")
    if count * dtype.itemsize != len(body) - start:
        raise RefusedError(
            422,
            "length",
            f"the header promises {count * dtype.itemsize} bytes of pixels, the body has {len(body) - start}",
        )
    flat = np.frombuffer(body, dtype=dtype, count=count, offset=start)
    image = np.ascontiguousarray(flat.reshape(shape, order="F" if order == "F" else "C"))
    plane = image if image.ndim == 3 else image[None]
    return plane.astype(np.float32)


def read_png(body: bytes, most_pixels: int) -> NDArray[np.float32]:
    """Read a gray PNG of 8 or 16 bits as (1, y, x), in its stored values.

    Raises:
        RefusedError: it is another picture, too large, or damaged.
    """
    if len(body) < _PNG_HEAD or body[:8] != _PNG or body[12:16] != b"IHDR":
        raise RefusedError(422, "png", "the body is no PNG")
    columns, rows, bits, color = struct.unpack(">IIBB", body[16:26])
    if color != 0 or bits not in (8, 16):
        raise RefusedError(422, "png", "a PNG must be gray, of 8 or 16 bits; send .npy otherwise")
    if not 0 < rows * columns <= most_pixels:
        raise RefusedError(413, "too_large", f"at most {most_pixels} pixels are taken")
    if rows * columns * bits // 8 > len(body) * _DEFLATE_RATIO:
        raise RefusedError(422, "length", "the PNG ends before its pixels do")
    from imagecodecs import png_decode

    try:
        plane = np.asarray(png_decode(body))
    except (RuntimeError, ValueError) as error:
        raise RefusedError(422, "png", "the PNG is damaged") from error
    if plane.shape != (rows, columns):
        raise RefusedError(422, "png", "the PNG is not what its header says")
    return plane.astype(np.float32)[None]


def npy_bytes(array: NDArray[Any]) -> bytes:  # Any: any plain numbers
    """Write .npy, version 1."""
    file = io.BytesIO()
    npy_format.write_array(file, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
    return file.getvalue()
