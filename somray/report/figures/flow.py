"""The match graph of a subject: lesions over the sessions, as discs, and the links between them, as lines.

Sessions are columns, every identity has its row; what merges or falls apart lies in neighbouring rows.
Discs have the area of spheres' shadows, so that a radius of two is eight times the volume.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

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
from somray.report.figures.lesions import CHANGES

__all__ = ["DOUBTS", "MOST_ROWS", "lesion_flow"]

DOUBTS = {
    "not_registered": "the two sessions could not be registered",
    "not_covered": "the other scan does not show the place",
    "misaligned": "the tissue around it does not match between the sessions",
}
"""Why a change is left open, and what that means."""

MOST_ROWS = 28  # identities drawn; the largest
WIDTH, ROW = 7.4, 0.3  # inches
LARGEST, SMALLEST = 0.44, 0.1  # radius of a disc, in rows

Rows = Sequence[Mapping[str, Any]]  # Any: plain table rows
Key = tuple[str, int]  # session, lesion_id


@drawing
def lesion_flow(
    tables: tuple[Rows, Rows, Rows], sessions: Sequence[str], name: str
) -> tuple[Markup, int]:
    """Draw lesions over sessions with their links.

    Args:
        tables: rows of `lesions` at t 0, of `evolution` and of `links`.
        sessions: in order of time.
        name: unique on the page.

    Returns:
        The drawing, and how many identities were left out of it, the smallest.
    """
    lesions, evolution, links = tables
    volumes = {(r["session"], r["lesion_id"]): float(r["volume_mm3"]) for r in lesions}
    rows, left_out = _row_of(volumes, links)
    column = {session: float(n) for n, session in enumerate(sessions)}
    figure, axes = chart(WIDTH, 0.9 + ROW * max(3, len(rows)))
    axes.set_xlim(-0.5, len(sessions) - 0.5 + 0.3)
    axes.set_ylim(len(rows) - 0.4, -0.8)
    _bands(axes, evolution, column)
    _lines(axes, links, column, rows)
    largest = max((v for key, v in volumes.items() if key[1] in rows), default=1.0)
    doubtful = {(r["to_session"], r["lesion_id"]) for r in evolution if r["doubt"]}
    for (session, lesion), volume in volumes.items():
        if lesion in rows and session in column:
            points = 72 * ROW * max(SMALLEST, LARGEST * (volume / largest) ** (1 / 3))
            hatch = "/////" if (session, lesion) in doubtful else None
            colour = SERIES[(lesion - 1) % len(SERIES)]
            axes.scatter(column[session], rows[lesion], (2 * points) ** 2, colour, zorder=3,
                         edgecolors=INK, linewidths=0.7, hatch=hatch)  # fmt: skip
    _changes(axes, evolution, column, rows, volumes)
    axes.set_xticks(range(len(sessions)), [plain_text(s) for s in sessions])
    axes.set_yticks(list(rows.values()), [f"#{lesion}" for lesion in rows])
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.legend(handles=_key(evolution, links, column), loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return to_svg(figure, _told(volumes, evolution, links, len(sessions)), name), left_out


def _row_of(volumes: Mapping[Key, float], links: Rows) -> tuple[dict[int, int], int]:
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


def _bands(axes: Axes, evolution: Rows, column: Mapping[str, float]) -> None:
    """Shade the way between two sessions that were not registered."""
    refused = {(r["from_session"], r["to_session"]) for r in evolution if not r["registered"]}
    for first, last in sorted(refused):
        if first in column and last in column:
            axes.axvspan(column[first] + 0.15, column[last] - 0.15, color=MUTED, alpha=0.18,
                         linewidth=0, zorder=0)  # fmt: skip


def _lines(axes: Axes, links: Rows, column: Mapping[str, float], rows: Mapping[int, int]) -> None:
    for link in links:
        one, other = link["from_id"], link["to_id"]
        if one not in rows or other not in rows:
            continue
        if link["from_session"] not in column or link["to_session"] not in column:
            continue
        start, end = column[link["from_session"]], column[link["to_session"]]
        width = 1.0 + 2.0 * float(link["shared_fraction"])
        colour = SERIES[(other - 1) % len(SERIES)] if link["carried"] else MUTED
        style = ":" if end - start > 1 else ("-" if link["by"] == "overlap" else "--")
        axes.plot([start, end], [rows[one], rows[other]], style, color=colour, zorder=1,
                  linewidth=width, solid_capstyle="butt")  # fmt: skip


def _changes(
    axes: Axes,
    evolution: Rows,
    column: Mapping[str, float],
    rows: Mapping[int, int],
    volumes: Mapping[Key, float],
) -> None:
    """Mark at the later session what happened; a question mark where that is left open."""
    for row in evolution:
        session, lesion = row["to_session"], row["lesion_id"]
        if lesion not in rows or session not in column or row["change"] == "stable":
            continue
        there = (session, lesion) in volumes
        x = column[session] + (0.2 if there else 0.0)
        if row["change"] is None:
            axes.text(x, rows[lesion], "?", ha="center", va="center", fontsize=10, weight="bold",
                      bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}, zorder=4)  # fmt: skip
        else:
            axes.plot(x, rows[lesion], CHANGES[row["change"]][0], color=PAPER, markersize=6,
                      markeredgecolor=INK, markeredgewidth=1.0, zorder=4)  # fmt: skip


def _spans(link: Mapping[str, Any], order: Mapping[str, float]) -> float:
    """Over how many columns a link leads."""
    if link["from_session"] not in order or link["to_session"] not in order:
        return 1.0
    return order[link["to_session"]] - order[link["from_session"]]


def _key(evolution: Rows, links: Rows, order: Mapping[str, float]) -> list[Line2D | Patch]:
    """Explain only the signs that are there."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], color="none", marker=mark, markeredgecolor=INK, markersize=6, label=kind)
        for kind, (mark, _) in CHANGES.items()
        if kind != "stable" and any(r["change"] == kind for r in evolution)
    ]
    lines = {
        "same lesion": ("-", SERIES[0], any(k["carried"] for k in links)),
        "merged or split": ("-", MUTED, any(not k["carried"] for k in links)),
        "by distance": ("--", SERIES[0], any(k["by"] == "distance" for k in links)),
        "came back": (":", SERIES[0], any(_spans(k, order) > 1 for k in links)),
    }
    handles += [
        Line2D([], [], linestyle=style, color=colour, label=label)
        for label, (style, colour, there) in lines.items()
        if there
    ]
    if any(r["change"] is None for r in evolution):
        handles.append(Line2D([], [], color="none", marker="$?$", markeredgecolor=INK,
                              markersize=6, label="left open"))  # fmt: skip
    if any(r["doubt"] for r in evolution):
        handles.append(Patch(facecolor="none", edgecolor=INK, hatch="/////", label="in doubt"))
    if any(not r["registered"] for r in evolution):
        handles.append(Patch(facecolor=MUTED, alpha=0.18, label="not registered"))
    return handles


def _told(volumes: Mapping[Key, float], evolution: Rows, links: Rows, sessions: int) -> str:
    lesions = len({lesion for _, lesion in volumes})
    apart = sum(not link["carried"] for link in links)
    in_doubt = sum(bool(r["doubt"]) for r in evolution)
    return (
        f"{lesions} lesions over {sessions} sessions; links between them: {len(links)}, of these merges or "
        f"splits: {apart}; changes in doubt: {in_doubt}."
    )
