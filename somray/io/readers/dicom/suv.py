"""What makes a DICOM PET value a body-weight SUV, and why it does not where it does not.

SUVbw = activity concentration (Bq/ml) × body weight (g) / decayed injected dose (Bq). The dose decays to
the time that the scanner corrected the images to: the start of the series (`DecayCorrection` START) or
the injection (ADMIN). Where the header lacks a part, or a part cannot be true (a dose in MBq, a weight in
grams, an injection after the scan), the values stay Bq/ml and a repair code names the reason: a dose of 370
is most likely in MBq, but a header that is wrong once is not set right by guessing.
Source: DICOM PS3.3 C.8.9; QIBA, "SUV vendor-neutral pseudo-code".
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from somray.io.readers.dicom.clocks import clock_seconds, is_midnight, moment, moment_of_stamp
from somray.io.readers.dicom.dataset import Tags

__all__ = ["PetScaling", "pet_scaling"]

WEIGHT_KG = (0.005, 500.0)  # a young mouse to the heaviest person
DOSE_BQ = (1e5, 2e10)
"""Below: kBq, MBq or mCi were written; a mouse has some MBq, Y-90 therapy some GBq."""
DOSE_BQ_PER_KG = (2e4, 2e8)
"""Of whoever weighs more than a rat: whole-body scanners to Y-90 therapy."""
RAT_KG = 1.0
MOST_HALF_LIVES = 6.0  # then 1.6 % of the dose is left: a wrong date, half a day, or minutes
MOST_FROM_MIDNIGHT = 2.0  # half-lives from or to 00:00:00, which stands for no time at all, too
LEAST_HALF_LIFE_SECONDS = 60.0  # Rb-82, the shortest in use, has 76
UNDATED_HALF_LIFE_SECONDS = 6 * 3600.0
"""Longer-lived tracers are scanned days later: a bare time is not enough."""
F18_CODES, F18_SECONDS, F18_TOLERANCE = ("C-111A1", "77004003"), 6586.2, 0.05
SAME_CLOCK_SECONDS = 60.0
_INJECTION = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartDateTime",
    "RadiopharmaceuticalStartTime",
)
"""What tells two injections apart."""
ROUNDED = timedelta(seconds=1)  # one clock of a header may be rounded down to whole seconds
_DAY = timedelta(days=1)
_SECONDS_A_DAY = 86400.0
_QUARTER = 900.0  # time zones differ by whole quarters of an hour


@dataclass(frozen=True)
class PetScaling:
    """How one file's rescaled values become physical.

    Args:
        unit: SUVbw, Bq/ml or raw, after `factor`.
        factor: multiplies the rescaled value.
        suv_factor: makes SUVbw of the rescaled value; None where the header does not allow it.
        per_activity: SUVbw per Bq/ml, where it was computed from dose and weight: one for a whole series.
        note: repair code that says why there is no SUV, or what had to be chosen for one.
    """

    unit: str
    factor: float
    suv_factor: float | None = None
    per_activity: float | None = None
    note: str = ""


class _NoSuvError(Exception):
    """A part of the SUV is missing or cannot be true; holds the repair code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def pet_scaling(tags: Tags, mapped_unit: str = "") -> PetScaling:
    """Read how a PET file's values become SUVbw, else Bq/ml, else raw; enhanced PET has a mapped unit instead."""
    units = mapped_unit or tags.word("Units")
    if units == "GML":
        if tags.word("SUVType") in ("", "BW"):
            return PetScaling("SUVbw", 1.0, 1.0)
        return PetScaling("raw", 1.0, note="suv_other_unit")
    if units == "CNTS":  # Philips stores counts and, in private tags, factors to SUV and to Bq/ml
        to_suv, to_activity = _philips(tags, 0x00), _philips(tags, 0x09)
        if to_suv:
            unit, factor = ("Bq/ml", to_activity) if to_activity else ("raw", 1.0)
            return PetScaling(unit, factor, to_suv)
        return _of_activity(tags, to_activity) if to_activity else _counts()
    return _of_activity(tags, 1.0) if units == "BQML" else _counts()


def _counts() -> PetScaling:
    return PetScaling("raw", 1.0, note="suv_other_unit")


def _of_activity(tags: Tags, to_activity: float) -> PetScaling:
    """Scale activity by weight and decayed dose, or say why not."""
    try:
        per_activity, note = _suv_per_activity(tags)
    except _NoSuvError as error:
        return PetScaling("Bq/ml", to_activity, note=error.code)
    return PetScaling("Bq/ml", to_activity, to_activity * per_activity, per_activity, note)


def _philips(tags: Tags, offset: int) -> float:
    """Return a positive number of Philips' PET block, 0 where there is none."""
    try:
        return _above_0(tags.private(0x7053, "Philips PET Private Group", offset), "")
    except _NoSuvError:
        return 0.0


def _suv_per_activity(tags: Tags) -> tuple[float, str]:
    """Return the factor from Bq/ml to SUVbw, and the code of what had to be chosen."""
    correction = _correction(tags)
    dose = _injection(tags)
    weight_kg = _positive(tags, "PatientWeight", "suv_no_weight")
    if dose is None:
        raise _NoSuvError("suv_no_dose")
    dose_bq = _positive(dose, "RadionuclideTotalDose", "suv_no_dose")
    if not WEIGHT_KG[0] <= weight_kg <= WEIGHT_KG[1]:
        raise _NoSuvError("suv_weight_implausible")
    per_kg = dose_bq / weight_kg
    is_odd = weight_kg >= RAT_KG and not DOSE_BQ_PER_KG[0] <= per_kg <= DOSE_BQ_PER_KG[1]
    if is_odd or not DOSE_BQ[0] <= dose_bq <= DOSE_BQ[1]:
        raise _NoSuvError("suv_dose_implausible")
    factor = weight_kg * 1000.0 / dose_bq
    if correction == "ADMIN":
        return factor, ""
    half_life = _half_life(dose)
    reference = _reference_time(tags, half_life)
    injected, note = _injection_time(tags, dose, reference, half_life)
    return float(factor * 2.0 ** _half_lives(injected, reference, half_life)), note


def _half_lives(injected: datetime, reference: datetime, half_life: float) -> float:
    """Return the half-lives between two times that can be true."""
    found = (reference - injected).total_seconds() / half_life
    blanks = is_midnight(injected) + is_midnight(reference)
    is_dated = half_life > UNDATED_HALF_LIFE_SECONDS  # by its day: at midnight, the hour may be any
    if blanks and (blanks == 2 or is_dated or not 0 <= found <= MOST_FROM_MIDNIGHT):
        raise _NoSuvError("suv_no_time")
    if not 0 <= found <= MOST_HALF_LIVES:
        raise _NoSuvError("suv_time_implausible")
    return found


def _injection(tags: Tags) -> Tags | None:
    """Return the one injection, None where there is none; of several nobody says which one is in the image."""
    items = tags.items("RadiopharmaceuticalInformationSequence")
    told = [i for i in items if i.text("RadionuclideTotalDose")]
    if len({tuple(i.text(name) for name in _INJECTION) for i in told}) > 1:
        return None
    return next(iter(told or items), None)


def _positive(tags: Tags, name: str, code: str) -> float:
    """Return a number above 0."""
    return _above_0(tags.text(name), code)


def _above_0(text: str, code: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise _NoSuvError(code) from None
    if not math.isfinite(found) or found <= 0:
        raise _NoSuvError(code)
    return found


def _half_life(dose: Tags) -> float:
    """Return the half-life in seconds; that of F-18 is known and must be right (minutes are written, too)."""
    found = _positive(dose, "RadionuclideHalfLife", "suv_no_half_life")
    code = dose.first("RadionuclideCodeSequence")
    is_f18 = code is not None and code.text("CodeValue") in F18_CODES
    is_wrong = is_f18 and abs(found / F18_SECONDS - 1.0) > F18_TOLERANCE
    if found < LEAST_HALF_LIFE_SECONDS or is_wrong:
        raise _NoSuvError("suv_no_half_life")
    return found


def _correction(tags: Tags) -> str:
    """Return the time that decay is corrected to: START or ADMIN."""
    corrected = set(tags.words("CorrectedImage"))
    if tags.word("DecayCorrected") == "YES" and tags.word("AttenuationCorrected") == "YES":
        return "START"  # enhanced PET; the time stands in DecayCorrectionDateTime
    kind = tags.word("DecayCorrection")
    if not {"ATTN", "DECY"} <= corrected or kind not in ("START", "ADMIN"):
        raise _NoSuvError("suv_not_corrected")
    return kind


def _reference_time(tags: Tags, half_life: float) -> datetime:
    """Return the time that the decay is corrected to.

    That is the start of the series, unless it lies after the acquisition: a series that was reconstructed
    later. Then GE names the start of the scan in a private tag, and elsewhere the frame's own reference time
    leads back to it; that all slices lead to one time is checked where they meet.
    """
    zone = tags.text("TimezoneOffsetFromUTC")
    stamped = moment_of_stamp(tags.text("DecayCorrectionDateTime"), zone)
    if stamped is not None:
        return stamped
    series = moment(tags.text("SeriesDate"), tags.text("SeriesTime"))
    acquired = moment(tags.text("AcquisitionDate"), tags.text("AcquisitionTime"))
    if acquired is None:
        acquired = moment_of_stamp(tags.text("AcquisitionDateTime"), zone)
    if acquired is not None and is_midnight(acquired):
        acquired = None  # its time was taken
    if series is not None and (acquired is None or series <= acquired):
        return series
    scanned = moment_of_stamp(tags.private(0x0009, "GEMS_PETD_01", 0x0D), zone)
    if scanned is not None:
        return scanned
    if series is None or acquired is None:
        raise _NoSuvError("suv_no_time")
    frame_ms, duration_ms = tags.number("FrameReferenceTime"), tags.number("ActualFrameDuration")
    if not frame_ms or not duration_ms or duration_ms < 0:
        if series - acquired <= ROUNDED:
            return series
        raise _NoSuvError("suv_no_time")
    decay = math.log(2.0) / half_life * duration_ms / 1000.0
    average = duration_ms / 1000.0 / decay * math.log(decay / (1.0 - math.exp(-decay)))
    return acquired - timedelta(seconds=frame_ms / 1000.0 - average)


def _injection_time(
    tags: Tags, dose: Tags, reference: datetime, half_life: float
) -> tuple[datetime, str]:
    """Return the time of injection; a bare time of day is put on the day that ends at the reference."""
    zone = tags.text("TimezoneOffsetFromUTC")
    stamp = dose.text("RadiopharmaceuticalStartDateTime")
    clock = clock_seconds(dose.text("RadiopharmaceuticalStartTime"))
    dated = moment_of_stamp(stamp, zone)
    if dated is not None:
        return _weighed(dated, clock, has_zone="+" in stamp or "-" in stamp)
    if clock is None or half_life > UNDATED_HALF_LIFE_SECONDS:
        raise _NoSuvError("suv_no_time")
    injected = reference.replace(hour=0, minute=0, second=0, microsecond=0)
    injected += timedelta(seconds=clock)
    return (injected - _DAY if injected > reference else injected), ""  # the day before midnight


def _weighed(dated: datetime, clock: float | None, *, has_zone: bool) -> tuple[datetime, str]:
    """Weigh the injection's date-time against its bare time of day; some writers leave either at 0.

    A date-time with an offset may be in another zone than the bare time, which is on the scanner's clock:
    then they differ by whole quarters of an hour, and the bare time holds. Else the date-time does (QIBA).
    """
    seconds = dated.hour * 3600 + dated.minute * 60 + dated.second + dated.microsecond / 1e6
    if clock and is_midnight(dated):
        return dated + timedelta(seconds=clock), ""
    if not clock:
        return dated, ""
    ahead = (clock - seconds + _SECONDS_A_DAY / 2) % _SECONDS_A_DAY - _SECONDS_A_DAY / 2
    if abs(ahead) <= SAME_CLOCK_SECONDS:
        return dated, ""
    if has_zone and abs(ahead - round(ahead / _QUARTER) * _QUARTER) < 1.0:
        return dated + timedelta(seconds=ahead), ""
    return dated, "suv_time_disagrees"
