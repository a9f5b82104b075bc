"""How durations, ends and counts are said to a person, no more exactly than they are known; words that are none."""

import difflib
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from somray.errors import ConfigError

__all__ = ["asked_protocols", "check_word", "counted", "duration", "end_words", "ended_units", "meant"]  # fmt: skip

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def counted(count: int, one: str) -> str:
    """Write "1 scan", "2 scans"."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def duration(seconds: float) -> str:
    """Say how long something takes: "40 s", "12 min", "3 h 20 min", "2 days 4 h"."""
    if seconds < 1.5 * MINUTE:
        return f"{max(1, round(seconds))} s"
    minutes = math.ceil(seconds / MINUTE - 0.5)
    if minutes < 100:
        return f"{minutes} min"
    if seconds < 2 * DAY:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / HOUR)
    return f"{hours // 24} days {hours % 24} h"


def end_words(seconds: float, now: float | None = None) -> str:
    """Say when something that takes so long from now will end: "about 14:05, 12 minutes left"."""
    begin = time.time() if now is None else now
    if seconds < MINUTE:
        return "in less than a minute"
    rough = 5 * MINUTE if seconds > 2 * HOUR else MINUTE
    rounded = math.ceil(seconds / rough) * rough
    end, today = time.localtime(begin + seconds), time.localtime(begin)
    clock = time.strftime("%H:%M", end)
    if seconds > 6 * DAY:
        clock = time.strftime("%d %B %H:%M", end)
    elif end.tm_yday != today.tm_yday:
        clock = time.strftime("%A %H:%M", end)
    minutes = round(rounded / MINUTE)
    left = f"{minutes} minute{'s' if minutes > 1 else ''}" if minutes < 100 else duration(rounded)
    return f"about {clock}, {left} left"


def meant(given: str, known: Iterable[str]) -> str:
    """Say which known word a wrong one may have been meant to be; "" where none is near."""
    near = difflib.get_close_matches(given, list(known), 1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def check_word(option: str, given: str, known: Iterable[str], there: str = "expected") -> None:
    """Refuse a word that is none of those that an option knows; `there` says what these are.

    Raises:
        ConfigError: names them, and the nearest.
    """
    words = list(known)
    if given not in words:
        raise ConfigError(f"{option} {given!r}: {there} {', '.join(words)}{meant(given, words)}")


def asked_protocols(known: Iterable[str], asked: str | None) -> list[str]:
    """Return the protocols of a run that are meant: the one that is asked for, all where None.

    Raises:
        ConfigError: the run has no such protocol.
    """
    if asked is None:
        return list(known)
    check_word("--protocol", asked, known, "the run has")
    return [asked]


def ended_units(stage: Mapping[str, Any]) -> int:  # Any: JSON
    """Count the units of a stage that are done or failed."""
    return int(stage["done"]) + int(stage["failed"])
