"""Which sources are of one person, and what the person is called.

Folders' names decide, headers correct them: two people of one folder are parted, one person of two folders is
joined unless the names speak of two. Where neither tells, sources stay apart and are numbered.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.naming.ids import safe_ids
from somray.io.cohort.survey.naming.moments import date_span

__all__ = ["name_subjects"]

Key = tuple[str, ...]

_PERSON = re.compile(
    r"(sub|subj|subject|pat|pt|patient|case|p|id|[a-z]+[-_][a-z_-]*)[-_ ]?\d+", re.IGNORECASE
)
_STAMP = re.compile(
    r"(?<!\d)(19|20)\d{2}[01]\d[0-3]\d{3,5}[0-5]\d(?!\d)"
)  # dcm2niix: date and clock
_MOST_DOUBTED = 6
_VISIT = re.compile(r"(scan|series|exam|study|visit|acq)", re.IGNORECASE)
_ID = re.compile(
    r"(sub|subj|subject|pat|pt|patient|case|p|s|id)?[-_ ]*[A-Za-z]{0,12}[-_]?\d+", re.IGNORECASE
)


def name_subjects(
    images: Sequence[Found], masks: Sequence[Found], search: Search
) -> dict[Key, str]:
    """Settle whose every source is, in place, and name the subjects; masks follow the images whose names they share.

    Returns:
        Key of a subject to the id for the manifest.
    """
    _shorten(images, masks)
    by_names = {id(one): one.who for one in images}
    _part_people(images, search)
    _join_people(images, search)
    _part_nameless(images, search)
    _follow(images, masks, by_names)
    labels = _labels(images)
    if any(date_span(label) or _STAMP.search(label) for label in labels.values()):
        search.note(
            "subjects are named after folders or files that hold dates; rename them where dates must not be told"
        )
    _doubt(labels, search)
    ids = safe_ids(labels.values())
    for label, made in sorted(ids.items()):
        if label != made:
            search.note(
                f"subject {label!r} is called {made!r}: ids hold letters, digits, '.', '_' and '-', 48 at most"
            )
    return {key: ids[label] for key, label in labels.items()}


def _doubt(labels: Mapping[Key, str], search: Search) -> None:
    """Say where names might as well be of several visits of one person."""
    near: dict[Key, dict[Key, str]] = defaultdict(dict)
    for key, label in labels.items():
        if key[0] == "names" and len(key) > 3 and not label.startswith("subject-"):
            above = key[:-1]
            near[above] |= {k: labels[k] for k in (above, key) if k in labels}
    uses = Counter(key[-1].casefold() for key in {key for below in near.values() for key in below})
    doubted = []
    for key, below in near.items():
        is_repeated = any(uses[k[-1].casefold()] > 1 for k in below)  # A/acute beside B/acute
        if len(below) > 1 and (is_repeated or _has_digit(key[-1]) or len(key[-1]) == 1):
            doubted.append(", ".join([*below.values()][:4]))
    for ones in doubted[:_MOST_DOUBTED]:
        search.note(
            f"{ones}: kept apart; if these are visits of one person, give them one subject and a session each"
        )
    if len(doubted) > _MOST_DOUBTED:
        search.note(f"and so are {len(doubted) - _MOST_DOUBTED} more such groups of subjects")


def _shorten(images: Sequence[Found], masks: Sequence[Found]) -> None:
    """Drop the innermost name where it is the only one within the next: it tells nobody apart."""
    while True:
        keys = {one.who for one in images}
        children = defaultdict(set)
        for key in keys:
            for depth in range(2, len(key)):
                children[key[:depth]].add(key[depth])
        lone = {
            key for key in keys
            if key[0] == "names" and len(key) > 3
            and len(children[key[:-1]]) == 1 and key[:-1] not in keys
        }  # fmt: skip
        if not lone:
            return
        for one in [*images, *masks]:
            if one.who in lone:
                one.who, one.names = one.who[:-1], one.names[: max(1, len(one.names) - 1)]


def _part_people(images: Sequence[Found], search: Search) -> None:
    """Part sources of one name whose headers are of two people."""
    people = defaultdict(set)
    for one in images:
        if one.facts and one.facts.patient:
            people[one.who].add(one.facts.patient)
    for one in images:
        if len(people[one.who]) > 1 and one.facts:
            search.note(
                f"{one.folder if one.path.is_file() else one.folder.parent}: headers tell "
                f"{len(people[one.who])} patients apart here; each is a subject of its own"
            )
    for one in images:
        if len(people[one.who]) > 1 and one.facts and one.facts.patient:
            one.who = (*one.who, f"#{one.facts.patient}")


def _join_people(images: Sequence[Found], search: Search) -> None:
    """Join sources of two names whose headers are of one person, unless the names are of two."""
    homes: dict[str, dict[Key, list[Found]]] = defaultdict(dict)
    for one in images:
        if one.facts and one.facts.patient and not one.is_told:
            homes[one.facts.patient].setdefault(one.who, []).append(one)
    for patient, places in homes.items():
        if len(places) < 2:
            continue
        found = [one for ones in places.values() for one in ones]
        shown = ", ".join(sorted({str(one.path) for one in found})[:3])
        if len(homes) == 1 and _are_ids(places):
            search.note(
                f"{shown} …: headers name one patient everywhere, names several; the names are followed, since "
                "headers may have been anonymised alike; give them one subject if it is one person"
            )
            continue
        search.note(f"{shown}: headers tell one patient; taken for one subject")
        common = _common([one.names for one in found])
        for key, ones in places.items():
            for one in ones:
                rest = "-".join(one.names[len(common) :])
                one.alias = rest or key[-1].partition("#")[0]
                one.who, one.names = ("patient", patient), common


def _are_ids(places: Mapping[Key, list[Found]]) -> bool:
    """Whether names look like ids of several people rather than visits or series of one."""
    whole = [ones[0].names for ones in places.values()]
    ends = [names[-1] if names else "" for names in whole]
    shared = _common(whole)
    if shared and _PERSON.fullmatch(shared[-1]) and not all(_PERSON.fullmatch(e) for e in ends):
        return False
    return all(_ID.fullmatch(end) for end in ends) and not all(_VISIT.match(end) for end in ends)


def _common(names: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    shared = []
    for level in zip(*names, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return tuple(shared)


def _part_nameless(images: Sequence[Found], search: Search) -> None:
    """Keep sources apart that nothing says to be of one person: no name, no header, no time."""
    groups = defaultdict(list)
    for one in images:
        if one.who[0] == "names" and len(one.who) == 2:
            groups[one.who].append(one)
    for who, ones in groups.items():
        if _is_one_person(ones):
            continue
        search.note(
            f"{ones[0].root}: neither folders nor headers tell whose these {len(ones)} scans are; each "
            "is a numbered subject of its own: look at `subject` in scans.csv"
        )
        for one in ones:
            mark = (one.facts.study if one.facts else None) or str(one.path)
            one.who = (*who, f"#{mark}")


def _is_one_person(ones: Sequence[Found]) -> bool:
    """Whether nameless sources are one person's: one study, or each its own time or its own contrast of one folder."""
    studies = {one.facts.study or str(one.path) for one in ones if one.facts}
    times = {one.when for one in ones}
    slots = {(one.when, one.what, one.modality) for one in ones}
    if len(studies) > 1 and len(times) < len(studies):
        return False
    return len(slots) == len(ones) or (len(studies) == 1 and all(one.facts for one in ones))


def _follow(images: Sequence[Found], masks: Sequence[Found], before: Mapping[int, Key]) -> None:
    """Give masks the final key of the images that their names placed them with."""
    final: dict[Key, set[Key]] = defaultdict(set)
    for one in images:
        final[before[id(one)]].add(one.who)
    for mask in masks:
        key = mask.who
        while key not in final and len(key) > 3 and key[0] == "names":
            key = key[:-1]
        if len(final.get(key, ())) == 1:
            mask.who = next(iter(final[key]))


def _labels(images: Sequence[Found]) -> dict[Key, str]:
    """Call each subject by its names, as few of the innermost as tell it from the others; number those without."""
    named: dict[Key, list[tuple[str, ...]]] = defaultdict(list)
    for one in images:
        named[one.who].append(one.names)
    full: dict[Key, tuple[str, ...]] = {}
    for key, names in named.items():
        cores = tuple(k for k in key[2:] if not k.startswith("#")) if key[0] == "names" else ()
        full[key] = _common(names) or (cores if names[0] else ())
    ends = Counter(whole[-1].casefold() for whole in full.values() if whole)
    labels: dict[Key, str] = {}
    for key, whole in full.items():
        is_enough = len(whole) > 1 and ends[whole[-1].casefold()] == 1
        is_enough = is_enough and (_has_digit(whole[-1]) or not _has_digit(whole[-2]))
        labels[key] = whole[-1] if is_enough else "-".join(whole)
    if len(labels) == 1:
        roots = {one.who: one.root.name for one in images}
        labels = {key: label or roots[key] for key, label in labels.items()}
    return _told_apart(labels)


def _has_digit(name: str) -> bool:
    return any(c.isdigit() for c in name)


def _told_apart(labels: dict[Key, str]) -> dict[Key, str]:
    """Number what has no name, and put in front of equal names the folder that tells them apart."""
    uses = defaultdict(list)
    for key, label in labels.items():
        uses[label].append(key)
    apart: dict[Key, str] = {}
    number = 0
    for label, keys in uses.items():
        for place, key in enumerate(keys, start=1):
            if not label:
                number += 1
                apart[key] = f"subject-{number:03}"
            elif len(keys) == 1:
                apart[key] = label
            else:
                shelf = "-".join(
                    k for k in key[2:] if k not in label and not k.startswith(("#", "/"))
                )
                apart[key] = f"{shelf}-{label}" if shelf else f"{label}-{place}"
    while len(set(apart.values())) < len(apart):  # the folder's name is no difference either
        seen: dict[str, int] = defaultdict(int)
        for key, label in apart.items():
            seen[label] += 1
            apart[key] = label if seen[label] == 1 else f"{label}-{seen[label]}"
    return apart
