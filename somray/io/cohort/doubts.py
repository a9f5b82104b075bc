"""What a manifest says that is right by its form and may yet not be meant: told, never changed."""

import re
from collections.abc import Mapping, Sequence

from somray.domain.scan import Scan
from somray.io.cohort.survey.naming.moments import ordered

__all__ = ["doubts_of"]

MOST_NAMED = 5


def doubts_of(scans: Sequence[Scan]) -> list[str]:
    """Name subjects whose ids hardly differ, and sessions that do not follow each other as their names say.

    Args:
        scans: of the manifest, sessions numbered in time.

    Returns:
        One sentence per kind of doubt.
    """
    subjects: dict[str, list[Scan]] = {}
    for scan in scans:
        subjects.setdefault(scan.subject, []).append(scan)
    alike: dict[str, list[str]] = {}
    for name in subjects:
        alike.setdefault(re.sub(r"(?<!\d)0+(?=\d)", "", name.casefold()), []).append(name)
    twins = [" and ".join(names) for names in alike.values() if len(names) > 1]
    partly = [name for name, ones in subjects.items() if len({s.days is None for s in ones}) > 1]
    level = [name for name, ones in subjects.items() if _share_a_day(ones)]
    unlike = _out_of_order(subjects)
    told = (
        (twins, "subjects {} are taken for different people, though only case or zeros tell them apart"),
        (partly, "`days` of subjects {} order nothing, as some of their sessions have none; fill in all"),
        (level, "sessions of subjects {} share a day and stand in the order of rows; tell them apart in `days` (0.5)"),
        (
            unlike,
            "sessions follow each other in the order of `days` or rows, which their names contradict: {}; correct "
            "`days`, or put the rows in order of time",
        ),
    )  # fmt: skip
    return [words.format(_listed(found)) for found, words in told if found]


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
