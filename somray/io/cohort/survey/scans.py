"""Sources of one subject to scans: visits in order, channels of a visit together, repeats left out.

A visit is what names call one, else a day of the headers. Scans of one visit that are not channels of each other
(phases, contrasts, kernels) are scans of their own, each of a protocol of its own, so that none is taken for the
other at a later time.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.grids import overlap_fraction
from somray.io.cohort.survey.layouts import Numbered
from somray.io.cohort.survey.likeness import is_alike
from somray.io.cohort.survey.naming.ids import safe_id, safe_ids
from somray.io.cohort.survey.naming.moments import natural_key
from somray.io.cohort.survey.naming.names import tokens
from somray.io.cohort.survey.visits import Visit, visits_of

__all__ = ["Gathered", "gather"]

LEAST_OVERLAP = 0.2
"""Of the first channel that the other covers; a PET of head and neck covers so much of a CT."""
CHANNELS_OVERLAP = 0.8  # of contrasts that are proposed as channels
MOST_CONTRASTS = 6
_MR_NAMES = ("MR", "MRI", "T1", "T2", "FLAIR", "T1W", "T2W", "T1CE", "T1GD", "ADC", "DWI")
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


def gather(
    images: Sequence[Found],
    ids: Mapping[tuple[str, ...], str],
    numbered: Sequence[Numbered],
    search: Search,
) -> list[Gathered]:
    """Make scans of all sources, subjects in natural order, each one's visits in time."""
    people: dict[tuple[str, ...], list[Found]] = defaultdict(list)
    for one in images:
        people[one.who].append(one)
    made: list[tuple[str, list[tuple[Visit, list[Gathered]]]]] = []
    for key in sorted(people, key=lambda k: natural_key(ids[k])):
        visits = visits_of(people[key], ids[key], search)
        made.append((ids[key], [(v, _scans(v.found, numbered, search)) for v in visits]))
    _join_contrasts([scans for _, ones in made for _, scans in ones])
    for subject, ones in made:
        names = safe_ids((visit.name for visit, _ in ones), other="session")
        taken: set[str] = set()
        for visit, scans in ones:
            for scan in scans:
                wanted = safe_id(f"{names[visit.name]}{_slot(scans, scan)}")
                free = (wanted, *(f"{wanted}-{n}" for n in range(2, len(taken) + 3)))
                scan.session = next(name for name in free if name.casefold() not in taken)
                taken.add(scan.session.casefold())
                scan.subject, scan.days = subject, visit.days
    return [scan for _, ones in made for _, scans in ones for scan in scans]


def _scans(found: Sequence[Found], numbered: Sequence[Numbered], search: Search) -> list[Gathered]:
    """Make the scans of one visit."""
    if any(one.channel for one in found):
        return _numbered_case(found, numbered)
    kept: list[Found] = []
    for one in sorted(found, key=_best_first):
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
    names = ["image" if one.modality == "other" else one.modality for one in kept]
    return scans + [Gathered([one], [name]) for one, name in zip(kept, names, strict=True)]


def _best_first(one: Found) -> tuple[int, bool, int, list[tuple[int, int, str]]]:
    """Sort the fullest first, then PET in SUV, then the one with the plainest name: not run-2, not a copy."""
    return (
        -one.header.shape[0] * one.header.shape[1],
        one.modality == "PET" and not {"suv", "suvbw"} & {*tokens(one.path.name)},
        len(str(one.path)),
        natural_key(str(one.path)),
    )


def _fit(ct: Found, pet: Found) -> float:
    """Say how well a CT goes with a PET: one frame of reference, then how much the PET covers."""
    grids = ct.header.geometry, pet.header.geometry
    share = max(overlap_fraction(*grids), overlap_fraction(*grids[::-1]))
    frames = {f.facts.frame for f in (ct, pet) if f.facts}
    return share + (len(frames) == 1 and None not in frames and share > 0)


def _numbered_case(found: Sequence[Found], numbered: Sequence[Numbered]) -> list[Gathered]:
    """Join the files _0000, _0001 … of a case, under the names of its dataset.json."""
    ones = sorted(found, key=lambda f: f.channel)
    known = next((n.channels for n in numbered if str(n.folder) == ones[0].who[1]), {})
    told = [known.get(one.channel, f"ch{int(one.channel)}") for one in ones]
    names = safe_ids(told, other="channel")
    for one, name in zip(ones, told, strict=True):
        told_as = {"CT": "CT", "PET": "PET", "PT": "PET"} | dict.fromkeys(_MR_NAMES, "MR")
        one.modality = told_as.get(name.upper(), one.modality)
    return [Gathered(ones, [names[name] for name in told])]


def _join_contrasts(visits: Sequence[list[Gathered]]) -> None:
    """Make contrasts of MR channels of one scan, in place, where every visit has the same ones over one another."""
    of_mr = []
    for scans in visits:
        singles = [s for s in scans if len(s.images) == 1 and s.kind == "MR" and s.what]
        if any(s.kind == "MR" for s in scans):
            of_mr.append((scans, singles))
    sets = {tuple(sorted(s.what for s in singles)) for _, singles in of_mr}
    if len(sets) != 1 or not 2 <= len(set(next(iter(sets)))) <= MOST_CONTRASTS:
        return
    if not all(_are_one(singles) for _, singles in of_mr):
        return
    for scans, singles in of_mr:
        row = sorted(singles, key=lambda s: (not s.what.lower().startswith("t1"), s.what.lower()))
        channels = [s.what if s.what != s.what.lower() else s.what.upper() for s in row]
        kept = [s for s in scans if all(s is not one for one in singles)]
        scans[:] = [Gathered([s.first for s in row], channels), *kept]


def _are_one(scans: Sequence[Gathered]) -> bool:
    """Whether scans lie over one another and have equally many times."""
    times = {s.first.header.shape[0] for s in scans}
    if len({s.what for s in scans}) < len(scans) or len(times) > 1:
        return False
    first = scans[0].first.header.geometry
    return all(overlap_fraction(first, s.first.header.geometry) >= CHANNELS_OVERLAP for s in scans)


def _slot(scans: Sequence[Gathered], scan: Gathered) -> str:
    """Return what tells a scan from the others of its visit; "" where it is the only one."""
    if len(scans) == 1:
        return ""

    def words(one: Gathered) -> list[str]:
        facts = one.first.facts
        return [one.kind.lower(), one.what.lower(), facts.device[1].lower() if facts else ""]

    own = words(scan)
    rest = [words(s) for s in scans if s is not scan]
    chosen: list[str] = []
    for place, word in enumerate(own):
        if word and any(r[place] != word for r in rest):
            chosen.append(word)
            rest = [r for r in rest if r[place] == word]
    if rest:
        chosen.append(str([s is scan for s in scans].index(True) + 1))
    return "-" + "-".join(chosen)
