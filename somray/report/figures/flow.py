"""The match graph of a subject: lesions over the sessions, as discs, and the links between them, as lines.

Sessions are columns, every identity has its row; what merges or falls apart lies in neighbouring rows.
Discs have the area of spheres' shadows, so that a radius of two is eight times the volume.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from somray.report.data import Rows
from somray.report.drawing.changes import CHANGES, OPEN, LesionTables
from somray.report.drawing.style import (
    INK,
    MUTED,
    PAPER,
    SERIES,
    chart,
    drawing,
    plain_text,
    to_svg,
)

__all__ = ["MOST_ROWS", "LesionFlow", "lesion_flow"]

MOST_ROWS = 28  # identities drawn; the largest
WIDTH, ROW = 7.4, 0.3  # inches
LARGEST, SMALLEST = 0.44, 0.1  # radius of a disc, in rows

LesionKey = tuple[str, int]  # session, lesion_id
_SHADE = 0.18  # of the way between sessions that were not registered
_HATCH = "/////"  # of what is in doubt


@dataclass(frozen=True)
class LesionFlow:
    """The drawing, and how many identities were left out of it, the smallest."""

    markup: Markup
    left_out: int


@dataclass(frozen=True)
class _Places:
    """Where things stand: session to column, lesion to row, lesion to its place by size."""

    columns: Mapping[str, int]
    rows: Mapping[int, int]
    ranks: Mapping[int, int]

    def colour(self, lesion: int) -> str:
        """Return the colour that a lesion has in every drawing."""
        return SERIES[self.ranks[lesion] % len(SERIES)]

    def span(self, row: Mapping[str, str]) -> tuple[int, int] | None:
        """Return the columns of a row's two sessions; None where one is not shown."""
        if row["from_session"] not in self.columns or row["to_session"] not in self.columns:
            return None
        return self.columns[row["from_session"]], self.columns[row["to_session"]]


@drawing
def lesion_flow(tables: LesionTables, sessions: Sequence[str], name: str) -> LesionFlow:
    """Draw lesions (those at time index 0) over sessions, in order of time, with their links."""
    evolution = tables.evolution
    volumes = {(r["session"], r["lesion_id"]): float(r["volume_mm3"]) for r in tables.lesions}
    rows, left_out = _row_of(volumes, tables.links)
    places = _Places({session: n for n, session in enumerate(sessions)}, rows, tables.ranks)
    figure, axes = chart(WIDTH, 0.9 + ROW * max(3, len(rows)))
    axes.set_xlim(-0.5, len(sessions) - 0.5 + 0.3)
    axes.set_ylim(len(rows) - 0.4, -0.8)
    _bands(axes, evolution, places)
    _lines(axes, tables.links, places)
    largest = max((v for key, v in volumes.items() if key[1] in rows), default=1.0)
    doubtful = {(r["to_session"], r["lesion_id"]) for r in evolution if r["doubt"]}
    for (session, lesion), volume in volumes.items():
        if lesion in rows and session in places.columns:
            points = 72 * ROW * max(SMALLEST, LARGEST * (volume / largest) ** (1 / 3))
            hatch = _HATCH if (session, lesion) in doubtful else None
            axes.scatter(places.columns[session], rows[lesion], (2 * points) ** 2,
                         places.colour(lesion), zorder=3, edgecolors=INK, linewidths=0.7, hatch=hatch)  # fmt: skip
    _changes(axes, evolution, places, volumes)
    axes.set_xticks(range(len(sessions)), [plain_text(s) for s in sessions])
    axes.set_yticks(list(rows.values()), [f"#{lesion}" for lesion in rows])
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    key = _key(evolution, tables.links, places)
    axes.legend(handles=key, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    alt = (
        f"{tables.told[:1].upper()}{tables.told[1:]} over {len(sessions)} sessions; links between "
        f"them: {len(tables.links)}, of these merges or splits: "
        f"{sum(not link['carried'] for link in tables.links)}; changes in doubt: "
        f"{sum(bool(r['doubt']) for r in evolution)}."
    )
    return LesionFlow(to_svg(figure, alt, name), left_out + tables.others)


def _row_of(volumes: Mapping[LesionKey, float], links: Rows) -> tuple[dict[int, int], int]:
    """Give each identity a row: linked ones side by side, the largest groups first."""
    largest: dict[int, float] = {}
    for (_, lesion), volume in volumes.items():
        largest[lesion] = max(largest.get(lesion, 0.0), volume)
    kept = set(sorted(largest, key=lambda i: (-largest[i], i))[:MOST_ROWS])
    group = {lesion: {lesion} for lesion in kept}
    for link in links:
        one, other = link["from_id"], link["to_id"]
        if one in kept and other in kept and group[one] is not group[other]:
            merged = group[one] | group[other]
            for lesion in merged:
                group[lesion] = merged
    ordered = sorted(
        kept, key=lambda i: (-max(largest[k] for k in group[i]), min(group[i]), -largest[i], i)
    )
    return {lesion: row for row, lesion in enumerate(ordered)}, len(largest) - len(kept)


def _bands(axes: Axes, evolution: Rows, places: _Places) -> None:
    """Shade the way between two sessions that were not registered."""
    refused = {places.span(r) for r in evolution if not r["registered"]}
    for first, last in sorted(span for span in refused if span):
        axes.axvspan(first + 0.15, last - 0.15, color=MUTED, alpha=_SHADE, linewidth=0, zorder=0)


def _lines(axes: Axes, links: Rows, places: _Places) -> None:
    for link in links:
        one, other, span = link["from_id"], link["to_id"], places.span(link)
        if span is None or one not in places.rows or other not in places.rows:
            continue
        width = 1.0 + 2.0 * float(link["shared_fraction"])
        colour = places.colour(other) if link["carried"] else MUTED
        style = ":" if span[1] - span[0] > 1 else ("-" if link["by"] == "overlap" else "--")
        axes.plot(span, [places.rows[one], places.rows[other]], style, color=colour, zorder=1,
                  linewidth=width, solid_capstyle="butt")  # fmt: skip


def _changes(
    axes: Axes, evolution: Rows, places: _Places, volumes: Mapping[LesionKey, float]
) -> None:
    """Mark at the later session what happened; a question mark where that is left open."""
    for row in evolution:
        session, lesion = row["to_session"], row["lesion_id"]
        if lesion not in places.rows or session not in places.columns or row["change"] == "stable":
            continue
        x = places.columns[session] + (0.2 if (session, lesion) in volumes else 0.0)
        y = places.rows[lesion]
        if row["change"] is None:
            axes.text(x, y, "?", ha="center", va="center", fontsize=10, weight="bold",
                      bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}, zorder=4)  # fmt: skip
        else:
            axes.plot(x, y, CHANGES[row["change"]].sign, color=PAPER, markersize=6,
                      markeredgecolor=INK, markeredgewidth=1.0, zorder=4)  # fmt: skip


def _key(evolution: Rows, links: Rows, places: _Places) -> list[Line2D | Patch]:
    """Explain only the signs that are there."""

    def sign(marker: str, label: str) -> Line2D:
        return Line2D([], [], color="none", marker=marker, markeredgecolor=INK, markersize=6,
                      label=label)  # fmt: skip

    spans = [places.span(link) or (0, 1) for link in links]
    lines = (
        ("same lesion", "-", SERIES[0], any(k["carried"] for k in links)),
        ("merged or split", "-", MUTED, any(not k["carried"] for k in links)),
        ("by distance", "--", SERIES[0], any(k["by"] == "distance" for k in links)),
        ("came back", ":", SERIES[0], any(last - first > 1 for first, last in spans)),
    )
    handles: list[Line2D | Patch] = [
        sign(mark.sign, kind)
        for kind, mark in CHANGES.items()
        if kind != "stable" and any(r["change"] == kind for r in evolution)
    ]
    handles += [
        Line2D([], [], linestyle=style, color=colour, label=label)
        for label, style, colour, is_there in lines
        if is_there
    ]
    if any(r["change"] is None for r in evolution):
        handles.append(sign(OPEN, "left open"))
    if any(r["doubt"] for r in evolution):
        handles.append(Patch(facecolor="none", edgecolor=INK, hatch=_HATCH, label="in doubt"))
    if any(not r["registered"] for r in evolution):
        handles.append(Patch(facecolor=MUTED, alpha=_SHADE, label="not registered"))
    return handles
