"""What dcm2niix, downloads and preprocessing make of one scan: several files, told apart by the ends of their names.

`_Tilt_1` and `_Eq_1` are the scan with upright, evenly spaced slices, and say so by themselves. All other ends (echoes,
phase images, overlays, the letter of a name that was taken) are believed where a sidecar names dcm2niix. Copies ("ct
(1)", "ct - Copy") are believed where they are as large as what they would be copies of, and ends of processing (_norm,
_crop, _iso …) beside the file without them. Of each scan one file is taken: the original, of dcm2niix the corrected one
of the first echo.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.naming.names import stem_of

__all__ = ["one_a_scan"]

_CORRECTED, _ECHO, _PART, _OVERLAY, _LETTER = "corrected", "echo", "part", "overlay", "letter"
_COPY, _DERIVED = "copy", "derived"
_ENDS = {
    _CORRECTED: re.compile(r"_(Tilt|Eq)(_\d+)?$"),
    _ECHO: re.compile(r"_e\d+$"),
    _PART: re.compile(r"_(ph|real|imaginary)$"),
    _OVERLAY: re.compile(r"_ROI\d+$"),
    _LETTER: re.compile(r"(?<=\d)[a-z]$"),
    _COPY: re.compile(
        r"[ _]*\(\d{1,2}\)$|[ _-]+(copy|copie|copia|kopie)([ _]?\(?\d{1,2}\)?)?$", re.IGNORECASE
    ),
    _DERIVED: re.compile(
        r"[_-](norm|normali[sz]ed|zscored?|denoised|smooth(ed)?|filtered|iso(tropic)?|resampled|resliced|crop(ped)?|"
        r"clipped|windowed|rescaled|preproc(essed)?|skullstripped)$",
        re.IGNORECASE,
    ),
}
_OF_ITSELF = (_CORRECTED, _COPY, _DERIVED)
"""Ends that are believed whoever wrote the file."""
_FORMATS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_MOST_BYTES = 1 << 20  # of a sidecar
_WHY = {
    _CORRECTED: "dcm2niix made {0} of it, with upright, evenly spaced slices; that one is taken",
    _ECHO: "is another echo of {0}; give it a protocol of its own if it is wanted",
    _PART: "holds phases or a part of complex values of the scan in {0}, no intensities",
    _OVERLAY: "is an overlay on {0}; where it outlines lesions, name it in `truth`",
    _COPY: "is a copy of {0}",
    _DERIVED: "is made from {0}, by its name; that one is taken; name this one in its row if it is wanted instead",
    _LETTER: "dcm2niix met the name of {0} a second time; give it a row of its own if it is another scan",
}
Ends = tuple[tuple[str, str], ...]
"""Kind and text of the ends of a name, the innermost first."""


def one_a_scan(found: Sequence[Found], search: Search) -> tuple[list[Found], dict[Path, str]]:
    """Take one file of each scan that there are several of, and call it by the name that it would have alone."""
    folders: dict[Path, dict[str, Found]] = defaultdict(dict)
    for one in found:
        if one.path.name.lower().endswith(_FORMATS):
            folders[one.path.parent][stem_of(one.path.name)] = one
    dropped: set[int] = set()
    names: dict[Path, str] = {}
    for here in folders.values():
        for stem, one in here.items():
            if alone := _chain(stem, (_COPY, _DERIVED)):
                names[one.path] = alone[-1][0]
        for base, members in _families(here).items():
            (best, its), *others = sorted(members.items(), key=_rank)
            names[here[best].path] = base
            for stem, ends in others:
                kind = _difference(ends, its)
                search.leave_out(
                    here[stem].path,
                    "mask" if kind == _OVERLAY else "repeat",
                    _WHY[kind].format(here[best].path.name),
                )
                dropped.add(id(here[stem]))
    return [one for one in found if id(one) not in dropped], names


def _families(here: dict[str, Found]) -> dict[str, dict[str, Ends]]:
    """Group the names of a folder that are one scan's: their common beginning to the names with their ends."""
    found = _alike(here, tuple(_ENDS))
    sure = {base: members for base, members in found.items() if _is_sure(members, here)}
    rest = here.keys() - {stem for members in sure.values() for stem in members}
    families = sure | _alike(sorted(rest), _OF_ITSELF)
    whole = {base: _without_other_files(base, ones, here) for base, ones in families.items()}
    return {base: members for base, members in whole.items() if len(members) > 1}


def _without_other_files(
    base: str, members: dict[str, Ends], here: dict[str, Found]
) -> dict[str, Ends]:
    """Drop what is called a copy and is none: browsers number files of one name that are not the same."""

    def is_copy(stem: str) -> bool:
        is_called = _COPY in {kind for kind, _ in members[stem]}
        return not is_called or base not in here or _size(here[stem]) == _size(here[base])

    return {stem: ends for stem, ends in members.items() if is_copy(stem)}


def _size(one: Found) -> int:
    return one.path.stat().st_size


def _alike(stems: Collection[str], kinds: Sequence[str]) -> dict[str, dict[str, Ends]]:
    """Group names by what is left without ends of some kinds, where that is a name too, or the ends are echoes."""
    chains = {stem: _chain(stem, kinds) for stem in stems}
    echoes = Counter(b for chain in chains.values() for b, ends in chain if ends[0][0] == _ECHO)
    families: dict[str, dict[str, Ends]] = defaultdict(dict)
    for stem, chain in chains.items():
        known = [(base, ends) for base, ends in chain if base in chains or echoes[base] > 1]
        base, its = known[-1] if known else (stem, ())
        families[base][stem] = its
    return {base: members for base, members in families.items() if len(members) > 1}


def _is_sure(members: dict[str, Ends], here: dict[str, Found]) -> bool:
    kinds = {kind for ends in members.values() for kind, _ in ends}
    return kinds <= {*_OF_ITSELF} or any(_is_by_dcm2niix(here[stem].path) for stem in members)


def _chain(stem: str, kinds: Sequence[str]) -> list[tuple[str, Ends]]:
    """Take the ends of a name off, one after the other; return what is left each time, and the ends so far."""
    found: list[tuple[str, Ends]] = []
    ends: Ends = ()
    while True:
        match = next(((k, m) for k in kinds if (m := _ENDS[k].search(stem)) and m.start()), None)
        if match is None:
            return found
        kind, end = match
        stem, ends = stem[: end.start()], ((kind, end[0]), *ends)
        found.append((stem, ends))


def _rank(member: tuple[str, Ends]) -> tuple[int, ...]:
    """Sort the corrected file of the first echo, of the first of that name, before all others."""
    stem, ends = member
    kinds = [kind for kind, _ in ends]
    echo = next((int(text[2:]) for kind, text in ends if kind == _ECHO), 0)
    worst = [kinds.count(kind) for kind in (_OVERLAY, _PART, _DERIVED, _LETTER, _COPY)]
    return (*worst, echo, -kinds.count(_CORRECTED), len(stem))


def _difference(ends: Ends, best: Ends) -> str:
    """Return the kind of end that tells a file from the one that is taken, the one that matters most."""
    own, other = {*ends}, {*best}
    kinds = {kind for kind, _ in own ^ other}
    return next(
        k for k in (_OVERLAY, _PART, _LETTER, _DERIVED, _COPY, _ECHO, _CORRECTED) if k in kinds
    )


def _is_by_dcm2niix(file: Path) -> bool:
    """Whether the sidecar of a file names dcm2niix."""
    sidecar = file.with_name(f"{stem_of(file.name)}.json")
    try:
        if sidecar.stat().st_size > _MOST_BYTES:
            return False
        told = json.loads(sidecar.read_text(encoding="utf-8-sig"))
        return str(told.get("ConversionSoftware", "")).lower() == "dcm2niix"
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
