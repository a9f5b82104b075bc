"""Voxel sizes in the files that scanners write beside their slices.

Believed only where the file's own sizes are those of the slices: a log of other slices, of projections or of
a stack that was cropped or binned since says nothing. Read: NRecon logs of Bruker SkyScan (.log), Nikon
(.xtekct) and Volume Graphics (.vgi). Only the fields named here are looked at; such files name people too.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from somray.io.readers.lengths import mm_of
from somray.io.readers.tiff.spacing import Spacing

__all__ = ["sidecar_spacing"]

MOST_BYTES = 1 << 20  # a longer file is no such log
_SECTION = re.compile(r"^\s*[\[{](.*?)[\]}]\s*$")
_Fields = Mapping[str, str]


def sidecar_spacing(place: Path, shape: tuple[int, ...], step: float = 1.0) -> Spacing | None:
    """Look beside a stack, a folder of slices or one file, for its voxel size; z is None where that is not certain."""
    told = {_READERS[f.suffix.lower()](_fields(f), shape, step) for f in _beside(place)} - {None}
    return told.pop() if len(told) == 1 else None


def _beside(place: Path) -> list[Path]:
    if place.is_dir():
        files = [f for f in place.iterdir() if f.suffix.lower() in _READERS]
    else:
        files = [place.with_suffix(suffix) for suffix in _READERS]
    return [f for f in sorted(files) if f.is_file() and f.stat().st_size <= MOST_BYTES]


def _fields(file: Path) -> dict[str, str]:
    """Read `section/key` to value, in small letters; the first of equal keys counts."""
    section = ""
    fields: dict[str, str] = {}
    for line in file.read_text(encoding="latin-1").splitlines():
        head = _SECTION.match(line)
        key, sign, value = line.partition("=")
        if head:
            section = head.group(1).strip().lower()
        elif sign:
            fields.setdefault(f"{section}/{key.strip().lower()}", value.strip())
    return fields


def _numbers(fields: _Fields, *keys: str) -> list[float]:
    """Return the numbers of all keys together; [] where one is missing or none."""
    try:
        return [float(word) for key in keys for word in fields.get(key, "?").split()]
    except ValueError:
        return []


def _skyscan(fields: _Fields, shape: tuple[int, ...], step: float) -> Spacing | None:
    """Read an NRecon log; sections lie a multiple of the pixel size apart."""
    own = "reconstruction/"
    size = _numbers(fields, f"{own}pixel size (um)")
    plane = _numbers(
        fields, f"{own}result image height (pixels)", f"{own}result image width (pixels)"
    )
    if len(size) != 1 or not 0 < size[0] < 1e6 or plane != [float(n) for n in shape[1:]]:
        return None
    mm = size[0] / 1000
    sections = _numbers(fields, f"{own}section to section step") or [1.0]
    return (mm * sections[0] if sections[0] == step > 0 else None), mm, mm


def _nikon(fields: _Fields, shape: tuple[int, ...], step: float) -> Spacing | None:
    """Read a Nikon volume description; sizes in mm."""
    own = "xtekct/"
    counts = _numbers(fields, *(f"{own}voxels{a}" for a in "zyx"))
    sizes = _numbers(fields, *(f"{own}voxelsize{a}" for a in "zyx"))
    return _if_same(counts, sizes, shape)


def _volume_graphics(fields: _Fields, shape: tuple[int, ...], step: float) -> Spacing | None:
    """Read a Volume Graphics description; sizes and counts run x, y, z."""
    scale = mm_of(fields.get("geometry/unit", ""))
    counts = _numbers(fields, "representation/size")[::-1]
    sizes = [size * (scale or 0.0) for size in _numbers(fields, "geometry/resolution")[::-1]]
    return _if_same(counts, sizes, shape)


def _if_same(counts: list[float], sizes: list[float], shape: tuple[int, ...]) -> Spacing | None:
    if counts != [float(n) for n in shape] or len(sizes) != 3:
        return None
    z, y, x = sizes
    return (z, y, x) if all(0 < size < 1e6 for size in sizes) else None


_READERS = {".log": _skyscan, ".xtekct": _nikon, ".vgi": _volume_graphics}
