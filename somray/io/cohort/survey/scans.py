"""Sources of one subject to scans: visits in order, channels of a visit together, repeats left out.

A visit is what names call one, else a day of the headers. Scans of one visit that are not channels of each other
(phases, contrasts, kernels) are scans of their own, each of a protocol of its own, so that none is taken for the
other at a later time.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.grids import overlap_fraction
from somray.io.cohort.survey.ids import safe_ids
from somray.io.cohort.survey.layouts import Numbered
from somray.io.cohort.survey.likeness import is_alike
from somray.io.cohort.survey.moments import date_span, natural_key, ordered

__all__ = ["Gathered", "gather"]

LEAST_OVERLAP = (
    0.2  # of the first channel that the other covers; a PET of head and neck covers so much of a CT
)
CHANNELS_OVERLAP = 0.8  # of contrasts that are proposed as channels
_UNUSED_PET = ("nac", "uncorrected")


@dataclass
class Gathered:
    """The sources of one future scan, first channel first.

    Args:
        images: one per channel.
        channels: their names.
        subject: id for the manifest.
        session: id for the manifest.
        days: since the subject's first session or since baseline, where known.
        protocol: its name.
        truth: mask of lesions.
        anatomy: mask of organs, or a folder of them.
    """

    images: list[Found]
    channels: list[str]
    subject: str = ""
    session: str = ""
    days: float | None = None
    protocol: str = ""
    truth: Path | None = None
    anatomy: Path | None = None

    @property
    def first(self) -> Found:
        """Whose grid the scan has."""
        return self.images[0]

    @property
    def kind(self) -> str:
        """Modality of the protocol."""
        names = {i.modality for i in self.images}
        if self.channels == ["CT", "PET"]:
            return "PETCT"
        return self.first.modality if len(names) == 1 else "other"

    @property
    def what(self) -> str:
        """Contrast or phase, "" where channels or nothing tell it."""
        return self.first.what if len(self.images) == 1 else ""


@dataclass
class _Visit:
    name: str
    scans: list[Gathered]
    day: int | None
    days: float | None = None
    found: list[Found] = field(default_factory=list)


def gather(
    images: Sequence[Found],
    ids: Mapping[tuple[str, ...], str],
    numbered: Sequence[Numbered],
    search: Search,
) -> list[Gathered]:
    """Make scans of all sources, subjects in natural order, each one's visits in time.

    Args:
        images: with their final subjects.
        ids: subject's key to its id.
        numbered: data sets whose files are channels of cases.
        search: told what was left out and how visits were ordered.
    """
    people: dict[tuple[str, ...], list[Found]] = defaultdict(list)
    for one in images:
        people[one.who].append(one)
    visits: dict[str, list[_Visit]] = {}
    for key in sorted(people, key=lambda k: natural_key(ids[k])):
        visits[ids[key]] = _visits(people[key], ids[key], numbered, search)
    _join_contrasts([v for ones in visits.values() for v in ones])
    scans = []
    for subject, ones in visits.items():
        names = safe_ids((v.name for v in ones), other="session")
        for visit in ones:
            labels = [_slot(visit, scan) for scan in visit.scans]
            told = safe_ids(f"{names[visit.name]}{label}" for label in labels)
            for scan, label in zip(visit.scans, labels, strict=True):
                scan.subject, scan.days = subject, visit.days
                scan.session = told[f"{names[visit.name]}{label}"]
            scans += visit.scans
    return scans


def _visits(
    found: Sequence[Found], subject: str, numbered: Sequence[Numbered], search: Search
) -> list[_Visit]:
    """Part one subject's sources by visit and put these in order."""
    groups: dict[tuple[str, object], list[Found]] = defaultdict(list)
    undated = [one for one in found if not one.when and one.facts and one.facts.day is None]
    slots = {
        (one.modality, one.what) for one in undated
    }  # phases of one visit may be studies of their own
    for one in found:
        day: object = None
        if one.facts and not one.when:
            day = one.facts.day or (one.facts.study if len(slots) < len(undated) else None)
        groups[one.when, day].append(one)
    visits = []
    for (name, _), ones in groups.items():
        known = [o.facts.day for o in ones if o.facts and o.facts.day is not None]
        day = min(known) if len(known) == len(ones) else None
        visits.append(_Visit(name, _scans(ones, numbered, search), day, found=ones))
    visits = [visit for visit in visits if visit.scans]
    if len(visits) > 1:
        visits = _in_time(visits, subject, search)
    taken = {visit.name for visit in visits}
    free = (f"t{n}" for n in range(len(visits) + len(taken)))
    for visit in visits:
        if not visit.name:
            visit.name = next(name for name in free if name not in taken)
        elif date_span(visit.name):
            search.note(
                "sessions are named after folders that hold dates; rename them where dates must not be told"
            )
    return visits


def _day(one: Found, found: Sequence[Found]) -> object:
    """Return what parts visits that no name tells: the day, else the study unless its sources differ in contrast."""
    if one.when or one.facts is None:
        return None
    undated = [f for f in found if not f.when and f.facts and f.facts.day is None]
    slots = {
        (f.modality, f.what) for f in undated
    }  # phases of one visit may be studies of their own
    return one.facts.day or (one.facts.study if len(slots) < len(undated) else None)


def _in_time(visits: list[_Visit], subject: str, search: Search) -> list[_Visit]:
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


def _scans(found: Sequence[Found], numbered: Sequence[Numbered], search: Search) -> list[Gathered]:
    """Make the scans of one visit."""
    if any(one.channel for one in found):
        return _numbered_case(found, numbered)
    kept: list[Found] = []
    for one in sorted(
        found, key=lambda f: (-f.header.shape[1] * f.header.shape[0], natural_key(str(f.path)))
    ):
        twin = next((k for k in kept if is_alike(k, one)), None)
        if twin is None:
            kept.append(one)
        else:
            why = f"a second scan like {twin.path} at the same visit; give it a session of its own if it is another"
            search.leave_out(one.path, "repeat", why)
    kept.sort(key=lambda f: natural_key(str(f.path)))
    ct = [k for k in kept if k.modality == "CT"]
    pet = [k for k in kept if k.modality == "PET" and not set(_UNUSED_PET) & set(k.what.split("-"))]
    pairs = [(_fit(c, p), -n, c, p) for n, c in enumerate(ct) for p in pet[:1] if len(pet) == 1]
    scans = []
    if pairs and max(pairs, key=lambda p: p[:2])[0] >= LEAST_OVERLAP:
        _, _, first, second = max(pairs, key=lambda p: p[:2])
        scans.append(Gathered([first, second], ["CT", "PET"]))
        kept = [k for k in kept if k is not first and k is not second]
    elif ct and pet:
        search.note(
            f"{pet[0].path}: CT and PET of this visit are not paired: "
            + ("they do not overlap in space" if pairs else "there are several PET images")
        )
    return scans + [Gathered([one], [_channel(one)]) for one in kept]


def _fit(ct: Found, pet: Found) -> float:
    """Say how well a CT goes with a PET: one frame of reference, then how much the PET covers."""
    share = max(
        overlap_fraction(ct.header.geometry, pet.header.geometry),
        overlap_fraction(pet.header.geometry, ct.header.geometry),
    )
    frames = {f.facts.frame for f in (ct, pet) if f.facts}
    return share + (len(frames) == 1 and None not in frames and share > 0)


def _channel(one: Found) -> str:
    return (
        one.modality
        if one.modality in ("CT", "PET")
        else "image"
        if one.modality == "other"
        else one.modality
    )


def _numbered_case(found: Sequence[Found], numbered: Sequence[Numbered]) -> list[Gathered]:
    """Join the files _0000, _0001 … of a case, under the names of its dataset.json."""
    ones = sorted(found, key=lambda f: f.channel)
    known = next((n.channels for n in numbered if str(n.folder) == ones[0].who[1]), {})
    told = [known.get(one.channel, f"ch{int(one.channel)}") for one in ones]
    names = safe_ids(told, other="channel")
    for one, name in zip(ones, told, strict=True):
        upper = {"CT": "CT", "PET": "PET", "PT": "PET"}.get(name.upper())
        one.modality = upper or (
            "MR"
            if name.upper() in ("MR", "MRI", "T1", "T2", "FLAIR", "T1W", "T2W", "T1CE", "ADC")
            else one.modality
        )
    return [Gathered(ones, [names[name] for name in told])]


def _join_contrasts(visits: Sequence[_Visit]) -> None:
    """Make contrasts of MR the channels of one scan where every visit has the same ones, over one another."""
    of_mr = []
    for visit in visits:
        singles = [s for s in visit.scans if len(s.images) == 1 and s.kind == "MR" and s.what]
        if any(s.kind == "MR" for s in visit.scans):
            of_mr.append((visit, singles))
    sets = {tuple(sorted(s.what for s in singles)) for _, singles in of_mr}
    if len(sets) != 1 or not 2 <= len(next(iter(sets))) <= 6 or len(set(next(iter(sets)))) < 2:
        return
    if not all(_are_one(singles) for _, singles in of_mr):
        return
    for visit, singles in of_mr:
        row = sorted(singles, key=lambda s: (not s.what.lower().startswith("t1"), s.what.lower()))
        channels = [s.what if s.what != s.what.lower() else s.what.upper() for s in row]
        joined = Gathered([s.first for s in row], channels)
        visit.scans = [joined, *(s for s in visit.scans if all(s is not one for one in singles))]


def _are_one(scans: Sequence[Gathered]) -> bool:
    """Whether scans lie over one another and have equally many times."""
    if (
        len({s.what for s in scans}) < len(scans)
        or len({s.first.header.shape[0] for s in scans}) > 1
    ):
        return False
    first = scans[0].first.header.geometry
    return all(overlap_fraction(first, s.first.header.geometry) >= CHANNELS_OVERLAP for s in scans)


def _slot(visit: _Visit, scan: Gathered) -> str:
    """Return what tells a scan from the others of its visit; "" where it is the only one."""
    if len(visit.scans) == 1:
        return ""

    def words(one: Gathered) -> list[str]:
        facts = one.first.facts
        return [one.kind.lower(), one.what.lower(), facts.device[1].lower() if facts else ""]

    own = words(scan)
    rest = [words(s) for s in visit.scans if s is not scan]
    chosen: list[str] = []
    for place, word in enumerate(own):
        if word and any(r[place] != word for r in rest):
            chosen.append(word)
            rest = [r for r in rest if r[place] == word]
    if rest:
        chosen.append(str([s is scan for s in visit.scans].index(True) + 1))
    return "-" + "-".join(chosen)
