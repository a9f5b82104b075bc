"""What a name says of time: dates, counted units, words such as baseline and follow-up.

A moment sorts by what it says: before treatment, then counted from it, then after it. Dates serve to order and to
count days between them; they are never written anywhere but in the folder's own name.
"""

import datetime
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from somray.io.cohort.survey.naming.words import UNITS_DAYS

__all__ = ["Moment", "moment_of", "natural_key", "ordered", "time_words"]

_BEFORE = frozenset(
    ("screening", "screen", "scr", "pre", "preop", "pretreatment", "pretherapy", "prert", "prior", "before",
     "initial", "diagnosis", "planning", "pristine", "unloaded")
)  # fmt: skip
_BASELINE = frozenset(("baseline", "base", "bl"))
_AMID = frozenset(("interim", "mid", "midtreatment", "midrt", "during", "intra"))
_AFTER = frozenset(
    ("post", "postop", "posttreatment", "posttherapy", "postrt", "followup", "fu", "after", "eot", "restaging",
     "relapse", "recurrence", "progression")
)  # fmt: skip
_END = frozenset(("final", "last"))
_SOMETIME = frozenset(("unscheduled", "unsched"))
_COUNTED = frozenset(
    ("visit", "session", "ses", "timepoint", "tp", "time", "t", "v", "scan", "round", "exam", "cycle")
)  # fmt: skip
_WEAK = frozenset(("t", "v", "scan", "d", "w", "m", "y", "base", "before", "after", "last", "final", "prior",
                   "mid", "initial", "screen", "round", "planning"))  # fmt: skip
_MONTH = (
    r"(?P<m>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_STAGES = {"before": 0, "baseline": 1, "counted": 2, "amid": 3, "after": 4, "end": 5}
_DATES = (
    re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<m>\d\d)(?P=s)(?P<d>\d\d)(?!\d)"),
    re.compile(r"(?<!\d)(?P<a>\d\d?)(?P<s>[-_.])(?P<b>\d\d?)(?P=s)(?P<y>(?:19|20)\d\d)(?!\d)"),
    re.compile(
        r"(?<![^\W_])(?P<d>\d\d?)[-_. ]?(?P<m>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}[-_. ]?"
        r"(?P<y>(?:19|20)\d\d)(?!\d)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![^\W_]){_MONTH}[-_. ]?(?P<d>\d\d?)(?:st|nd|rd|th)?,?[-_. ](?P<y>(?:19|20)\d\d)(?!\d)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<!\d)(?P<y>(?:19|20)\d\d)[-_. ]?{_MONTH}[-_. ]?(?P<d>\d\d?)(?!\d)", re.IGNORECASE
    ),
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CYCLE = re.compile(r"c(\d{1,2})d(\d{1,2})")  # of trials: cycle and its day
_CLOCK = re.compile(
    r"[-_T ]\d\d([-_.])\d\d\1\d\d(\.\d+)?(?!\d)|[-_T ]?(?<=[-_T ])\d{6}(?!\d)|[-_T ]\d{4}(?!\d)"
)
_SIGNED = re.compile(
    r"(?<![^\W_])([a-z]+)(?:[ _]?-|[ _-]*(?:minus|neg)[ _-]*)(?=\d)", re.IGNORECASE
)
_UNSIGNED = re.compile(r"(?<![^\W_])([a-z]+)[ _]?(?=\d)", re.IGNORECASE)
_TCIA = re.compile(r"\d\d-\d\d-\d{4}-")


@dataclass(frozen=True, order=True)
class Moment:
    """When a name says it was.

    Args:
        stage: before, baseline, counted, amid, after, end, as 0 to 5; dates are 2.
        count: days or number within the stage.
        unit: days, number or date: what `count` counts; moments of two units cannot be compared.
        days: since baseline, where the name tells.
    """

    stage: int
    count: float
    unit: str = "number"
    days: float | None = None


def time_words(words: Sequence[str], is_t_time: bool) -> tuple[list[int], bool]:
    """Find the words of a name that speak of time.

    Returns:
        Their places, and whether all of them are weak: words that also mean other things.
    """
    found: list[int] = []
    strong = False
    for place, word in enumerate(words):
        stem, number = _cut(word)
        following = words[place + 1] if place + 1 < len(words) else ""
        if place in found or (stem == "t" and number in ("1", "2") and not is_t_time):
            continue
        if stem in _BEFORE | _AFTER and following in ("contrast", "gad", "gd", "enhanced"):
            continue
        if stem == "follow" and following[:2] == "up":
            stem = "followup"
            found.append(place + 1)
            if words[place + 2 : place + 3] and words[place + 2].isdigit():
                found.append(place + 2)
        elif stem.isdigit() and following in UNITS_DAYS and len(following) > 1 and len(stem) < 4:
            found.append(place + 1)
        elif _CYCLE.fullmatch(word):
            stem = "cycle"
        elif not _says_time(stem, number or (following if following.isdigit() else "")):
            continue
        found.append(place)
        if not number and not stem.isdigit() and following.isdigit() and len(following) <= 3:
            found.append(place + 1)
        strong = strong or stem not in _WEAK
    return sorted(set(found)), bool(found) and not strong


def _cut(word: str) -> tuple[str, str]:
    """Cut week12 or 12w into the word and its number."""
    if found := re.fullmatch(r"([^\W\d_]+)(\d{0,4})", word):
        return found[1], found[2]
    if found := re.fullmatch(r"(\d{1,3})([^\W\d_]+)", word):
        unit = "hour" if found[2] == "h" else found[2]
        return (unit, found[1]) if unit in UNITS_DAYS else (word, "")
    return word, ""


def _says_time(stem: str, number: str) -> bool:
    alone = _BEFORE | _BASELINE | _AMID | _AFTER | _END | _SOMETIME
    return stem in alone or bool(number and (stem in UNITS_DAYS or stem in _COUNTED))


def date_span(text: str) -> tuple[int, int] | None:
    """Find a date in a name, with the clock that may follow it."""
    for pattern in _DATES:
        for found in pattern.finditer(text):
            if _days_of(found):
                clock = _CLOCK.match(text, found.end())
                return found.start(), clock.end() if clock else found.end()
    return None


def _days_of(found: re.Match[str]) -> list[int]:
    """Return the days a date may mean: two where day and month cannot be told apart."""
    groups = found.groupdict()
    pairs = [(groups["m"], groups["d"])] if "m" in groups else [(groups["a"], groups["b"])]
    if "m" not in groups:
        is_tcia = _TCIA.match(found.string)  # that archive writes the month first
        pairs = pairs if is_tcia else [pairs[0], (groups["b"], groups["a"])]
        pairs = pairs[1:] if groups["s"] == "." else pairs  # with points the day stands first
    days = []
    for month, day in pairs:
        try:
            number = int(month) if month.isdigit() else _MONTHS.index(month.lower()[:3]) + 1
            days.append(datetime.date(int(groups["y"]), number, int(day)).toordinal())
        except ValueError:
            continue
    return sorted(set(days))


def moment_of(text: str) -> Moment | None:
    """Read what a session's name says of time; None where it says nothing, or two things."""
    for pattern in _DATES:
        if found := pattern.search(text):
            days = _days_of(found)
            return Moment(_STAGES["counted"], days[0], "date") if len(days) == 1 else None
    words = [w for w in re.split(r"[\W_]+", text.lower().replace("follow-up", "followup")) if w]
    if len(words) == 1 and (alone := _bare_number(words[0])) is not None:
        return Moment(_STAGES["counted"], alone)
    stage: int | None = None
    count, unit = 0.0, "number"
    days_since: float | None = None
    for place, word in enumerate(words):
        stem, number = _cut(word)
        following = words[place + 1] if place + 1 < len(words) else ""
        if word.isdigit() and following in UNITS_DAYS:
            stem, number = following, word
        value = float(number or (following if following.isdigit() else 0))
        if stem in UNITS_DAYS and (number or following.isdigit()):
            days_since = round(value * UNITS_DAYS[stem], 0 if UNITS_DAYS[stem] >= 1 else 3)
            stage, count, unit = _STAGES["counted"], days_since, "days"
        elif stage is None and (name := _stage(stem)) is not None:
            stage, count = _STAGES[name], value
    if stage is None:
        return None
    if stage == _STAGES["baseline"]:
        days_since = 0.0
    return Moment(stage, count, unit, days_since)


def _bare_number(word: str) -> int | None:
    """Read a number alone, or the cycle and day of a trial."""
    if cycle := _CYCLE.fullmatch(word):
        return 100 * int(cycle[1]) + int(cycle[2])
    return int(word) if word.isdigit() and len(word) < 5 else None


def _stage(stem: str) -> str | None:
    words = {"before": _BEFORE, "baseline": _BASELINE, "amid": _AMID, "after": _AFTER, "end": _END}
    words["counted"] = _COUNTED
    return next((name for name, known in words.items() if stem in known), None)


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts week2 before week10."""
    parts = re.findall(r"\d+|\D+", text.casefold())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]


def _signed(name: str, plain: Collection[str]) -> Moment | None:
    """Read a name; W-1 beside W0 is before it, while week-1 beside week-2 is the first."""
    found = _SIGNED.search(name)
    if found is None or (
        found[1].lower() not in plain and found[0][-1] == "-" and len(found[0]) == len(found[1]) + 1
    ):
        return moment_of(name)
    moment = moment_of(f"{name[: found.start()]}{found[1]}{name[found.end() :]}")
    if moment is None or moment.unit == "date" or moment.stage != _STAGES["counted"]:
        return moment
    since = None if moment.days is None else -moment.days
    return Moment(_STAGES["before"], -moment.count, moment.unit, since)


def ordered(names: Sequence[str]) -> tuple[list[str], dict[str, float], str]:
    """Put session names in the order of time.

    Returns:
        The names; the days of each since the first or since baseline, empty where not all tell; and how the
        order is known: "dates", "words", or "" where the names do not tell.
    """
    plain = {stem.lower() for name in names for stem in _UNSIGNED.findall(name)}
    moments = {name: _signed(name, plain) for name in names}
    known = {name: m for name, m in moments.items() if m is not None}
    units = {m.unit for m in known.values() if m.stage == _STAGES["counted"]}
    is_strict = len({(m.stage, m.count) for m in known.values()}) == len(names)
    if len(known) < len(names) or len(units) > 1 or not is_strict:
        return sorted(names, key=natural_key), {}, ""
    row = sorted(names, key=lambda name: known[name])
    if units == {"date"}:
        if len({m.unit for m in known.values()}) > 1:  # baseline beside dates
            return row, {}, "words"
        first = known[row[0]].count
        return row, {name: known[name].count - first for name in row}, "dates"
    days = {name: m.days for name, m in known.items() if m.days is not None}
    rising = [days[name] for name in row if name in days]
    is_whole = len(days) == len(names) and rising == sorted(rising)
    return row, days if is_whole else {}, "words"
