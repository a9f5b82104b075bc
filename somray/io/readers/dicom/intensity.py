"""Stored values to physical ones: rescaling of the slice, else its real-world mapping; unit and padding.

A CT is in HU where its header vouches for it: an intercept, no other type of rescaling, and a range of values
that can hold air at all. Vendors' private scales (Philips MR) are never applied: they are not for reading.
"""

from dataclasses import dataclass

from somray.errors import DataError
from somray.io.readers.dicom.dataset import Tags
from somray.io.readers.dicom.enhanced import FrameTags

__all__ = ["Intensity", "intensity_of"]

_UNITS = {
    "[hnsf'U]": "HU", "[hnsf'u]": "HU", "Bq/ml": "BQML", "Bq/mL": "BQML",
    "{SUVbw}g/ml": "GML", "g/ml{SUVbw}": "GML",
}  # fmt: skip
"""UCUM codes of real-world units to the words used here."""


@dataclass(frozen=True)
class Intensity:
    """How stored values become physical.

    Args:
        slope: physical value = slope × stored + intercept.
        intercept: see slope.
        unit: HU or raw; for PET BQML or GML where a real-world mapping names it, "" elsewhere: see `PetScaling`.
        padding: stored values (low, high) that were never measured.
    """

    slope: float
    intercept: float
    unit: str
    padding: tuple[float, float] | None


def intensity_of(frame: FrameTags, modality: str) -> Intensity:
    """Read how a frame's values become physical.

    Raises:
        DataError: `no_units`: by a table, or by a slope of 0; `unreadable`.
    """
    sequence = "PixelValueTransformationSequence"
    slope, intercept = (
        (frame.numbers(sequence, name) or (None,))[0]
        for name in ("RescaleSlope", "RescaleIntercept")
    )
    kind = frame.holder(sequence, "RescaleType").word("RescaleType")
    unit = "" if modality == "PT" else "raw"
    if modality == "CT" and intercept is not None and kind in ("", "HU"):
        is_unsigned = frame.file.whole("PixelRepresentation", 0) == 0 and (slope or 1.0) > 0
        is_hu = kind == "HU" or not (is_unsigned and intercept >= 0)
        unit = "HU" if is_hu else "raw"
    if unit != "HU":
        mapped = _mapped(frame, "HU" if modality == "CT" else "")
        if mapped is not None and (slope is None or mapped[2] in ("HU", "BQML", "GML")):
            slope, intercept, unit = mapped[0], mapped[1], mapped[2] or unit
    if slope is None and intercept is None and frame.file.first("ModalityLUTSequence") is not None:
        raise _no_units(frame, "ModalityLUTSequence (values by a table) is not read")
    if slope == 0:
        raise _no_units(frame, "RescaleSlope is 0")
    return Intensity(1.0 if slope is None else slope, intercept or 0.0, unit, _padding(frame.file))


def _no_units(frame: FrameTags, what: str) -> DataError:
    return DataError("no_units", f"{frame.file.file}: {what}; export it with its rescaling")


def _mapped(frame: FrameTags, wanted: str) -> tuple[float, float, str] | None:
    """Return slope, intercept and unit of the one real-world mapping that fits, None where none does."""
    levels = (*frame.groups, frame.file)
    items = next((i for g in levels if (i := g.items("RealWorldValueMappingSequence"))), [])
    found = []
    for item in items:
        slope = item.number("RealWorldValueSlope")
        intercept = item.number("RealWorldValueIntercept")
        code = item.first("MeasurementUnitsCodeSequence")
        unit = _UNITS.get(code.text("CodeValue") if code else "", "")
        if slope and intercept is not None and (not wanted or unit == wanted):
            found.append((slope, intercept, unit))
    known = [f for f in found if f[2]]
    chosen = [f for f in known if f[2] == "GML"] or known or found  # PET may be mapped to both
    return chosen[0] if len(chosen) == 1 else None


def _padding(tags: Tags) -> tuple[float, float] | None:
    """Return stored padding values, low and high.

    Writers mistake its VR: -2000 as unsigned 63536 in signed pixels, or the reverse. What cannot be a stored
    value is taken for the other reading of the same bits.
    """
    is_float = tags.value("FloatPixelPaddingValue") is not None
    names = ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit")
    if not is_float:
        names = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    values = [v for v in (tags.number(name) for name in names) if v is not None]
    if not values or tags.number(names[0]) is None:
        return None
    if not is_float:
        bits = tags.whole("BitsAllocated", 16)
        is_signed = tags.whole("PixelRepresentation", 0) == 1
        top = 2.0 ** (bits - 1) if is_signed else 2.0**bits
        values = [v - 2.0**bits if v >= top else v for v in values]
        if not is_signed:
            values = [v + 2.0**bits if v < 0 else v for v in values]
    return min(values), max(values)
