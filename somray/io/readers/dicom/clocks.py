"""Dates and times of DICOM: moments for arithmetic within this room, none of which leaves it."""

import re
from datetime import datetime, timedelta, timezone

__all__ = ["clock_seconds", "is_midnight", "moment", "moment_of_stamp"]

FIRST_YEAR = 1900  # no scanner is older; years before it are blanks and zeros
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?")
_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_STAMP = re.compile(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)([+-]\d{4})?")


def clock_seconds(time: str) -> float | None:
    """Return seconds since midnight of a time (HHMMSS.FFFFFF, also HHMM, HH and HH:MM:SS)."""
    found = _TIME.fullmatch(time.strip())
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return hours * 3600 + minutes * 60 + seconds + float(f"0.{found[4] or 0}")


def moment(date: str, time: str) -> datetime | None:
    """Join a date and a time, None where they are not both there."""
    found, seconds = _DATE.fullmatch(date.strip()), clock_seconds(time)
    if found is None or seconds is None:
        return None
    if not FIRST_YEAR <= int(found[1]) < 9999:
        return None
    try:
        return datetime(int(found[1]), int(found[2]), int(found[3])) + timedelta(seconds=seconds)
    except ValueError:
        return None


def is_midnight(found: datetime) -> bool:
    """Whether a moment is 00:00:00 to the fraction, as it stands where a time was never known or was taken away."""
    return found == found.replace(hour=0, minute=0, second=0, microsecond=0)


def moment_of_stamp(stamp: str, zone: str = "") -> datetime | None:
    """Parse a date-time (YYYYMMDDHHMMSS.FFFFFF&ZZXX) on the clock of the data set's zone.

    Args:
        stamp: as the header has it.
        zone: the data set's own offset from UTC (+0100), "" where it names none: then an offset in the stamp
            cannot be weighed against anything, and the stamp is taken for local time.
    """
    found = _STAMP.fullmatch(stamp.strip())
    if found is None:
        return None
    local = moment(found[1], found[2])
    here, there = _offset(zone), _offset(found[3] or "")
    if local is None or here is None or there is None:
        return local
    return local.replace(tzinfo=timezone(there)).astimezone(timezone(here)).replace(tzinfo=None)


def _offset(zone: str) -> timedelta | None:
    found = re.fullmatch(r"([+-])(\d{2})(\d{2})", zone.strip())
    if found is None or int(found[2]) > 14 or int(found[3]) > 59:
        return None
    size = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -size if found[1] == "-" else size
