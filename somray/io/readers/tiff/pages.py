"""One page of a TIFF as one plane of measured numbers: what is refused, what is noted, how it is decoded.

ImageJ has no signed 16 bit and no HU: it stores such images shifted, in whole numbers, and writes the straight line to
the measured values into the description (`cf=0`, `c0`, `c1`). Its other functions are curves for films and gels; their
values are taken as stored. Source: ImageJ 1.53, FileOpener.decodeDescriptionString and Calibration.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC

from somray.errors import DataError
from somray.io.readers.gray import gray_of
from somray.io.readers.standins import stand_in

__all__ = [
    "PageFacts",
    "check_whole",
    "facts_of",
    "is_imagej_page",
    "measured",
    "planes_of",
    "strict",
    "value_line",
]

MOST_BYTES = 128 * 2**20  # of one decoded page of several slices
MOST_PLANE_BYTES = 2**32  # of one that is a slice; ingest asks for the memory, or reads it in parts
_GRAY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MASK, PHOTOMETRIC.LINEAR_RAW)
_COLOR = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
_LOSSY = frozenset({
    COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.JPEG_LOSSY, COMPRESSION.APERIO_JP2000_YCBC,
    COMPRESSION.JPEG_2000_LOSSY, COMPRESSION.APERIO_JP2000_RGB, COMPRESSION.WEBP, COMPRESSION.LERC,
})  # fmt: skip
"""Codecs that lose detail, or mostly do."""
_STRAIGHT_LINE = 0


class _Errors(logging.Handler):
    """Collects what tifffile logs instead of raising: broken page chains."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def strict(path: Path) -> Iterator[None]:
    """Turn what tifffile logs, warns or raises into a coded error."""
    logger, errors = logging.getLogger("tifffile"), _Errors()
    logger.addHandler(errors)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        if not errors.messages:  # else the page chain is broken, and that is the reason
            raise
    except tifffile.TiffFileError as error:
        code = "truncated" if path.stat().st_size < 8 else "unreadable"
        what = stand_in(path) or f"is not a whole TIFF file ({error}); copy the file again"
        raise DataError(code, f"{path}: {what}") from error
    except (OSError, ValueError, IndexError, KeyError, RuntimeError) as error:
        raise DataError(
            "unreadable",
            f"{path}: cannot be decoded ({error}); copy the file again, or save it anew",
        ) from error
    finally:
        logger.removeHandler(errors)
    if errors.messages:
        raise DataError(
            "truncated",
            f"{path}: its pages are incomplete ({errors.messages[0]}); copy the file again",
        )


def check_whole(path: Path, pages: list[Any]) -> None:  # Any: tifffile
    """Refuse a file that ends before the last byte its pages name, and pages that were never written."""
    size = path.stat().st_size
    for page in pages:
        if page is None:
            raise DataError("truncated", f"{path}: pages are missing; copy the file again")
        parts = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        if max((offset + count for offset, count in parts), default=0) > size:
            raise DataError("truncated", f"{path}: ends before its pixels do; copy the file again")
        if not parts or any(count == 0 for _, count in parts):
            raise DataError("truncated", f"{path}: has a page without pixels; write it again")


@dataclass(frozen=True)
class PageFacts:
    """What a page says of its planes, and codes of what reading it changes; slices of one stack must agree in all."""

    rows: int
    columns: int
    dtype: str
    notes: tuple[str, ...] = ()


def is_imagej_page(page: Any) -> bool:  # Any: tifffile
    """Whether ImageJ wrote the file: its look-up tables are for display alone."""
    return bool(page.parent.is_imagej)


def facts_of(path: Path, page: Any, *, decode: bool = True) -> PageFacts:  # Any: tifffile
    """Look at a page; whether one of several samples is really in color is seen at once or not before it is read.

    Raises:
        DataError: `unreadable`: no single real number per pixel; `too_large`.
    """
    page = page.keyframe
    dtype = np.dtype(page.dtype) if page.dtype is not None else None
    if dtype is None or dtype.kind not in "iufb":
        raise DataError("unreadable", f"{path}: holds {dtype}; one real number per voxel is read")
    _check_photometric(path, page)
    notes = [] if int(page.compression) not in _LOSSY else ["lossy_compressed"]
    if page.photometric == PHOTOMETRIC.MINISWHITE and not _is_plain_mask(page):
        notes.append("white_inverted" if _is_inverted(page) else "lut_ignored")
    if page.photometric == PHOTOMETRIC.PALETTE and not _is_gray_ramp(page):
        notes.append("lut_ignored")
    has_curve = _calibration(page).get("cf", _STRAIGHT_LINE) != _STRAIGHT_LINE  # which is not read
    if has_curve and "lut_ignored" not in notes:
        notes.append("lut_ignored")
    if page.samplesperpixel > 1 + _alphas(page):
        notes.append("gray_from_rgb")
    if page.samplesperpixel > 1 and decode and page.nbytes <= MOST_BYTES:
        planes_of(path, page)  # refuses what is really in color
    sizes = dict(zip(page.axes, page.shape, strict=True))
    return PageFacts(sizes["Y"], sizes["X"], str(dtype), tuple(notes))


def _check_photometric(path: Path, page: Any) -> None:  # Any: tifffile
    """Refuse colors, and samples that are several measurements."""
    kind, alphas = page.photometric, _alphas(page)
    name = getattr(kind, "name", str(kind))
    if kind == PHOTOMETRIC.PALETTE:
        if not is_imagej_page(page) and not _is_gray_ramp(page):
            raise DataError(
                "unreadable",
                f"{path}: its pixels are numbers of colors in a palette, which measure nothing; export the "
                "values themselves in gray",
            )
        return
    if kind not in (*_GRAY, *_COLOR):
        raise DataError("unreadable", f"{path}: is a picture in {name}; gray values are read")
    if kind in _GRAY and page.samplesperpixel - alphas != 1:
        raise DataError(
            "unreadable",
            f"{path}: holds {page.samplesperpixel} values per pixel; write each to a file of its own",
        )


def _alphas(page: Any) -> int:  # Any: tifffile
    """Count the samples of opacity."""
    return sum(int(extra) in (1, 2) for extra in page.extrasamples or ())


def _is_inverted(page: Any) -> bool:  # Any: tifffile
    """Whether white at 0 says how values are stored: not in ImageJ's files, not for fractions."""
    is_whole = np.dtype(page.dtype).kind in "iub"
    return is_whole and not is_imagej_page(page) and not _is_plain_mask(page)


def _is_plain_mask(page: Any) -> bool:  # Any: tifffile
    """Whether a page is true and false as tifffile writes it: white at 0 without being asked."""
    return np.dtype(page.dtype).kind == "b" and bool(page.parent.is_shaped)


def _is_gray_ramp(page: Any) -> bool:  # Any: tifffile
    """Whether a palette shows every value as gray of that value."""
    if page.colormap is None:
        return False
    steps = np.asarray(page.colormap, dtype=np.int64) // 256  # 8 or 16 bit
    ramp = np.arange(steps.shape[1]) * 255 // max(steps.shape[1] - 1, 1)
    return bool((steps == ramp).all() or (np.asarray(page.colormap) == ramp).all())


def planes_of(path: Path, page: Any) -> NDArray[Any]:  # Any: tifffile, any number
    """Decode a page.

    Returns:
        (n, y, x): the planes that it holds, mostly one, in the values that were measured.

    Raises:
        DataError: `unreadable`, `truncated`, `too_large`.
    """
    key = page.keyframe
    is_plane = key.imagedepth == 1
    if key.nbytes > (MOST_PLANE_BYTES if is_plane else MOST_BYTES):
        raise DataError(
            "too_large",
            f"{path}: one page takes {key.nbytes / 2**20:.0f} MiB and is decoded whole; write it in strips or "
            "tiles, one slice a page",
        )
    with strict(path):
        stored = page.asarray(maxworkers=1)
        has_samples = "S" in key.axes
        samples = np.moveaxis(stored, key.axes.index("S"), -1) if has_samples else stored[..., None]
        stored = measured(path, key, samples)
    return np.asarray(stored.reshape(-1, *stored.shape[-2:]))


def measured(path: Path, key: Any, samples: NDArray[Any]) -> NDArray[Any]:  # Any: tifffile, numbers
    """Turn samples (..., y, x, s) of a page or a part of it into the values (..., y, x) that were measured.

    Raises:
        DataError: `unreadable`: they are colors, or transparent.
    """
    single = samples.shape[-1] == 1
    stored = samples[..., 0] if single else gray_of(path, samples, _alphas(key))
    if key.photometric == PHOTOMETRIC.MINISWHITE and _is_inverted(key):
        stored = _turned(stored, int(key.bitspersample))
    if (line := value_line(key)) is not None:
        stored = stored.astype(np.float64) * line[1] + line[0]
    return np.asarray(stored)


def _turned(stored: NDArray[Any], bits: int) -> NDArray[Any]:
    """Turn values over within the range that they are stored in."""
    if stored.dtype.kind in "bi":
        return ~stored  # of whole numbers: smallest + largest - stored
    largest = np.array(2**bits - 1, dtype=stored.dtype)
    return np.asarray(largest - stored)


def value_line(page: Any) -> tuple[float, float] | None:  # Any: tifffile
    """Return offset and slope of measured values; None where they are as stored."""
    told = _calibration(page)
    if told.get("cf") != _STRAIGHT_LINE:
        return None
    line = _number(told.get("c0")), _number(told.get("c1"))
    return None if line[1] == 0 or line == (0.0, 1.0) or not np.isfinite(line).all() else line


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _calibration(page: Any) -> dict[str, Any]:  # Any: tifffile
    """Return ImageJ's description where it may calibrate: fractions are measured values already."""
    file = page.parent
    is_whole = page.dtype is not None and np.dtype(page.dtype).kind == "u"
    told = file.imagej_metadata if file.is_imagej and is_whole else None
    return told if told and "vunit" in told else {}
