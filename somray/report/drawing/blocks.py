"""What a page is made of: plain blocks that the templates lay out, one after the other.

Sections are built in Python and hold text only; the templates escape it. The one exception is the
`markup` of a picture, which comes from our own drawing code and never from a scan or a path as it stands.
"""

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = [
    "Block",
    "Cell",
    "Code",
    "Details",
    "Facts",
    "Gallery",
    "Heading",
    "Legend",
    "LegendEntry",
    "Notice",
    "PageLink",
    "PageLinks",
    "Picture",
    "Section",
    "Table",
    "Text",
    "Thumbnail",
    "with_settings",
]


def with_settings(text: str) -> Markup:
    """Escape a text; what stands between backticks in it, as settings do, is set as code."""
    return Markup(re.sub(r"`([^`\n]{1,80})`", r"<code>\1</code>", str(escape(text))))


class Block:
    """One part of a page, laid out by the template of its kind."""

    @property
    def kind(self) -> str:
        """Name of its kind, such as text, notice or table."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Text(Block):
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Notice(Block):
    """A sentence that must not be missed; tone is "note", "warn", "bad" or "good"."""

    text: str
    tone: str = "note"
    lead: str = ""


@dataclass(frozen=True)
class Code(Block):
    """Lines to copy as they are; prose is wrapped."""

    text: str
    is_prose: bool = False


@dataclass(frozen=True)
class Facts(Block):
    """Pairs of a name and a value."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Picture(Block):
    """One picture: our own markup (with its text for those who cannot see it), and what it shows."""

    markup: Markup
    caption: str


@dataclass(frozen=True)
class Gallery(Block):
    """Pictures side by side, as many per row as fit; size is small, medium, chart or large."""

    pictures: tuple[Picture, ...]
    size: str = "medium"
    caption: str = ""


@dataclass(frozen=True)
class LegendEntry:
    """One entry of a legend: a colour patch, or a line with an SVG dash pattern."""

    label: str
    colour: str
    dash: str | None = None
    doubtful: bool = False


@dataclass(frozen=True)
class Legend(Block):
    """What colours and lines mean."""

    entries: tuple[LegendEntry, ...]


@dataclass(frozen=True)
class Heading:
    """Head of a column: name, unit ("" for none), meaning."""

    label: str
    unit: str = ""
    meaning: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Thumbnail:
    """A small picture in a table: a data URI of our own, its text, and its size in CSS pixels."""

    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: what it says.
        tone: marks a word: "bad", "warn", "good" or "muted".
        href: of a link.
        swatch: colour of a patch before the text.
        sort: number that it is sorted by; its text where there is none.
        thumbnail: small picture in place of the text.
    """

    text: str
    tone: str = ""
    href: str = ""
    swatch: str = ""
    sort: float | None = None
    thumbnail: Thumbnail | None = None


@dataclass(frozen=True)
class Table(Block):
    """A table; without rows it says why there is nothing to show.

    Args:
        caption: what it shows.
        headings: of its columns.
        rows: cells, as many as headings.
        empty: why there may be no row.
        worst: column that a button sorts by, worst first; None for no button.
    """

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    worst: int | None = None

    @property
    def is_tall(self) -> bool:
        """Whether its rows hold pictures, so that it needs more room."""
        return any(cell.thumbnail is not None for row in self.rows for cell in row)


@dataclass(frozen=True)
class PageLink:
    """A link to another page of the report."""

    label: str
    href: str


@dataclass(frozen=True)
class PageLinks(Block):
    """Links to other pages, side by side."""

    told: str
    links: tuple[PageLink, ...]


@dataclass(frozen=True)
class Details(Block):
    """Blocks that are folded away until asked for (and unfolded in print)."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Section(Block):
    """A titled part of a page, with an anchor; sections nest."""

    anchor: str
    title: str
    blocks: tuple[Block, ...] = ()
    tone: str = ""
