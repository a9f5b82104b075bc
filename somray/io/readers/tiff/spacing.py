"""Voxel sizes of a TIFF, where they can be believed, and the header of a stack of pages."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from somray.domain.scan import ScanHeader
from somray.io.readers.lengths import mm_of
from somray.io.readers.source import grid_of
from somray.io.readers.tiff.omexml import elements, parsed

__all__ = ["Spacing", "ome_spacing", "spacing_zyx_mm", "stack_header"]

Spacing = tuple[float | None, float, float]
"""(z, y, x) in mm; z is None where nothing tells how far apart slices lie."""

_LARGEST_MM = 1e6


def spacing_zyx_mm(file: Any) -> Spacing | None:  # Any: tifffile has no types here
    """Return voxel sizes from OME-XML, ImageJ's, Zeiss LSM's or Micro-Manager's tags, None without them.

    Resolution tags alone are not believed: 72 per inch and its like are what editors write without being
    asked.
    """
    found = None
    if file.is_ome:
        found = ome_spacing(str(file.ome_metadata))
    if found is None and file.is_imagej:
        found = _from_tags(file, file.imagej_metadata or {})
    if found is None and file.is_shaped:
        found = _from_tags(file, (file.shaped_metadata or ({},))[0])
    if found is None and file.is_lsm:
        found = _from_lsm(file.lsm_metadata or {})
    if found is None and file.is_micromanager:
        found = _from_micromanager(file.micromanager_metadata or {})
    return found


def stack_header(
    path: Path,
    shape: tuple[int, int, int, int],
    spacing: Spacing | None,
    notes: Sequence[str],
    kind: str = "tiff",
) -> ScanHeader:
    """Describe a stack of TIFF or PNG; what is not known of its spacing is filled in and named.

    Args:
        path: for messages.
        shape: (t, z, y, x).
        spacing: as far as known.
        notes: codes of what else was assumed or changed.
        kind: name of the reader.

    Raises:
        DataError: `no_space`.
    """
    z, y, x = spacing or (1.0, 1.0, 1.0)
    doubts = ("spacing_assumed",) if spacing is None else () if z else ("z_spacing_assumed",)
    geometry = grid_of(str(path), shape[1:], np.diag([x, y, z or y, 1.0]))
    return ScanHeader(shape, geometry, kind, unit="raw", repairs=(*doubts, *notes))


def _length(value: object, scale: float | None) -> float | None:
    """Return a size in mm, None where it is none; the sign says in which direction a stack was taken."""
    try:
        number = abs(float(str(value))) * (scale or 0.0)
    except ValueError:
        return None
    return number if 0 < number < _LARGEST_MM else None


def _checked(z: float | None, y: float | None, x: float | None) -> Spacing | None:
    return None if y is None or x is None else (z, y, x)


def ome_spacing(text: str) -> Spacing | None:
    """Read PhysicalSizeZ, Y and X of the first image; micrometres where no unit is named."""
    root = parsed(text)
    pixels = next(iter(elements(root, "Pixels")), None) if root is not None else None
    if pixels is None:
        return None
    names = [f"PhysicalSize{axis}" for axis in "ZYX"]
    return _checked(*(_length(pixels.get(n), mm_of(pixels.get(f"{n}Unit", "um"))) for n in names))


def _from_tags(file: Any, told: dict[str, Any]) -> Spacing | None:  # Any: tifffile
    """Read `spacing` and `unit`, as ImageJ and tifffile write them, and pixels per unit from the tags.

    ImageJ writes inch without being asked; where it names no unit at all, centimetres come from a person.
    """
    tags = file.pages[0].tags
    unit = told.get("unit")
    if unit is None and file.is_imagej and "ResolutionUnit" in tags:
        unit = "cm" if int(tags["ResolutionUnit"].value) == 3 else None
    across, down = (mm_of(u, imperial=False) for u in (unit, told.get("yunit", unit)))
    through = mm_of(told.get("zunit", unit), imperial=False)
    if "XResolution" not in tags or "YResolution" not in tags:
        return None
    per_unit = [_ratio(tags[name].value) for name in ("YResolution", "XResolution")]
    y, x = (
        _length(1 / n if n > 0 else 0, s) for n, s in zip(per_unit, (down, across), strict=True)
    )
    return _checked(_length(told.get("spacing", 0), through), y, x)


def _ratio(value: Any) -> float:  # Any: a fraction as tifffile gives it
    top, bottom = value
    return float(top) / float(bottom) if bottom else 0.0


def _from_lsm(told: dict[str, Any]) -> Spacing | None:  # Any: tifffile
    """Read VoxelSizeX, Y, Z, in metres."""
    return _checked(*(_length(told.get(f"VoxelSize{axis}"), 1000.0) for axis in "ZYX"))


def _from_micromanager(told: dict[str, Any]) -> Spacing | None:  # Any: tifffile
    """Read the summary's pixel size and z step, in micrometres."""
    summary = told.get("Summary") or {}
    size = _length(summary.get("PixelSize_um"), 1e-3)
    return _checked(_length(summary.get("z-step_um") or 0, 1e-3), size, size)
