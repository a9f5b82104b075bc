"""Compressed frames to stored values, by imagecodecs: JPEG, lossless JPEG, JPEG-LS, JPEG 2000.

Not by GDCM, whose JPEG-LS ends the whole process on a damaged stream (std::terminate). The size that a stream
names is compared with the header before anything is allocated by it.
"""

import struct
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEG2000MCLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

__all__ = ["CODECS", "LOSSY", "decoded"]

LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
"""Transfer syntaxes that always lose something; of others the header tells."""

_JPEG_2000 = (
    JPEG2000Lossless, JPEG2000, JPEG2000MCLossless, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K,
)  # fmt: skip
_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
_LOSSLESS = (
    JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL,
)  # fmt: skip
"""Here bits above the stored ones are what somebody put there, such as overlays; elsewhere they may be overshoot."""

CODECS = {
    **{str(uid): imagecodecs.jpeg_decode for uid in _JPEG},
    **{str(uid): imagecodecs.jpegls_decode for uid in (JPEGLSLossless, JPEGLSNearLossless)},
    **{str(uid): imagecodecs.jpeg2k_decode for uid in _JPEG_2000},
}
"""Transfer syntax to what decodes it; run-length and plain pixels are pydicom's."""

END, END_BYTES = b"\xff\xd9", 64
"""What a stream ends with, but for padding. Decoders of JPEG fill what is missing with grey and say nothing,
and CharLS may look for the end of a cut stream for ever."""

_NO_SIZE = (0xC4, 0xC8, 0xCC)  # tables, between the markers that open a frame
_JPEG_LS_FRAME = 0xF7


def decoded(
    frame: bytes, syntax: str, size: tuple[int, int], bits: int, *, is_signed: bool
) -> NDArray[Any]:
    """Decode one frame.

    Args:
        frame: its stream.
        syntax: a key of `CODECS`.
        size: rows and columns that the header names.
        bits: stored bits.
        is_signed: the values are two's complement in these bits, whatever the stream says.

    Returns:
        Stored values (rows, columns).

    Raises:
        EOFError: the stream is cut.
        RuntimeError: it is damaged, of another size, or in colour.
    """
    found = _size(frame)
    if END not in frame[-END_BYTES:]:
        raise EOFError("the stream is cut")
    if found != (*size, 1):
        raise RuntimeError(f"the stream holds {found}, the header says {(*size, 1)}")
    try:
        plane = np.asarray(CODECS[syntax](frame))
    except (RuntimeError, ValueError, MemoryError) as error:
        raise RuntimeError(f"the stream is damaged ({error})") from error
    if plane.shape != size:
        raise RuntimeError(f"the stream decodes to {plane.shape}, the header says {size}")
    has_more = plane.dtype.itemsize * 8 > bits and syntax in _LOSSLESS
    if is_signed == (plane.dtype.kind == "i") and not has_more:
        return plane
    low = plane.astype(np.int64) & ((1 << bits) - 1)
    return np.where(low >> (bits - 1), low - (1 << bits), low) if is_signed else low


def _size(frame: bytes) -> tuple[int, int, int]:
    """Return rows, columns and components that a stream names."""
    start = frame.find(b"\xff\x4f\xff\x51")  # JPEG 2000, perhaps within boxes
    if start >= 0 and len(frame) >= start + 42:
        right, down, left, up = struct.unpack(">4I", frame[start + 8 : start + 24])
        (components,) = struct.unpack(">H", frame[start + 40 : start + 42])
        return down - up, right - left, components
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if (0xC0 <= marker <= 0xCF and marker not in _NO_SIZE) or marker == _JPEG_LS_FRAME:
            rows, columns, components = struct.unpack(">HHB", frame[at + 5 : at + 10])
            return rows, columns, components
        if marker == 0xFF:  # fill
            at += 1
        elif (
            0xD0 <= marker <= 0xD8
        ):  # without length, such as the second start after a SPIFF header
            at += 2
        else:
            at += 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]
    raise RuntimeError("the stream names no size")
