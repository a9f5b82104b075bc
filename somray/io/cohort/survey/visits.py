"""Sources of one subject to visits, in the order of time, as far as names or headers tell it.

A visit is what names call one, else a day of the headers, else a study. What nothing dates is never made a visit
of its own beside dated ones: it would be taken for a later state.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.naming.moments import date_span, natural_key, ordered

__all__ = ["Visit", "visits_of"]


@dataclass
class Visit:
    """Sources of one subject at one time.

    Args:
        name: as folders have it, or t0, t1 and so on; unique among the subject's.
        found: the sources.
        day: of the headers, where all have one; never written.
        days: since the subject's first visit or since baseline, where known.
    """

    name: str
    found: list[Found]
    day: int | None
    days: float | None = None


def visits_of(found: Sequence[Found], subject: str, search: Search) -> list[Visit]:
    """Part one subject's sources by visit and put these in order."""
    groups = _groups(found, subject, search)
    visits = []
    for (name, _), ones in groups.items():
        known = [o.facts.day for o in ones if o.facts and o.facts.day is not None]
        aliases = {o.alias for o in ones}
        name = name or (aliases.pop() if len(aliases) == 1 else "")
        visits.append(Visit(name, ones, min(known) if len(known) == len(ones) else None))
    if len(visits) > 1:
        visits = _in_time(visits, subject, search)
    taken: set[str] = {visit.name for visit in visits if visit.name}
    free = (name for n in range(len(visits) + len(taken)) if (name := f"t{n}") not in taken)
    seen: set[str] = set()
    for visit in visits:
        if visit.name and date_span(visit.name):
            search.note(
                "sessions are named after folders that hold dates; rename them where dates must not be told"
            )
        if not visit.name or visit.name in seen:
            visit.name = next(free)
        seen.add(visit.name)
    return visits


def _groups(
    found: Sequence[Found], subject: str, search: Search
) -> dict[tuple[str, object], list[Found]]:
    """Group sources by name of the visit, else by day."""
    groups: dict[tuple[str, object], list[Found]] = defaultdict(list)
    for one in found:
        groups[one.when, _day(one, found)].append(one)
    dated = [key for key in groups if key != ("", None)]
    if not dated or ("", None) not in groups:
        return groups
    undated = groups.pop(("", None))
    if len(dated) == 1:
        groups[dated[0]] += undated
        return groups
    for one in undated:
        why = f"nothing tells at which of subject {subject}'s visits it was taken; add its row by hand"
        search.leave_out(one.path, "undated", why)
    return groups


def _day(one: Found, found: Sequence[Found]) -> object:
    """Return what parts visits that no name tells: the day, else the study, unless contrasts have one each."""
    if one.when or one.facts is None:
        return None
    if one.facts.day is not None:
        return one.facts.day
    undated = [f for f in found if not f.when and f.facts and f.facts.day is None]
    # phases of one visit may be studies of their own
    slots = {(f.modality, f.what) for f in undated}
    return (one.facts.study or one.alias) if len(slots) < len(undated) else None


def _in_time(visits: list[Visit], subject: str, search: Search) -> list[Visit]:
    """Order visits by the headers' days, else by names; say which."""
    days = [visit.day for visit in visits]
    if None not in days and len(set(days)) == len(days):
        visits = sorted(visits, key=lambda v: v.day or 0)
        for visit in visits:
            visit.days = float((visit.day or 0) - (visits[0].day or 0))
        search.note("sessions are ordered, and `days` counted, by the dates in the headers")
        return visits
    named = {visit.name: visit for visit in visits}
    if len(named) < len(visits):
        search.note(
            f"subject {subject}: neither names nor headers tell the order of its {len(visits)} sessions; put the "
            "rows of scans.csv in order, or fill in `days`"
        )
        return sorted(
            visits, key=lambda v: (natural_key(v.name), natural_key(str(v.found[0].path)))
        )
    row, since, how = ordered(list(named))
    for name in row:
        named[name].days = since.get(name)
    if not how:
        search.note(
            f"subject {subject}: the order of {', '.join(row)} is a guess; put the rows of scans.csv in order, or "
            "fill in `days`"
        )
    elif how == "dates":
        search.note(
            "sessions are ordered, and `days` counted, by the dates in folder and file names"
        )
    else:
        search.note(
            "sessions are ordered by the words and numbers of their names, natural order (week2, week10)"
        )
    return [named[name] for name in row]
