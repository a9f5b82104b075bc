"""Stacks of single pages: a folder of TIFF or PNG files, or one PNG.

What is no picture (logs, Thumbs.db, previews in JPEG) is left alone. A folder may also hold one TIFF file
with the whole stack, or the files of one OME-TIFF set.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.sidecars import sidecar_spacing
from somray.io.readers.slices.order import NumberedFile, in_order
from somray.io.readers.slices.png import is_png, png_facts, png_plane
from somray.io.readers.source import Source, Windows
from somray.io.readers.tiff.boxes import FilesSource, least, windows_of
from somray.io.readers.tiff.omeset import is_ome_set
from somray.io.readers.tiff.pages import PageFacts, check_whole, facts_of, strict
from somray.io.readers.tiff.reader import SUFFIXES, open_tiff
from somray.io.readers.tiff.spacing import Spacing, spacing_zyx_mm, stack_header

__all__ = ["is_slices", "open_slices", "pictures_within"]

_SAME = 1e-4  # relative difference of pixel sizes that rounding in a header explains


@dataclass(frozen=True)
class _Slice:
    """What one file says of its slice."""

    facts: PageFacts
    spacing: Spacing | None = None
    windows: Windows = "slices"
    page: int = 0


def pictures_within(folder: Path) -> list[Path]:
    """List a folder's pictures of the format, TIFF or PNG, that most of them have."""
    endings = (*SUFFIXES, ".png")
    found = [
        f for f in sorted(folder.iterdir())
        if f.suffix.lower() in endings and not f.name.startswith(".") and f.is_file()
    ]  # fmt: skip
    counts = Counter(_is_png_name(f) for f in found)
    chosen = counts[True] > counts[False]
    return [f for f in found if _is_png_name(f) == chosen]


def _is_png_name(file: Path) -> bool:
    return file.suffix.lower() == ".png"


def is_slices(path: Path) -> bool:
    """Tell a folder by the names in it, one PNG by its first bytes."""
    return bool(pictures_within(path)) if path.is_dir() else is_png(path)


def open_slices(path: Path, irregular: str = "refuse", channel: str | None = None) -> Source:
    """Open the stack in a folder, or one PNG; a gap in the numbers is a lost slice, which nothing brings back.

    Raises:
        DataError: `unreadable`, `truncated`, `mixed_series` (pages differ), `irregular` (missing pages).
    """
    files = pictures_within(path) if path.is_dir() else [path]
    is_png_alone = not path.is_dir()  # by its first bytes, whatever its name
    if not (is_png_alone or _is_png_name(files[0])) and (len(files) == 1 or _is_set(files[0])):
        return _open_tiff_of(files, channel)
    if channel is not None:
        raise DataError("unreadable", f"{path}: single gray pages have no channel {channel!r}")
    numbered = in_order(path, files)
    first = _look(numbered.files[0], decode=True)
    seen = [first, *(_look(file, decode=False) for file in numbered.files[1:])]
    _check_alike(path, numbered.files, seen)
    shape = (1, len(seen), first.facts.rows, first.facts.columns)
    kind = "png" if is_png_alone or _is_png_name(numbered.files[0]) else "tiff"
    notes = (*first.facts.notes, *(("others_ignored",) if numbered.others else ()))
    spacing = _spacing(path, seen, numbered, shape[1:])
    header = stack_header(path, shape, spacing, notes, kind)
    if kind == "png":
        source: Source = _PngSource(str(path), header, numbered.files)
    else:
        windows = least(one.windows for one in seen)
        planes = [(file, one.page) for file, one in zip(numbered.files, seen, strict=True)]
        source = FilesSource(str(path), header, windows, [planes])
    source.slice_bytes = 12  # a file, its decoded samples, float32
    return source


def _is_set(file: Path) -> bool:
    """Whether a TIFF file says that it is one of several of one image."""
    with strict(file), tifffile.TiffFile(file) as opened:
        return bool(opened.is_ome) and is_ome_set(file, str(opened.ome_metadata))


def _open_tiff_of(files: list[Path], channel: str | None) -> Source:
    """Open the set that a folder's files make, or its only file."""
    source = open_tiff(files[0], channel=channel)
    others = [] if not isinstance(source, FilesSource) else sorted({*files} - source.members)
    if others and len(files) > 1:
        source.close()
        raise DataError(
            "mixed_series",
            f"{files[0].parent}: holds an OME-TIFF set and {len(others)} other files "
            f"({others[0].name}, …); name one file of the set, or move the others out",
        )
    return source


def _look(file: Path, *, decode: bool) -> _Slice:
    """Read one file's header."""
    if file.suffix.lower() not in SUFFIXES:
        facts = png_facts(file)
        if facts.samples > 1 and decode:
            png_plane(file)  # refuses what is really in color
        notes = ("gray_from_rgb",) if facts.samples > 2 else ()
        return _Slice(PageFacts(facts.rows, facts.columns, f"{facts.bits} bit", notes))
    with strict(file), tifffile.TiffFile(file) as opened:
        pages: list[Any] = list(opened.pages)  # Any: tifffile
        full = [page for page in pages if not page.keyframe.is_reduced]
        check_whole(file, full)
        if len(full) != 1:
            raise DataError(
                "unreadable",
                f"{file}: holds {len(full)} pages; a folder of slices holds one gray page per file, name a "
                "file that holds a stack by itself",
            )
        page = facts_of(file, full[0], decode=decode)
        axes = zip(full[0].axes, full[0].shape, strict=True)
        if math.prod(size for axis, size in axes if axis not in "SYX") > 1:
            raise DataError("unreadable", f"{file}: holds a volume; name the file itself")
        return _Slice(page, spacing_zyx_mm(opened), windows_of(full), pages.index(full[0]))


def _check_alike(folder: Path, files: list[Path], seen: Sequence[_Slice]) -> None:
    """Refuse slices that differ in size, type, or size of their pixels."""
    first = seen[0]
    for file, other in zip(files[1:], seen[1:], strict=True):
        if other.facts != first.facts:
            what = "differ in size or type"
        elif not _same_pixels(first.spacing, other.spacing):
            what = "differ in the size of their pixels"
        else:
            continue
        raise DataError(
            "mixed_series",
            f"{folder}: pages {what}: {files[0].name} and {file.name}; one stack per folder",
        )


def _same_pixels(one: Spacing | None, other: Spacing | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.allclose(one[1:], other[1:], rtol=_SAME, atol=0))


def _spacing(
    path: Path, seen: Sequence[_Slice], numbered: NumberedFile, shape: tuple[int, ...]
) -> Spacing | None:
    """Take the pages' own word, else a scanner's file beside them."""
    beside = sidecar_spacing(path, shape, numbered.step) if path.is_dir() else None
    own = seen[0].spacing
    if own is None or (own[0] is None and beside is not None and _same_pixels(own, beside)):
        return beside
    return own


class _PngSource(Source):
    """One PNG file per slice."""

    splits = True

    def __init__(self, path: str, header: ScanHeader, files: list[Path]) -> None:
        super().__init__(path, header)
        self._files = files

    def _plane(self, t: int, z: int) -> NDArray[Any]:  # Any: any number
        return png_plane(self._files[z])
