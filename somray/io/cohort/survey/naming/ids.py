"""Names of people's folders to ids that the manifest accepts; names that differ stay apart.

Accents are taken off; what cannot be written in ASCII, is too long, or would fall together with another (also on
disks that ignore case) is told apart by a short hash of the name, so that the same names give the same ids.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["safe_id", "safe_ids"]

LONGEST = 48
_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
     "ı": "i", "þ": "th", "Þ": "Th", "µ": "u"}
)  # fmt: skip


def safe_ids(names: Iterable[str], other: str = "subject") -> dict[str, str]:
    """Give every name an id of its own.

    Args:
        names: as written; equal ones are one name.
        other: what stands for a name without any ASCII letter or digit.

    Returns:
        Name to id: at most 48 of `A-Za-z0-9._-`, beginning with a letter or digit; ids differ in more than case.
    """
    wanted = sorted(set(names))
    ids = {name: safe_id(name, other) for name in wanted}
    for size in range(3, 17):  # bytes of the hash: three do, but for very many names
        taken: dict[str, list[str]] = {}
        for name, made in ids.items():
            taken.setdefault(made.casefold(), []).append(name)
        if all(len(alike) == 1 for alike in taken.values()):
            break
        for alike in taken.values():
            keeps = [n for n in alike if ids[n] == n][:1] if len(alike) > 1 else alike
            for name in alike:
                if name not in keeps:
                    ids[name] = _marked(safe_id(name, other), name, size)
    return ids


def safe_id(name: str, other: str = "subject") -> str:
    """Make one id of one name; see `safe_ids` for names that must stay apart."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    kept = "".join(c for c in plain if not unicodedata.combining(c))
    is_lost = any(c.isalnum() and not c.isascii() for c in kept)
    ascii_only = re.sub(r"[^A-Za-z0-9._-]+", "-", kept)
    made = re.sub(r"-{2,}", "-", ascii_only) if ascii_only != name else name
    made = made.lstrip("._-").rstrip("-" if made != name else "") or other
    if is_lost or len(made) > LONGEST or (made == other and made != name):
        return _marked(made, name)
    return made


def _marked(made: str, name: str, size: int = 3) -> str:
    mark = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=size).hexdigest()
    if made.endswith(mark):
        return made
    return f"{made[: LONGEST - 1 - 2 * size].rstrip('._-')}-{mark}"
