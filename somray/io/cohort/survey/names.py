"""One name of a folder or file, taken apart: whose, when, which contrast, image or mask.

Guesses for a first manifest that a person then corrects; nothing else in somray looks at names. Patients'
names never come from headers.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from somray.io.cohort.survey.moments import date_span, time_words
from somray.io.cohort.survey.words import (
    CONTRASTS,
    IMAGE,
    LESION,
    MASK,
    MODALITIES,
    ORGANS,
    PHASES,
    PLAIN,
    SHELF,
)

__all__ = ["Part", "fits", "is_mask", "modality_of", "stem_of", "take_apart", "tokens"]

_SUFFIXES = re.compile(
    r"(\.ome)?\.(nii|hdr|img|nrrd|nhdr|mha|mhd|tiff?|btf|dcm|ima|zarr|png)(\.gz)?$", re.IGNORECASE
)
_UID = re.compile(r"\d+(\.\d+){4,}")
_MEDIA = re.compile(r"(ST|STU|STUDY|SE|SER|SERIES|IM|IMG|IMA|I|D)[-_ ]?\d+", re.IGNORECASE)
_MEDIA_PATIENT = re.compile(r"(PA|PAT)\d{4,}")
_TCIA_STUDY = re.compile(r"\d\d-\d\d-\d{4}(-|$)")
_TCIA_SERIES = re.compile(r"\d+(\.\d+)?-.*-\d{1,6}")


@dataclass(frozen=True)
class Part:
    """What one name tells.

    Args:
        text: the name without the endings of scan files.
        core: what is left once all other parts are taken; "" where nothing names anybody.
        label: the name without its time and contrast, as written.
        when: the part that speaks of time, as written.
        what: contrasts and phases.
        modality: CT, PET, MR or XCT, where one and only one is said.
        is_mask: speaks of a mask; `is_lesion` and `is_organ` say of what.
        is_weak: a number that a medium or a server gave: it names somebody only where nothing else does.
        is_shelf: holds many patients.
        is_weak_time: `when` may mean something else.
    """

    text: str
    core: str = ""
    label: str = ""
    when: str = ""
    what: tuple[str, ...] = ()
    modality: str | None = None
    is_mask: bool = False
    is_lesion: bool = False
    is_organ: bool = False
    is_weak: bool = False
    is_shelf: bool = False
    is_weak_time: bool = False


def stem_of(name: str) -> str:
    """Return a name without the endings of scan files."""
    return _SUFFIXES.sub("", name)


def tokens(name: str) -> list[str]:
    """Cut a name into lower-case words at anything that is neither letter nor digit."""
    return [word for word in re.split(r"[\W_]+", stem_of(name).lower()) if word]


def is_mask(name: str) -> bool:
    """Whether a name speaks of a mask rather than an image."""
    return bool(MASK & set(tokens(name)))


def modality_of(names: Iterable[str]) -> str | None:
    """Return CT, PET, MR or XCT by the first name (nearest first) that says one and only one."""
    for name in names:
        words = set(tokens(name))
        found = [modality for modality, known in MODALITIES.items() if known & words]
        if len(found) == 1:
            return found[0]
    return None


def fits(mask: str, image: str) -> int:
    """Return how many words a mask's name shares with an image's; 0 where it does not belong to it.

    `CT_mask` fits `CT_image`, `weave_150_phase_labels` fits `weave_150`, `lung_mask` fits neither.
    """
    own = [word for word in tokens(mask) if word not in MASK]
    other = [word for word in tokens(image) if word not in IMAGE]
    return len(other) if other and own[: len(other)] == other else 0


def take_apart(name: str, *, is_t_time: bool = False, is_folder: bool = True) -> Part:
    """Take a name apart.

    Args:
        name: of a folder or file.
        is_t_time: t1 and t2 are time points here, not contrasts.
        is_folder: whose numbers of media and servers name nobody; a file's may.
    """
    text = name if is_folder else stem_of(name)
    if is_folder and _TCIA_STUDY.match(text):
        return Part(text, when=text)
    words = tokens(text)
    told = _told(text, words)
    if is_folder and (_TCIA_SERIES.fullmatch(text) or _MEDIA.fullmatch(text)):
        return told
    if _UID.fullmatch(text) or (is_folder and _MEDIA_PATIENT.fullmatch(text)):
        return Part(text, core=text, label=text, is_weak=is_folder)
    if is_folder and SHELF.fullmatch(text):
        return Part(text, core=text, label=text, is_shelf=True)
    part = _named(text, told, is_t_time)
    return replace(part, label=text) if is_folder and not part.when else part


def _told(text: str, words: list[str]) -> Part:
    """Read what the words say beside whose it is."""
    known = set(words)
    return Part(
        text,
        what=tuple(w for w in words if w in CONTRASTS | PHASES),
        modality=modality_of([text]),
        is_mask=bool(MASK & known),
        is_lesion=bool(LESION & known),
        is_organ=bool(ORGANS & known),
    )


def _named(text: str, told: Part, is_t_time: bool) -> Part:
    """Take time, contrast, modality and plain words out; what is left names somebody."""
    date = date_span(text)
    when = text[date[0] : date[1]] if date else ""
    rest = text if date is None else text[: date[0]] + " " + text[date[1] :]
    pieces = [p for p in re.split(r"[\W_]+", rest) if p]
    lower = [p.lower() for p in pieces]
    at, is_weak_time = time_words(lower, is_t_time)
    if at and not when:
        when = "-".join(pieces[n] for n in at)
    what = tuple(w for n, w in enumerate(lower) if w in CONTRASTS | PHASES and n not in at)
    plain = PLAIN | IMAGE | MASK | LESION | set().union(*MODALITIES.values())
    kept = [n for n in range(len(pieces)) if n not in at and lower[n] not in what]
    core = [pieces[n] for n in kept if lower[n] not in plain]
    if is_weak_time and not date and core and not any(c.isalpha() for c in "".join(core)):
        when, is_weak_time, kept = "", False, list(range(len(pieces)))  # D001_1 is an id
        core = [p for p in pieces if p.lower() not in plain]
    if told.is_mask and all(p.lower() in ORGANS for p in core):
        core = []
    is_whole = len(kept) == len(pieces) and not date
    return Part(
        text, "-".join(core), text if is_whole else "-".join(pieces[n] for n in kept), when, what, told.modality,
        told.is_mask, told.is_lesion, told.is_organ, is_weak_time=is_weak_time and not date,
    )  # fmt: skip
