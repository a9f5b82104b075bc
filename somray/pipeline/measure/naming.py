"""Which scan a mask's path names; never a guess.

A path names a scan where it holds the scan's subject and session as whole words: `sub-S_ses-T_lesions.nii.gz`,
`sub-S/ses-T/liver.nii.gz`, `S_T.nii.gz`, `S/T/mask.nrrd`. A subject of one session alone may go without it, unless
another is named. Words with `sub-` and `ses-` before them count more than bare ones, longer names more than
shorter ones; where two scans are named equally well, none is meant.
"""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from somray.domain.scan import Scan
from somray.io.masks.anatomy import stem

__all__ = ["NamedScan", "ScanNames", "stem_of"]

_WORD = re.compile(r"[A-Za-z0-9]+")
_FOLDERS = 4  # above a file, that are looked at


@dataclass(frozen=True)
class NamedScan:
    """The scans that a path names, the best alone, and what else the file is called.

    Args:
        scans: none, one, or several that are named equally well.
        rest: what the file's name says beside the scan: `lesions` of `sub-S_ses-T_lesions`.
        by_folder: whether folders alone name the scan, so that all their files are its own.
    """

    scans: tuple[Scan, ...]
    rest: str = ""
    by_folder: bool = False


@dataclass(frozen=True)
class _Hit:
    """A name found in one part of a path."""

    part: int  # 0 is the file
    begin: int
    end: int
    explicit: bool  # stands behind sub- or ses-

    @property
    def rank(self) -> tuple[bool, int]:
        return self.explicit, self.end - self.begin


class ScanNames:
    """The names of a run's scans."""

    def __init__(self, scans: Sequence[Scan]) -> None:
        self._sessions: dict[str, dict[str, Scan]] = {}
        for scan in scans:
            self._sessions.setdefault(scan.subject, {})[scan.session] = scan

    def exactly(self, subject: str, session: str) -> Scan | None:
        """Return the scan of that subject and session."""
        return self._sessions.get(subject, {}).get(session)

    def find(self, parts: Sequence[str]) -> NamedScan:
        """Find the scan that a path names, by its parts, the file last."""
        own = [stem_of(parts[-1]), *reversed(parts[-1 - _FOLDERS : -1])]
        found: dict[tuple[object, ...], dict[Scan, list[_Hit]]] = {}
        for subject, hit in _hits(own, self._sessions, "sub"):
            for session, scan in self._sessions[subject].items():
                best = _best(own, session, hit)
                if best is None and (len(self._sessions[subject]) > 1 or _names_session(own)):
                    continue
                rank = (
                    *hit.rank,
                    best is not None,
                    *(best.rank if best else (False, 0)),
                    -hit.part,
                )
                hits = [hit] if best is None else [hit, best]
                found.setdefault(rank, {})[scan] = hits
        if not found:
            return NamedScan((), own[0])
        first = found[max(found)]
        if len(first) > 1:
            return NamedScan(tuple(first), own[0])
        ((scan, hits),) = first.items()
        in_file = [hit for hit in hits if hit.part == 0]
        return NamedScan((scan,), _rest(own[0], in_file), not in_file)


def stem_of(name: str) -> str:
    """Return a mask's file name without the endings of its format."""
    return re.sub(r"\.dcm$", "", stem(Path(name)), flags=re.IGNORECASE)


def _hits(parts: Sequence[str], known: Container[str], prefix: str) -> list[tuple[str, _Hit]]:
    """Find all known names among runs of words."""
    found = []
    for number, part in enumerate(parts):
        words = list(_WORD.finditer(part))
        for first, word in enumerate(words):
            for last in words[first:]:
                text = part[word.start() : last.end()]
                if text in known:
                    explicit = first > 0 and words[first - 1].group().lower() == prefix
                    found.append((text, _Hit(number, word.start(), last.end(), explicit)))
    return found


def _best(parts: Sequence[str], session: str, subject: _Hit) -> _Hit | None:
    hits = [
        hit
        for _, hit in _hits(parts, {session}, "ses")
        if hit.part != subject.part or hit.begin >= subject.end or hit.end <= subject.begin
    ]
    return max(hits, key=lambda hit: (hit.rank, -hit.part), default=None)


def _names_session(parts: Sequence[str]) -> bool:
    """Whether a path names some session in words."""
    return any(
        re.search(r"(?<![A-Za-z0-9])ses-?[A-Za-z0-9]", part, re.IGNORECASE) for part in parts
    )


def _rest(name: str, hits: Sequence[_Hit]) -> str:
    """Return what a file is called beside the scan's name."""
    if not hits:
        return name
    behind = name[max(hit.end for hit in hits) :].strip("_-. ")
    before = name[: min(hit.begin for hit in hits)]
    before = re.sub(r"(?i)(^|[_. -])(sub|ses)-?$", "", before)
    return behind or before.strip("_-. ")
