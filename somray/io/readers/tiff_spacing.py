"""Voxel sizes of a TIFF, where they can be believed."""

import xml.etree.ElementTree as ET
from typing import Any

__all__ = ["spacing_zyx_mm"]

_MM = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "\\u00b5m": 1e-3, "micron": 1e-3, "microns": 1e-3,
    "micrometer": 1e-3, "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0,
}  # fmt: skip
"""Lengths in mm; inch is left out: it is what editors write without being asked."""


def spacing_zyx_mm(
    file: Any,
) -> tuple[float, float, float] | None:  # Any: tifffile has no types here
    """Return (z, y, x) in mm from OME-XML or ImageJ tags, None where neither vouches for them."""
    if file.is_ome:
        return _from_ome(str(file.ome_metadata))
    if file.is_imagej:
        return _from_imagej(file)
    return None


def _positive(*values: float) -> tuple[float, ...] | None:
    return values if all(0 < v < 1e6 for v in values) else None


def _from_ome(text: str) -> tuple[float, float, float] | None:
    """Read PhysicalSizeZ, Y and X of the first image; micrometres where no unit is named."""
    try:
        pixels = next(e for e in ET.fromstring(text).iter() if e.tag.endswith("}Pixels"))
        sizes = []
        for axis in "ZYX":
            is_flat = axis == "Z" and pixels.get("SizeZ", "1") == "1"
            size = pixels.get(f"PhysicalSize{axis}")
            if size is None and is_flat:
                sizes.append(1.0)
                continue
            sizes.append(float(size or 0) * _MM[pixels.get(f"PhysicalSize{axis}Unit", "µm")])
    except (ET.ParseError, StopIteration, ValueError, KeyError):
        return None
    found = _positive(*sizes)
    return None if found is None else (found[0], found[1], found[2])


def _from_imagej(file: Any) -> tuple[float, float, float] | None:  # Any: tifffile
    """Read `spacing` and `unit`, and pixels per unit from the resolution tags."""
    told = file.imagej_metadata or {}
    scale = _MM.get(str(told.get("unit", "")).strip().lower())
    tags = file.pages[0].tags
    if scale is None or "XResolution" not in tags or "YResolution" not in tags:
        return None
    per_unit = [tags[name].value for name in ("YResolution", "XResolution")]
    if any(top == 0 for top, _ in per_unit):
        return None
    rows, columns = (bottom / top * scale for top, bottom in per_unit)
    found = _positive(float(told.get("spacing", 0)) * scale or rows, rows, columns)
    return None if found is None else (found[0], found[1], found[2])
