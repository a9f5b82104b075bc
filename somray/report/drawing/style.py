"""Colours, line styles and the drawing of charts as themed, self-contained SVG.

Classes always wear the same colours (`domain/palette.py`). Charts are drawn by matplotlib with stand-in colours for
ink, muted ink, rules, paper and series; `to_svg` turns those into the page's CSS variables, so that one drawing serves
light, dark and print.
"""

import functools
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from somray.domain.palette import class_rgb
from somray.stages.object_calls import COLORS

__all__ = [
    "CALLS",
    "INK",
    "MUTED",
    "NO_DATA_COLOUR",
    "OUTLINES",
    "PAPER",
    "RULE",
    "SERIES",
    "LineStyle",
    "chart",
    "class_colour",
    "class_colours",
    "drawing",
    "label_axes",
    "label_scale",
    "plain_text",
    "rgb",
    "to_svg",
]

INK, MUTED, RULE, PAPER = "#010203", "#020304", "#030405", "#040506"
NO_DATA_COLOUR = "#262E38"
SERIES = tuple(f"#0101{n}" for n in range(10, 18))
"""Stand-ins for the colours of lines that are not classes (rounds, lesions): `--series-0` to `--series-7` of the page.

Light and dark pages have a set each, found by search: blue, a red and a green first; every one is legible as text on
its page (4.5), and any two differ by 11 (ΔE 2000) for people who see no red, no green or no blue, too. Of one set
for both pages, two had differed by 3.
"""

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
} | {colour: f"var(--series-{n})" for n, colour in enumerate(SERIES)}


@dataclass(frozen=True)
class LineStyle:
    """A line on a picture: colour and SVG dash pattern, so that lines differ without colour too."""

    colour: str
    dash: str


OUTLINES: Mapping[str, LineStyle] = {
    "student": LineStyle("#FF7A3D", ""),
    "foreign": LineStyle("#FF7A3D", ""),
    "som": LineStyle("#FFE96B", "5 4"),
    "truth": LineStyle("#5CD3FF", "1.8 2.4"),
}
"""Mask to its outline."""

_CALL_DASHES = {"lesion": "", "doubt": "5 4", "physiological": "1.8 2.4"}
CALLS: Mapping[str, LineStyle] = {
    call: LineStyle("#{:02X}{:02X}{:02X}".format(*colour[:3]), _CALL_DASHES[call])
    for call, colour in COLORS.items()
}
"""What an object was called to its outline, in the colour that viewers see on `labels/objects`."""


def class_colours(class_names: Mapping[int, str]) -> dict[int, str]:
    """Give each label value of a protocol its colour; further classes take theirs by value."""
    return {value: class_colour(name, value) for value, name in class_names.items()}


def class_colour(name: str, value: int | None = None) -> str:
    """Return the colour of a class; a further class is told by its label value, from 5."""
    return "#{:02X}{:02X}{:02X}".format(*class_rgb(name, value or 5))


def rgb(colour: str) -> tuple[int, int, int]:
    """Read "#RRGGBB"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def plain_text(text: str) -> str:
    """Keep matplotlib from reading a "$" as mathematics."""
    return text.replace("$", r"\$")


_SETTINGS = {
    "svg.fonttype": "none", "svg.hashsalt": "somray", "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"], "font.size": 9.0, "text.color": INK, "text.usetex": False,
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "axes.titlecolor": INK,
    "axes.facecolor": "none", "axes.titlesize": 9.5, "axes.labelsize": 9.0, "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "xtick.color": MUTED,
    "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5, "grid.color": RULE, "grid.linewidth": 0.8, "legend.frameon": False,
    "legend.fontsize": 8.5, "figure.facecolor": "none", "lines.linewidth": 1.8,
}  # fmt: skip
_BACKEND_KEYS = ("backend", "backend_fallback", "toolbar", "interactive")

P = ParamSpec("P")
R = TypeVar("R")


def _settings() -> dict[str, object]:
    """Start from matplotlib's own defaults, so that a user's matplotlibrc changes nothing."""
    defaults = {k: v for k, v in mpl.rcParamsDefault.items() if k not in _BACKEND_KEYS}
    return {**defaults, **_SETTINGS}


def drawing(function: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function in the report's style; artists take their style when they are made."""

    @functools.wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(_settings()):
            return function(*args, **kwargs)

    return drawn


def chart(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure of width × height inches with one axes; call it inside `drawing`.

    Args:
        width: inches; about 5 is half the page.
        height: inches.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03)
    figure = Figure(figsize=(width, height), layout=layout)
    return figure, figure.add_subplot()


def label_axes(axes: Axes, x: str, y: str, whole: bool = False) -> None:
    """Name both axes and draw lines across; ticks along x at whole numbers alone where asked."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y")
    if whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def label_scale(bar: Colorbar, label: str) -> None:
    """Name a scale of colours, small beside its picture."""
    bar.set_label(label, fontsize=7.6)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5)


PIXELS_PER_POINT = (
    1.36  # at most, so that words are as large in every chart: 9 points are 12 pixels
)
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#|\bhref="#)([^")]+)')
_FONT = re.compile(r"'DejaVu Sans'[^;\"]*")
_HEAD = re.compile(r"<svg\b[^>]*?viewBox=\"([^\"]+)\"[^>]*>", re.DOTALL)


def to_svg(figure: Figure, alt: str, name: str) -> Markup:
    """Draw a figure as inline SVG: same figure, same bytes.

    Args:
        figure: made by `chart`; call this inside `drawing` too.
        alt: text for those who cannot see it.
        name: unique on the page; put before every id, since several drawings share one document.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL)
    text = _ID.sub(lambda m: f"{m[1]}{name}-{m[2]}", text)
    text = _FONT.sub("var(--sans)", text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, variable)
    size = _HEAD.search(text)
    if size is None:  # matplotlib always writes one
        raise ValueError("the drawing has no viewBox")
    head = (
        f'<svg class="chart" role="img" aria-label="{escape(alt)}" viewBox="{size[1]}" '
        f'style="--wide:{float(size[1].split()[2]) * PIXELS_PER_POINT:.0f}px" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return Markup(head + text[size.end() :])
