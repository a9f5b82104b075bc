"""Masks as painted pictures: PNG and TIFF with a palette, whose indices are the labels, or in colors.

Each color is a label, 1, 2 … in the order of red, green, blue over all slices; black and transparent are 0, and gray
is its own value. More than 64 colors are the soft edges of a drawing, of which no one says what they mean.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers import READERS
from somray.io.readers.sidecars import sidecar_spacing
from somray.io.readers.slices.order import in_order
from somray.io.readers.slices.png import is_png, png_facts, png_samples
from somray.io.readers.slices.reader import pictures_within
from somray.io.readers.source import Source
from somray.io.readers.tiff.pages import is_imagej_page, strict
from somray.io.readers.tiff.spacing import spacing_zyx_mm, stack_header

__all__ = ["is_color_mask", "open_colors"]

_MOST_COLORS = 64
_PICTURES = ("tiff", "slices")  # readers of them

Samples = NDArray[Any]  # Any: any number; (y, x) of a palette, (y, x, s) in colors


def is_color_mask(path: Path) -> bool:
    """Whether a file, or the first picture of a folder, has a palette or colors."""
    if next((name for name, one in READERS.items() if one.sniff(path)), "") not in _PICTURES:
        return False
    first = next(iter(pictures_within(path)), path) if path.is_dir() else path
    if is_png(first):
        return png_facts(first, palette=True).samples not in (1, 2)
    with strict(first), tifffile.TiffFile(first) as file:
        page: Any = file.pages.first  # Any: tifffile
        if page.photometric == PHOTOMETRIC.PALETTE:
            return not is_imagej_page(page)
        is_rgb = page.photometric == PHOTOMETRIC.RGB and page.samplesperpixel in (3, 4)
        return is_rgb and np.dtype(page.dtype).str[1:] in ("u1", "u2")


def open_colors(path: Path) -> Source:
    """Open a painted mask.

    Raises:
        DataError: `unreadable`: too many colors, damaged; `mixed_series`: slices of several sizes.
    """
    listed = in_order(path, pictures_within(path)) if path.is_dir() else None
    files = [path] if listed is None else listed.files
    planes: list[Callable[[], Samples]] = []
    sizes: set[tuple[int, int]] = set()
    spacing = None
    for file in files:
        if is_png(file):
            facts = png_facts(file, palette=True)
            sizes.add((facts.rows, facts.columns))
            planes.append(partial(png_samples, file))
            continue
        with strict(file), tifffile.TiffFile(file) as opened:
            pages = [p for p in opened.pages if not p.keyframe.is_reduced]
            sizes |= {(int(p.imagelength), int(p.imagewidth)) for p in pages}
            spacing = spacing or spacing_zyx_mm(opened)
            planes += [partial(_tiff_samples, file, p.index) for p in pages]
    if len(sizes) > 1:
        raise DataError("mixed_series", f"{path}: its pictures differ in size; one stack a folder")
    shape = (1, len(planes), *sizes.pop())
    spacing = spacing or sidecar_spacing(path, shape[1:], listed.step if listed else 1.0)
    kind = "png" if is_png(files[0]) else "tiff"
    return _ColorSource(str(path), stack_header(path, shape, spacing, (), kind), planes)


def _tiff_samples(file: Path, number: int) -> Samples:
    with strict(file), tifffile.TiffFile(file) as opened:
        page: Any = opened.pages[number]  # Any: tifffile
        found = page.asarray(maxworkers=1)
        return np.moveaxis(found, page.axes.index("S"), -1) if "S" in page.axes else found


class _ColorSource(Source):
    """An open painted mask; all its colors are looked at before the first label is told."""

    def __init__(
        self, path: str, header: ScanHeader, planes: Sequence[Callable[[], Samples]]
    ) -> None:
        super().__init__(path, header)
        self._planes = planes

    @cached_property
    def _colors(self) -> NDArray[np.int64]:
        """The colors of all slices as numbers, ascending, without black."""
        found: set[int] = set()
        for plane in self._planes:
            found |= set(np.unique(_numbers(plane())).tolist()) - {0}
            if len(found) > _MOST_COLORS:
                raise DataError(
                    "unreadable",
                    f"{self.path}: holds more than {_MOST_COLORS} colors, as soft edges make them; export it without "
                    "antialiasing, one color a label",
                )
        return np.array(sorted(found), dtype=np.int64)

    def _plane(self, t: int, z: int) -> NDArray[np.float32]:
        samples = self._planes[z]()
        if samples.ndim == 2:
            return samples.astype(np.float32)
        base = 1 << 8 * samples.dtype.itemsize
        levels = self._colors % base
        is_gray = (self._colors == levels * (base * base + base + 1)).all()
        numbers = _numbers(samples)
        labels = numbers % base if is_gray else np.searchsorted(self._colors, numbers, "right")
        return np.asarray(labels, dtype=np.float32)


def _numbers(samples: Samples) -> NDArray[np.int64]:
    """Write red, green and blue as one number each; 0 where transparent."""
    if samples.ndim == 2:
        return np.zeros((1, 1), dtype=np.int64)  # a palette's indices need no table
    base = 1 << 8 * samples.dtype.itemsize
    red, green, blue = np.moveaxis(samples[..., :3].astype(np.int64), -1, 0)
    numbers: NDArray[np.int64] = (red * base + green) * base + blue
    numbers[(samples[..., 3:] == 0).any(axis=-1)] = 0
    return numbers
