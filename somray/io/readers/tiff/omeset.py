"""OME-TIFF sets: one image whose planes lie in several files, named by any of them, the folder or the XML.

tifffile follows such a set too, but fills what it does not find with zeros.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tifffile

from somray.errors import DataError
from somray.io.readers.source import Source, Windows
from somray.io.readers.tiff.boxes import FilesSource, least, windows_of
from somray.io.readers.tiff.omexml import OmePixels, metadata_file, parsed, pixels_of
from somray.io.readers.tiff.pages import PageFacts, check_whole, facts_of, strict
from somray.io.readers.tiff.spacing import ome_spacing, stack_header
from somray.io.readers.tiff.stack import stack_of

__all__ = ["is_ome_set", "open_ome_set"]

_NAMED = 5  # missing files named in one message


def is_ome_set(path: Path, text: str) -> bool:
    """Whether OME-XML speaks of other files than the one that holds it."""
    root = parsed(text)
    if root is None:
        return False
    if metadata_file(root) is not None:
        return True
    try:
        images = pixels_of(root)
    except ValueError:
        return False
    parts = [part for image in images for part in image.parts if part.file]
    return any(p.file.lower() != path.name.lower() and p.uuid != images[0].uuid for p in parts)


def open_ome_set(path: Path, text: str, channel: str | None = None) -> Source:
    """Open one channel of the image that a set's XML, in one of its files, describes.

    Raises:
        DataError: `missing`: files of the set; `unreadable`, `truncated`, `mixed_series`.
    """
    root = parsed(text)
    if root is None:
        raise DataError("unreadable", f"{path}: its OME-XML is damaged")
    master = metadata_file(root)
    if master is not None:
        return _open_master(path, Path(master).name, channel)
    images = pixels_of(root)
    if len(images) != 1:
        raise DataError(
            "mixed_series", f"{path}: its set holds {len(images)} images, not one; split it"
        )
    image = images[0]
    where = _Members(path, image).places()
    chosen = (channel, image.channels)
    order, notes = stack_of(path, image.axes, image.sizes, chosen, timed=image.is_timed)
    planes = [[where[n] for n in row] for row in order]
    facts, windows = _checked(path, [plane for row in planes for plane in row])
    shape = (*order.shape, facts.rows, facts.columns)
    header = stack_header(path, shape, ome_spacing(text), (*notes, *facts.notes))
    source = FilesSource(str(path), header, windows, planes)
    source.members = frozenset(file for file, _ in where)
    return source


def _open_master(path: Path, name: str, channel: str | None) -> Source:
    """Follow a member that holds pixels alone to the file with the XML."""
    master = path.parent / name
    if not name or not master.is_file() or master == path:
        raise DataError(
            "missing",
            f"{path}: its set is described by {name or 'a file'} beside it, which is not there",
        )
    if name.lower().endswith((".ome", ".xml")):
        return open_ome_set(master, master.read_text(encoding="utf-8"), channel)
    with strict(master), tifffile.TiffFile(master) as file:
        text = str(file.ome_metadata or "")
    root = parsed(text)
    if root is None or metadata_file(root) is not None:
        raise DataError("unreadable", f"{path}: {name}, which describes its set, holds no OME-XML")
    return open_ome_set(master, text, channel)


class _Members:
    """The files of a set, found by name, or by their UUID where they were renamed."""

    def __init__(self, path: Path, image: OmePixels) -> None:
        self._path, self._image = path, image

    def places(self) -> list[tuple[Path, int]]:
        """Return file and page of every plane, in the order of the image's axes."""
        places: dict[tuple[int, ...], tuple[Path, int]] = {}
        keys = {(part.file, part.uuid) for part in self._image.parts}
        found = {key: self._search(Path(key[0]).name, key[1]) for key in keys}
        missing = []
        for part in self._image.parts:
            file = found[part.file, part.uuid]
            if file is None:
                missing.append(part.file)
                continue
            count = part.count if part.count is not None else _page_count(file) - part.page
            for page, place in zip(range(count), self._image.places(part.first), strict=False):
                places[place] = file, part.page + page
        if missing:
            names = list(dict.fromkeys(missing))
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise DataError(
                "missing",
                f"{self._path}: files of its set do not exist: {', '.join(names[:_NAMED])}{more}",
            )
        every = list(self._image.places((0,) * len(self._image.axes)))
        lost = [place for place in every if place not in places]
        if lost:
            raise DataError(
                "truncated", f"{self._path}: its OME-XML does not say where {len(lost)} planes lie"
            )
        return [places[place] for place in every]

    def _search(self, name: str, uuid: str) -> Path | None:
        """Find a file: this one, by name, by UUID, or this one where the set names no other."""
        folder, own = self._path.parent, self._path.name.lower()
        if not name or name.lower() == own:
            return self._path
        if (folder / name).is_file():
            return folder / name
        if uuid and uuid == self._image.uuid:
            return self._path
        found = self._renamed.get(uuid) if uuid else None
        is_alone = len({part.file for part in self._image.parts}) == 1
        return found or (self._path if is_alone else None)

    @cached_property
    def _renamed(self) -> dict[str, Path]:
        """The folder's TIFF files by their own UUID, of equal ones the first."""
        files = sorted(self._path.parent.iterdir(), reverse=True)
        kinds = (".tif", ".tiff", ".btf")
        return {_uuid_of(f): f for f in files if f.is_file() and f.suffix.lower() in kinds}


def _uuid_of(file: Path) -> str:
    try:
        with strict(file), tifffile.TiffFile(file) as opened:
            root = parsed(str(opened.ome_metadata or ""))
    except DataError:
        return ""
    return "" if root is None else root.get("UUID") or ""


def _page_count(file: Path) -> int:
    with strict(file), tifffile.TiffFile(file) as opened:
        return len(opened.pages)


def _checked(path: Path, planes: Sequence[tuple[Path, int]]) -> tuple[PageFacts, Windows]:
    """Refuse a set whose planes differ, or are not whole; tell how little of them can be decoded."""
    facts: dict[PageFacts, Path] = {}
    windows: set[Windows] = set()
    pages: dict[Path, list[int]] = {}
    for file, page in planes:
        pages.setdefault(file, []).append(page)
    for file, numbers in pages.items():
        with strict(file), tifffile.TiffFile(file) as opened:
            if max(numbers) >= len(opened.pages):
                raise DataError("truncated", f"{file}: lacks page {max(numbers)}; copy it again")
            inside: list[Any] = [opened.pages[n] for n in numbers]
            check_whole(file, inside)
            windows.add(windows_of(inside))
            for page in inside:
                facts.setdefault(facts_of(file, page, decode=not facts), file)
    if len(facts) != 1:
        names = ", ".join(sorted({file.name for file in facts.values()})[:3])
        raise DataError(
            "mixed_series", f"{path}: planes of its set differ in size or type: {names}"
        )
    return next(iter(facts)), least(windows)
