"""What a manifest says that is right by its form and may yet not be meant: told, never changed."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from somray.domain.scan import Scan
from somray.io.cohort.survey.naming.moments import ordered

__all__ = ["doubts_of"]

MOST_NAMED = 5
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_OF_SPREADSHEETS = re.compile(rf"[0-9]{{1,2}}-(?:{_MONTHS})|(?:{_MONTHS})-[0-9]{{2}}")


def doubts_of(scans: Sequence[Scan]) -> list[str]:
    """Name ids that hardly differ, sessions in another order than their names say, files that stand for two scans."""
    subjects: dict[str, list[Scan]] = {}
    for scan in scans:
        subjects.setdefault(scan.subject, []).append(scan)
    same = {name: _alike(dict.fromkeys(s.session for s in ones)) for name, ones in subjects.items()}
    sessions = [f"{name} ({twins})" for name, found in same.items() for twins in found]
    dates = [name for name in subjects if _OF_SPREADSHEETS.fullmatch(name)]
    truths = _sharing(
        scans, lambda s: [s.truth] if s.truth else [], lambda s: f"{s.subject} {s.session}"
    )
    files = _sharing(scans, lambda s: filter(None, s.paths), lambda s: s.subject)
    partly = [name for name, ones in subjects.items() if len({s.days is None for s in ones}) > 1]
    level = [name for name, ones in subjects.items() if _share_a_day(ones)]
    unlike = _out_of_order(subjects)
    told = (
        (_alike(subjects), "subjects {} are taken for different people, though only case or zeros tell them apart"),
        (sessions, "sessions of {} are taken for different times, though only case or zeros tell them apart"),
        (dates, "subjects {} may be dates that a spreadsheet made of ids; see to their column, and make it text"),
        (truths, "scans {} name the same `truth`; a mask is drawn on one scan"),
        (files, "subjects {} share a file; correct the path of one"),
        (partly, "`days` of subjects {} order nothing, as some of their sessions have none; fill in all"),
        (level, "sessions of subjects {} share a day and stand in the order of rows; tell them apart in `days` (0.5)"),
        (
            unlike,
            "sessions follow each other in the order of `days` or rows, which their names contradict: {}; correct "
            "`days`, or put the rows in order of time",
        ),
    )  # fmt: skip
    return [words.format(_listed(found)) for found, words in told if found]


def _alike(names: Iterable[str]) -> list[str]:
    """Name those of which case or leading zeros alone differ."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(re.sub(r"(?<!\d)0+(?=\d)", "", name.casefold()), []).append(name)
    return [" and ".join(same) for same in alike.values() if len(same) > 1]


def _sharing(
    scans: Sequence[Scan], files: Callable[[Scan], Iterable[str]], name: Callable[[Scan], str]
) -> list[str]:
    """Name unlike scans that have a file in common; two that are the same files are told as copies elsewhere."""
    owners: dict[str, dict[object, str]] = {}
    for scan in scans:
        for file in files(scan):
            owners.setdefault(file, {}).setdefault(scan.paths, name(scan))
    shared = [list(dict.fromkeys(names.values())) for names in owners.values()]
    return list(dict.fromkeys(" and ".join(names) for names in shared if len(names) > 1))


def _share_a_day(scans: Sequence[Scan]) -> bool:
    """Whether two sessions of one protocol have the same day."""
    known = {(s.protocol, s.session, s.days) for s in scans if s.days is not None}
    return len({(protocol, days) for protocol, _, days in known}) < len(known)


def _out_of_order(subjects: Mapping[str, Sequence[Scan]]) -> list[str]:
    """Find sessions of one protocol whose names tell an order in time that is not theirs."""
    found = []
    for subject, scans in subjects.items():
        for protocol in dict.fromkeys(scan.protocol for scan in scans):
            own = sorted((s for s in scans if s.protocol == protocol), key=lambda s: s.order)
            names = [scan.session for scan in own]
            by_name, _, how = ordered(names)
            if how and by_name != names:
                found.append(f"{subject} ({', '.join(names[:MOST_NAMED])})")
    return list(dict.fromkeys(found))


def _listed(found: Sequence[str]) -> str:
    more = len(found) - MOST_NAMED
    return ", ".join(found[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
