"""Files that stand in for a scan that is not there: pointers of Git LFS and git-annex, web pages."""

from pathlib import Path

from somray.io.readers.voxels.inflate import first_bytes

__all__ = ["stand_in"]

_HEAD_BYTES = 256
_ANNEX = (
    "is a pointer of git-annex, not the file itself; fetch that by `git annex get` or `datalad get`"
)
_PAGE = "is a web page, not the file that was meant; download it again, signed in if need be"
_POINTERS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself; fetch that by `git lfs pull`",
    b"/annex/objects/": _ANNEX,
    b"../.git/annex": _ANNEX,
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
}


def stand_in(path: Path) -> str:
    """Say what a file is that stands in for another, and what to do; "" for every other file."""
    if path.is_symlink() and not path.exists():
        return "is a link to nothing; fetch the file (`git annex get`, `datalad get`), or correct the link"
    if not path.is_file():
        return ""
    head = first_bytes(path, _HEAD_BYTES).lstrip().lower()
    return next((what for sign, what in _POINTERS.items() if head.startswith(sign)), "")
