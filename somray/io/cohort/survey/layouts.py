"""Whose a source is, when and which contrast, by the layout that its path follows.

Known layouts tell: BIDS, and the folders of nnU-Net and the Medical Segmentation Decathlon. Any other path is read
from its names: the folders that name somebody are the subject, what speaks of time the session, phases and
contrasts neither. TCIA's trees, TotalSegmentator's and those of DICOM media are such paths with names of their own.
"""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.naming.names import Part, modality_of, stem_of, take_apart, tokens
from somray.io.cohort.survey.naming.words import (
    CONTRASTS,
    LESION,
    MASK,
    MODALITIES,
    ORGANS,
    PERSON,
    T_WORDS,
)

__all__ = ["Numbered", "place_all"]

_SPLITS = re.compile(r"(images|labels)(Tr|Ts|Val|Te|)", re.IGNORECASE)
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_CT_OR_PET = re.compile(r"(.+?)_+(CT|PT|PET)", re.IGNORECASE)
_SCAN_OF_XNAT = re.compile(r"\d{1,4}(-.*)?")  # SUBJECT/SCANS/5/DICOM
_SERIES_BELOW_DATE = re.compile(r"[SI]\d{4,}")  # of LONI's archive: PATIENT/SEQUENCE/DATE/S13408
_T_TIME = re.compile(r"t(0|[3-9]|\d\d)")
_ABOVE_DATASET = ("rawdata", "sourcedata", "derivatives", "bids")
_BELOW_SUBJECT = re.compile(r"ses-[^_]+|anat|func|dwi|perf|pet|ct|fmap|micr")
_BIDS_ORGANS = ("dseg", "aparcaseg", "brain", "wm", "gm", "csf")
_T_FOLDER = re.compile(r"t\d\d?", re.IGNORECASE)
_TWIN = {"T1": "T2", "T2": "T1", "t1": "t2", "t2": "t1"}
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Numbered:
    """A data set of nnU-Net or the Decathlon.

    Args:
        folder: that holds imagesTr.
        channels: number to name, where dataset.json has them.
        is_numbered: each file is one channel of its case, _0000 and so on.
    """

    folder: Path
    channels: dict[str, str]
    is_numbered: bool


def place_all(
    found: Sequence[Found], search: Search, called: Mapping[Path, str] = MappingProxyType({})
) -> list[Numbered]:
    """Say of every source, masks too, whose it is, in place; return the data sets with numbered cases that were met."""
    stems = [called.get(f.path) or stem_of(f.path.name) for f in found]
    words = {w for f in found for p in f.path.relative_to(f.root).parts for w in tokens(p)}
    is_mr = bool(words & (MODALITIES["MR"] - {*T_WORDS, "mr", "mri"}))
    is_t_time = any(_T_TIME.fullmatch(w) for w in words) and not is_mr
    if is_t_time:
        _forget_contrasts(found)
    alone: dict[Path, set[str]] = {}
    for one, stem in zip(found, stems, strict=True):
        if one.is_file and not (MASK | LESION | ORGANS) & set(tokens(stem)):
            alone.setdefault(one.path.parent, set()).add(stem)
    numbered: dict[Path, Numbered] = {}
    is_t_folder = _are_t_folders_times(found)
    for one, stem in zip(found, stems, strict=True):
        if not (_as_numbered(one, found, numbered) or _as_bids(one)):
            beside = alone.get(one.path.parent, set())
            _by_names(one, stem, is_alone=beside == {stem}, is_t_time=is_t_time, beside=beside)
            if is_t_folder and _T_FOLDER.fullmatch(one.path.parent.name):
                _take_folder_for_time(one)
    if {"t00", "t50"} <= {one.when.lower() for one in found}:
        search.note(
            "T00, T50 … are taken for time points; take all but one out if they are phases of one breath"
        )
    if {one.what for one in found} >= {"t1", "t2"} and not is_mr:
        search.note(
            "t1 and t2 are taken for contrasts of MR; call them visit1 and visit2 if they are time points"
        )
    return list(numbered.values())


def _are_t_folders_times(found: Sequence[Found]) -> bool:
    """Whether folders T1 and T2 of one place hold the same contrasts each, and so are visits, no contrasts."""
    contrasts: dict[Path, list[tuple[str, ...]]] = defaultdict(list)
    for one in found:
        folder = one.path.parent
        if folder.name.lower() in T_WORDS and one.is_file:
            contrasts[folder].append(_contrasts_below(one))
    sets = {folder: set(words) - {()} for folder, words in contrasts.items()}
    twins = [
        (words, sets.get(folder.with_name(_TWIN.get(folder.name, ""))))
        for folder, words in sets.items()
    ]
    return any(words and words == other for words, other in twins)


def _contrasts_below(one: Found) -> tuple[str, ...]:
    """Return the contrasts in a file's name, without the folder's own name where it begins with that."""
    words, folder = tokens(one.path.name), one.path.parent.name.lower()
    if folder in words:
        words.remove(folder)
    return tuple(word for word in words if word in CONTRASTS)


def _take_folder_for_time(one: Found) -> None:
    """Take the folder T1, T2 and so on of a source for its visit, in place."""
    one.when = one.path.parent.name
    if one.who[-1] == one.when:
        one.who, one.names = one.who[:-1], one.names[:-1]
    one.what = "-".join(_contrasts_below(one))


def _forget_contrasts(found: Sequence[Found]) -> None:
    """Take t1 and t2, which are time points here, for no word of MR, in place."""
    for one in found:
        if one.modality == "MR" and one.header.modality is None:
            parts = reversed([one.root.name, *one.path.relative_to(one.root).parts])
            kept = ("-".join(w for w in tokens(p) if w not in T_WORDS) for p in parts)
            one.modality = modality_of(kept) or "other"


def _as_numbered(one: Found, found: Sequence[Found], known: dict[Path, Numbered]) -> bool:
    """Place a file of imagesTr, labelsTr, imagesTs or their like."""
    split = _SPLITS.fullmatch(one.path.parent.name)
    if split is None:
        return False
    folder = one.path.parent.parent
    if folder not in known:
        images = [
            stem_of(f.path.name)
            for f in found
            if f.path.parent.parent == folder and f.path.parent.name.lower().startswith("images")
        ]
        ends = [_CHANNEL.fullmatch(stem) for stem in images]
        is_numbered = bool(ends) and all(ends) and any(e and e[2] == "0000" for e in ends)
        known[folder] = Numbered(folder, _channels_of(folder / "dataset.json"), is_numbered)
    case, is_label = stem_of(one.path.name), split[1].lower() == "labels"
    if not split[2] and not known[folder].is_numbered:  # any folder may be called images
        return False
    if known[folder].is_numbered and not is_label and (end := _CHANNEL.fullmatch(case)):
        case, one.channel = end[1], end[2]
    elif not is_label and (end := _CT_OR_PET.fullmatch(case)):
        case = end[1]
    one.who = ("numbered", str(folder), split[2].lower(), case)
    one.names, one.is_told, one.is_lesion = (case,), True, is_label
    return True


def _channels_of(file: Path) -> dict[str, str]:
    """Read the channels' names of a dataset.json; none where it has none or is damaged."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            return {}
        data = json.loads(file.read_text(encoding="utf-8-sig"))
        names = data.get("channel_names") or data.get("modality") or {}
        return {f"{int(k):04}": str(v) for k, v in names.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _as_bids(one: Found) -> bool:
    """Place a file of a BIDS data set, by its entities; folders of DICOM below sub-X too."""
    parts = list(one.path.relative_to(one.root).parts)
    stem = stem_of(one.path.name)
    at = next((n for n, p in enumerate(parts) if re.match(r"sub-[^_]", p)), None)
    if at is None:
        if not re.match(r"sub-[^_]", one.root.name):
            return False
        parts, at = [one.root.name, *parts], 0
    above = [p for p in parts[:at] if at < len(parts) - 1 or not _BELOW_SUBJECT.fullmatch(p)]
    while above and (above[-1].lower() in _ABOVE_DATASET or "derivatives" in above[:-1]):
        above.pop()
    subject = parts[at].partition("-")[2].partition("_")[0]
    own = [n for n, p in enumerate(above) if re.match(rf"(sub-)?{re.escape(subject)}(?![^\W_])", p)]
    above = (
        above[: own[0]] if own else above
    )  # of folders a visit that hold a file each, as OASIS has them
    entities: dict[str, str] = {}
    for text in [*parts[at:-1], *(stem.split("_") if one.is_file else [parts[-1]])]:
        key, sign, value = text.partition("-")
        if sign and (key, value) not in entities.items():
            entities.setdefault(key, value)
    suffix = stem.split("_")[-1] if one.is_file else ""
    suffix = "" if "-" in suffix else suffix
    one.who = ("bids", str(one.root), *above, subject)
    one.names, one.is_told = (subject,), True
    one.when = entities.get("ses", "")
    what = [entities.get(k, "") for k in ("acq", "ce", "rec", "trc", "dir", "echo", "part")]
    modality = one.modality.lower() in (suffix.lower(), {"PET": "pt"}.get(one.modality, ""))
    one.what = "-".join(w for w in ("" if modality else suffix, *what) if w)
    told = {entities.get("desc", "").lower(), entities.get("label", "").lower(), suffix.lower()}
    one.is_organ = bool(told & set(_BIDS_ORGANS)) or "seg" in entities
    one.is_lesion = suffix.lower() in ("mask", "msk", "roi", "lesion") and not one.is_organ
    return True


def _by_names(one: Found, stem: str, *, is_alone: bool, is_t_time: bool, beside: Set[str]) -> None:
    """Place a source by the names of its folders and its own; `beside`: the images of its folder."""
    names = list(one.path.relative_to(one.root).parts)
    is_file = one.is_file
    if is_file and one.facts:  # one of many files of a series: its name says nothing
        names, is_file = names[:-1], False
    parts = [take_apart(n, is_t_time=is_t_time) for n in (names[:-1] if is_file else names)]
    if is_file:
        own = take_apart(stem, is_t_time=is_t_time, is_folder=False)
        above = " ".join(tokens(" ".join([one.root.name, *(p.text for p in parts)])))
        is_echo = bool(own.core) and f" {' '.join(tokens(own.core))} " in f" {above} "
        if is_echo and own.core.isdigit():  # volume-1 of 'batch 1' is one of many there
            is_echo = (
                len({take_apart(s, is_t_time=is_t_time, is_folder=False).core for s in beside}) < 2
            )
        parts.append(replace(own, core="", label="") if is_alone or is_echo else own)
    parts = _timed(_of_archives(parts))
    naming = [p for p in parts if p.core and not p.is_weak]
    if not [p for p in naming if not p.is_shelf]:
        naming += [p for p in parts if p.core and p.is_weak]
    one.who = ("names", str(one.root), *(p.core for p in naming))
    one.names = tuple(p.label or p.core for p in naming if not p.is_shelf)
    one.when = next((p.when for p in reversed(parts) if p.when), "")
    one.what = next(("-".join(p.what) for p in reversed(parts) if p.what), "") or "-".join(
        one.facts.words if one.facts else ()
    )
    marks = parts[-2:] if is_file else parts[-1:]
    is_of_organ = [p.is_organ and (n == len(marks) or p.is_mask) for n, p in enumerate(marks, 1)]
    one.is_organ = any(is_of_organ) and not any(p.is_lesion for p in marks)
    one.is_lesion = any(p.is_lesion or p.is_mask for p in marks) and not one.is_organ


def _of_archives(parts: list[Part]) -> list[Part]:
    """Take the numbers that archives give to series, and the sequences above them, for what they are."""
    found = list(parts)
    for place, (above, part) in enumerate(itertools.pairwise(parts)):
        is_dated = above.when[:1].isdigit() and not above.core
        is_loni = is_dated and bool(_SERIES_BELOW_DATE.fullmatch(part.text))
        if is_loni or (above.text.lower() == "scans" and _SCAN_OF_XNAT.fullmatch(part.text)):
            found[place + 1] = replace(part, core=part.text, label=part.text, is_weak=True)
        if is_loni and place > 1 and "_" in above.when:  # with its clock, as that archive writes it
            found[place - 1] = replace(parts[place - 1], is_weak=True)
    return found


def _timed(parts: list[Part]) -> list[Part]:
    """Take weak words of time for what they are: t1 below a person is a session, among the roots an id."""
    timed: list[Part] = []
    for part in parts:
        above = [p.core for p in timed if p.core and not p.is_shelf]
        if part.when and not part.core:
            is_person = bool(above) and bool(PERSON.fullmatch(above[-1]))
            is_date = bool(re.match(r"\d[\d._-]{5}", part.when))
            if (part.is_weak_time and not is_person) or (is_date and not above):
                part = replace(part, core=part.text, label=part.text, when="", is_weak_time=False)
        timed.append(part)
    return timed
