"""One name of a folder or file, taken apart: whose, when, which contrast, image or mask.

Guesses for a first manifest that a person then corrects; nothing else in somray looks at names. Patients'
names never come from headers.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from somray.io.cohort.survey.naming.moments import date_span, time_words
from somray.io.cohort.survey.naming.words import (
    CONTRASTS,
    IMAGE,
    LESION,
    MASK,
    MODALITIES,
    ORGANS,
    PERSON,
    PHASES,
    PLAIN,
    SHELF,
    T_WORDS,
)

__all__ = ["Part", "fits", "is_mask", "modality_of", "stem_of", "take_apart", "tokens"]

_SUFFIXES = re.compile(
    r"(\.ome)?\.(nii|hdr|img|nrrd|nhdr|mha|mhd|tiff?|btf|dcm|ima|zarr|png)(\.gz)?$", re.IGNORECASE
)
_MODAL = frozenset().union(*MODALITIES.values())
_NAMELESS = PLAIN | IMAGE | MASK | LESION | _MODAL
_MASK_OF = re.compile(
    rf"(?<![^\W_])({'|'.join(sorted(LESION | ORGANS))})(?=(mask|seg|label|roi)s?(?![^\W_]))",
    re.IGNORECASE,
)
"""Before what is joined to the word of what it is of: tumorMask, lungmask."""
_JOINED = re.compile(
    r"(?<![^\W_])(pre|post)[\W_]+(contrast|gad|gd|km|treatment|therapy|op)(?![^\W_])", re.IGNORECASE
)
_END_OF = re.compile(r"(?<![^\W_])end[\W_]*of[\W_]*(treatment|therapy)(?![^\W_])", re.IGNORECASE)
_UID = re.compile(r"\d+(\.\d+){4,}")
_MEDIA = re.compile(r"(ST|STU|STUDY|SE|SER|SERIES|IM|IMG|IMA)[-_ ]?\d+", re.IGNORECASE)
_MEDIA_PATIENT = re.compile(r"(PA|PAT)\d{4,}")
_TCIA_STUDY = re.compile(r"\d\d-\d\d-\d{4}(-|$)")
_KERNEL = re.compile(r"[bhitu](10|2[0356]|3\d|4\d|50|60|7[05]|80)[fsh]")
"""Of a CT's reconstruction, as Siemens has named them: B30f, B60f, H31s."""
_KERNEL_OF_CT = re.compile(r"(b[rlvf]|h[rvc]|qr|ur)[2-7]\d[a-z]?\d?|fc\d\d")
"""Later names and Canon's, which might be ids where nothing says CT: Br40, Hr60, Bl57d, FC51."""
_TCIA_SERIES = re.compile(r"\d+\.\d+-.*-\d{1,6}|\d+-[A-Za-z].*-\d{4,6}")


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
    """Cut a name into lower-case words at anything that is neither letter nor digit, tumorMask in two."""
    text = _MASK_OF.sub(r"\1_", stem_of(name)).lower()
    return [word for word in re.split(r"[\W_]+", text) if word]


def is_mask(name: str) -> bool:
    """Whether a name speaks of a mask rather than an image."""
    return bool(MASK & set(tokens(name)))


def modality_of(names: Iterable[str]) -> str | None:
    """Return CT, PET, MR or XCT by the first name (nearest first) that says one and only one.

    t1 and t2 beside another modality are time points.
    """
    for name in names:
        words = set(tokens(name))
        found = [modality for modality, known in MODALITIES.items() if known & words]
        if len(found) > 1 and "MR" in found and MODALITIES["MR"] & words <= T_WORDS:
            found.remove("MR")
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
    """Take a name apart; a folder's numbers of media and servers name nobody, a file's may."""
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
    """Take time, contrast, modality and plain words out; what is left, signs and all, names somebody."""
    text = _END_OF.sub("EOT", _JOINED.sub(r"\1\2", text))
    date = date_span(text)
    rest = text if date is None else text[: date[0]] + " " * (date[1] - date[0]) + text[date[1] :]
    pieces = list(re.finditer(r"[^\W_]+", rest))
    lower = [p[0].lower() for p in pieces]
    at, is_weak_time = time_words(lower, is_t_time)
    when = text[date[0] : date[1]] if date else _joined(rest, [pieces[n] for n in at])
    what = {
        n
        for n, word in enumerate(lower)
        if n not in at and (word in CONTRASTS | PHASES or _is_kernel(lower, n))
    }
    plain = {
        n for n, word in enumerate(lower) if {*tokens(word)} <= _NAMELESS or _is_of_head(lower, n)
    }
    core = _without(rest, [p for n, p in enumerate(pieces) if n in what | plain or n in at])
    is_person = bool(PERSON.fullmatch(core)) and any(c.isalpha() for c in core)
    if is_weak_time and not date and core and not is_person:
        when, is_weak_time, at = "", False, []  # D001_1 is an id
        core = _without(rest, [p for n, p in enumerate(pieces) if n in what | plain])
    if told.is_mask and set(tokens(core)) <= ORGANS:
        core = ""
    beside = {n for n, word in enumerate(lower) if word in _MODAL} if core else set()
    label = _without(rest, [p for n, p in enumerate(pieces) if n in what | beside or n in at])
    return Part(
        text, core, label, when, tuple(lower[n] for n in sorted(what)), told.modality, told.is_mask,
        told.is_lesion, told.is_organ, is_weak_time=is_weak_time and not date,
    )  # fmt: skip


def _is_kernel(words: Sequence[str], place: int) -> bool:
    """Whether a word names a reconstruction; the first of a name is whose it is."""
    is_ct = bool(MODALITIES["CT"] & set(words))
    found = _KERNEL.fullmatch(words[place]) or (is_ct and _KERNEL_OF_CT.fullmatch(words[place]))
    return place > 0 and bool(found)


def _joined(text: str, pieces: Sequence[re.Match[str]]) -> str:
    """Join words of time by hyphens; the sign of 'week -1' stays one."""
    joined = "".join(
        ("-minus" if re.fullmatch(r"[ _]+-", text[last.end() : piece.start()]) else "-") + piece[0]
        for last, piece in itertools.pairwise(pieces)
    )
    return f"{pieces[0][0]}{joined}" if pieces else ""


def _is_of_head(words: Sequence[str], place: int) -> bool:
    """Whether a word says that a contrast shows the brain alone, as in brain_t1c."""
    following = words[place + 1] if place + 1 < len(words) else ""
    return place > 0 and words[place] == "brain" and following in CONTRASTS


def _without(text: str, pieces: Iterable[re.Match[str]]) -> str:
    """Blank pieces of a text and the signs that joined them; all else stays, so that names that differ do."""
    for piece in pieces:
        text = text[: piece.start()] + " " * (piece.end() - piece.start()) + text[piece.end() :]
    kept = re.sub(r"[ _.-]*  +[ _.-]*", "-", f"  {text}  ").strip("-_ .")
    return kept if any(c.isalnum() for c in kept) else ""
