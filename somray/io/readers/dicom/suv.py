"""What makes a DICOM PET value a body-weight SUV.

SUVbw = activity concentration (Bq/ml) × body weight (g) / decayed injected dose (Bq). The dose decays to
the time that the scanner corrected the images to: the start of the series (`DecayCorrection` START) or
the injection (ADMIN). Where the header lacks a part, the values stay Bq/ml and say so.
Source: DICOM PS3.3 C.8.9; QIBA, "SUV vendor-neutral pseudo-code".
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

__all__ = ["PetScaling", "pet_scaling"]

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class PetScaling:
    """How one file's rescaled values become physical.

    Args:
        unit: SUVbw, Bq/ml or raw, after `factor`.
        factor: multiplies the rescaled value.
        suv_factor: makes SUVbw of the rescaled value; None where the header does not allow it.
    """

    unit: str
    factor: float
    suv_factor: float | None = None


def pet_scaling(data: Any) -> PetScaling:  # Any: pydicom's datasets are dynamic
    """Read how a PET file's values become SUVbw, else Bq/ml, else raw."""
    units = str(data.get("Units", "")).upper()
    if units == "GML":
        is_body_weight = str(data.get("SUVType") or "BW").upper() == "BW"
        return PetScaling("SUVbw", 1.0, 1.0) if is_body_weight else PetScaling("raw", 1.0)
    if units == "CNTS":  # Philips stores counts and, in private tags, factors to SUV and to Bq/ml
        to_suv, to_activity = _private(data, 0x00), _private(data, 0x09)
        if to_activity:
            return PetScaling("Bq/ml", to_activity, to_suv or _suv_factor(data, to_activity))
        return PetScaling("raw", 1.0, to_suv or None)
    if units == "BQML":
        return PetScaling("Bq/ml", 1.0, _suv_factor(data, 1.0))
    return PetScaling("raw", 1.0)


def _private(data: Any, offset: int) -> float:  # Any: pydicom
    """Return a positive number of Philips' PET block, 0 where there is none."""
    try:
        return max(
            float(data.private_block(0x7053, "Philips PET Private Group")[offset].value), 0.0
        )
    except (KeyError, ValueError, TypeError):
        return 0.0


def _suv_factor(data: Any, to_activity: float) -> float | None:  # Any: pydicom
    """Return the factor from stored activity to SUVbw, None where the header lacks a part."""
    corrected = {str(v).upper() for v in data.get("CorrectedImage") or []}
    sequence = data.get("RadiopharmaceuticalInformationSequence")
    weight_kg = _positive(data.get("PatientWeight"))
    correction = str(data.get("DecayCorrection", "")).upper()
    if not {"ATTN", "DECY"} <= corrected or not sequence or weight_kg is None:
        return None
    dose = _positive(sequence[0].get("RadionuclideTotalDose"))
    if dose is None:
        return None
    factor = to_activity * weight_kg * 1000.0 / dose
    if correction == "ADMIN":
        return factor
    half_life = _positive(sequence[0].get("RadionuclideHalfLife"))
    reference = _reference_time(data)
    injected = _injection_time(sequence[0], reference)
    if correction != "START" or half_life is None or reference is None or injected is None:
        return None
    elapsed = (reference - injected).total_seconds()
    if elapsed < 0:
        return None
    return float(factor * 2.0 ** (elapsed / half_life))


def _positive(value: Any) -> float | None:  # Any: pydicom
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number > 0 else None


def _reference_time(data: Any) -> datetime | None:  # Any: pydicom
    """Return the start of the series.

    A series that was reconstructed later carries a series time after its acquisition; which acquisition
    the decay was corrected to is then unknown here, so no SUV is claimed.
    """
    series = _moment(data.get("SeriesDate"), data.get("SeriesTime"))
    acquired = _moment(data.get("AcquisitionDate"), data.get("AcquisitionTime"))
    if series is not None and acquired is not None and series > acquired:
        return None
    return series


def _injection_time(item: Any, reference: datetime | None) -> datetime | None:  # Any: pydicom
    """Return the time of injection; a bare time of day is put on the day that ends at the series."""
    stamp = str(item.get("RadiopharmaceuticalStartDateTime") or "")
    if len(stamp) >= 14 and (moment := _moment(stamp[:8], stamp[8:])) is not None:
        return moment
    if reference is None:
        return None
    day = reference.strftime("%Y%m%d")
    moment = _moment(day, item.get("RadiopharmaceuticalStartTime"))
    if moment is not None and moment > reference:
        moment -= _DAY  # injected before midnight
    return moment


def _moment(date: Any, time: Any) -> datetime | None:  # Any: pydicom
    """Parse DICOM date and time (HHMMSS.FFFFFF), None where they are not both there."""
    digits = re.match(r"(\d{6})(?:\.(\d{1,6}))?", str(time or ""))
    if digits is None or not re.fullmatch(r"\d{8}", str(date or "")):
        return None
    try:
        moment = datetime.strptime(f"{date}{digits[1]}", "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return moment + timedelta(microseconds=int((digits[2] or "0").ljust(6, "0")))
