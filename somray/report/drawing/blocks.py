"""What a page is made of: plain blocks that the templates lay out, one after the other.

Sections are built in Python and hold text only; the templates escape it. The one exception is the
`markup` of a picture, which comes from our own drawing code and never from a scan or a path as it stands.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup

__all__ = [
    "Block",
    "Cell",
    "Code",
    "Details",
    "Facts",
    "Gallery",
    "Heading",
    "Key",
    "KeyEntry",
    "Notice",
    "Picture",
    "Section",
    "Table",
    "Text",
]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Notice:
    """A sentence that must not be missed; tone is "note", "warn", "bad" or "good"."""

    kind: ClassVar[str] = "notice"
    text: str
    tone: str = "note"
    lead: str = ""


@dataclass(frozen=True)
class Code:
    """Lines to copy as they are."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and a value."""

    kind: ClassVar[str] = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Picture:
    """One picture: our own markup, what it shows in a sentence, and the text for those who cannot see it."""

    kind: ClassVar[str] = "picture"
    markup: Markup
    caption: str
    alt: str


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, as many per row as fit; size is small, medium, chart or large."""

    kind: ClassVar[str] = "gallery"
    pictures: tuple[Picture, ...]
    size: str = "medium"
    caption: str = ""


@dataclass(frozen=True)
class KeyEntry:
    """One entry of a key: a colour patch, or a line with an SVG dash pattern."""

    label: str
    colour: str
    dash: str | None = None
    doubtful: bool = False


@dataclass(frozen=True)
class Key:
    """What colours and lines mean."""

    kind: ClassVar[str] = "key"
    entries: tuple[KeyEntry, ...]


@dataclass(frozen=True)
class Heading:
    """Head of a column: name, unit ("" for none), meaning."""

    label: str
    unit: str = ""
    meaning: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell; tone marks a word ("bad", "warn", "good", "muted"), swatch shows a colour before it."""

    text: str
    tone: str = ""
    href: str = ""
    swatch: str = ""


@dataclass(frozen=True)
class Table:
    """A table; without rows it says why there is nothing to show."""

    kind: ClassVar[str] = "table"
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away until asked for (and unfolded in print)."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: tuple["Block", ...]


@dataclass(frozen=True)
class Section:
    """A titled part of a page, with an anchor; sections nest."""

    kind: ClassVar[str] = "section"
    anchor: str
    title: str
    blocks: tuple["Block", ...] = field(default=())
    tone: str = ""


Block = Text | Notice | Code | Facts | Picture | Gallery | Key | Table | Details | Section
