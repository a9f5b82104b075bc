"""What OME-XML says of planes, times and channels; nothing of who was imaged.

Source: OME data model 2016-06, elements Pixels, Channel, TiffData, Plane.
"""

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "OmePixels",
    "TiffData",
    "channel_names",
    "elements",
    "is_timed",
    "metadata_file",
    "parsed",
    "pixels_of",
]


@dataclass(frozen=True)
class TiffData:
    """Where some planes lie.

    Args:
        file: name that the set gave the file, "" for the file that holds the XML.
        uuid: of that file, "" where not told.
        page: first page there.
        count: planes from there on; None for all pages of the file.
        first: place of the first plane along `OmePixels.axes`.
    """

    file: str
    uuid: str
    page: int
    count: int | None
    first: tuple[int, ...]


@dataclass(frozen=True)
class OmePixels:
    """One image of the XML.

    Args:
        axes: the letters Z, C, T, slowest first.
        sizes: along them.
        channels: names of the channels, [] where not all have one.
        parts: where the planes lie.
        is_timed: the time between frames is named.
        uuid: of the file that holds the XML.
    """

    axes: str
    sizes: tuple[int, ...]
    channels: list[str]
    parts: tuple[TiffData, ...]
    is_timed: bool
    uuid: str

    def places(self, first: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield places from `first` on, in the order in which planes are stored."""
        every = itertools.product(*(range(n) for n in self.sizes))
        return itertools.dropwhile(lambda place: place < first, every)


def parsed(text: str) -> ET.Element | None:
    """Parse OME-XML; None where it is damaged."""
    try:
        return ET.fromstring(text)
    except ET.ParseError:
        return None


def elements(root: ET.Element, name: str) -> list[ET.Element]:
    """List the elements of a name, whatever their namespace."""
    return [e for e in root.iter() if e.tag.rpartition("}")[2] == name]


def metadata_file(root: ET.Element) -> str | None:
    """Return the name of the file that holds the XML of a BinaryOnly member, None for any other."""
    found = elements(root, "BinaryOnly")
    return found[0].get("MetadataFile", "") if found else None


def is_timed(root: ET.Element) -> bool:
    """Whether the time between frames is named, or the planes have times that differ."""
    steps = [e.get("TimeIncrement") or "0" for e in elements(root, "Pixels")]
    times = {e.get("DeltaT") for e in elements(root, "Plane")} - {None}
    return any(_is_positive(step) for step in steps) or len(times) > 1


def _is_positive(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def pixels_of(root: ET.Element) -> list[OmePixels]:
    """Read every image of the XML.

    Raises:
        ValueError: a size, order or place is damaged.
    """
    return [_pixels(e, is_timed(root), root.get("UUID") or "") for e in elements(root, "Pixels")]


def channel_names(element: ET.Element) -> list[str]:
    """List the channels' names, [] where not all have one."""
    names = [e.get("Name") for e in elements(element, "Channel")]
    return [name for name in names if name] if all(names) else []


def _pixels(element: ET.Element, timed: bool, uuid: str) -> OmePixels:
    axes = element.get("DimensionOrder", "XYZCT")[:1:-1]
    samples = [int(e.get("SamplesPerPixel") or 1) for e in elements(element, "Channel")]
    sizes = {a: int(element.get(f"Size{a}") or 1) for a in axes}
    if sorted(axes) != ["C", "T", "Z"] or min(sizes.values()) < 1:
        raise ValueError(f"OME-XML has DimensionOrder {axes!r} and sizes {sizes}")
    if samples:
        sizes["C"] = max(sizes["C"] // max(samples), 1)
    parts = tuple(_part(e, axes) for e in elements(element, "TiffData"))
    names = channel_names(element)
    return OmePixels(axes, tuple(sizes[a] for a in axes), names, parts, timed, uuid)


def _part(element: ET.Element, axes: str) -> TiffData:
    told = element.get("PlaneCount") or element.get("NumPlanes")
    count = int(told) if told else (1 if element.get("IFD") is not None else None)
    named = next(iter(elements(element, "UUID")), None)
    return TiffData(
        file="" if named is None else named.get("FileName") or "",
        uuid="" if named is None else (named.text or "").strip(),
        page=int(element.get("IFD") or 0),
        count=count,
        first=tuple(int(element.get(f"First{a}") or 0) for a in axes),
    )
