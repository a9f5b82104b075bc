"""Pictures of registration: overlay, checkerboard, |difference| and matches of a pair; chains of slices."""

from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from somray.report.data import Row, Rows, ScanPixels
from somray.report.data.pairs import PairImages, PairMatches
from somray.report.drawing.blocks import Gallery, Picture
from somray.report.drawing.display import (
    DisplayWindow,
    checkerboard,
    differences,
    grey,
    presets,
    two_colours,
)
from somray.report.drawing.scales import runs
from somray.report.drawing.style import MUTED, SERIES, chart, drawing, label_axes, to_svg
from somray.report.drawing.table import number
from somray.report.drawing.tiles import TileText, colour_bar, matches_tile, tile

__all__ = ["chain_drift", "match_picture", "pair_gallery", "pair_name"]

MOST_MATCHES = 60
_MARKS = (("weak", SERIES[4], "v", "weak"), ("repaired", SERIES[1], "D", "repaired step"))
DIFFERENCE_PERCENT = 99.0  # of both maps; larger differences saturate, the same way in both


def pair_name(row: Row) -> str:
    """Name a registered pair in words."""
    if row["kind"] == "sessions":
        return f"sessions {row['fixed_session']} → {row['moving_session']}"
    return f"session {row['fixed_session']}, slices {row['fixed_z']} and {row['moving_z']}"


def _window(scan: ScanPixels, modality: str, fixed: NDArray[np.float32]) -> DisplayWindow:
    """Choose the window of a pair: the main one of the first channel, which was registered."""
    windows, is_uptake = scan.meta.windows, scan.uptake_channel(modality) == 0
    return presets(scan.units[0], windows[0] if windows else None, fixed, is_uptake)[0]


def pair_gallery(
    images: PairImages, scan: ScanPixels, row: Row, modality: str, detail: int
) -> Gallery:
    """Show overlay, checkerboard and |difference|: a row before and a row after, one scale for both.

    The scan is the fixed one, the row one of `registration`; `detail` is most pixels along a side.
    """
    window, where = _window(scan, modality, images.fixed), pair_name(row)
    unit = "" if scan.units[0] == "raw" else f" {scan.units[0]}"
    differ = images.differences()
    known = np.concatenate([d[np.isfinite(d)] for d in differ if d is not None])
    most = (float(np.percentile(known, DIFFERENCE_PERCENT)) if known.size else 0.0) or 1.0
    top = f"{number(most, 2)}{unit} and more"
    scale = differences(np.linspace(0, most, 256)[None, :], most)  # the same before and after
    bar = colour_bar(scale, ("0", top), f"Colour scale of the differences, 0 to {top}.")

    def drawn(pixels: NDArray[np.uint8], title: str, alt: str) -> Markup:
        return tile(pixels, scan.frame, alt, TileText(title), detail)

    pictures: list[Picture] = []
    for title, moving, difference in zip(
        ("before", "after"), (images.before, images.after), differ, strict=True
    ):
        if moving is None or difference is None or not np.isfinite(difference).any():
            continue
        of = f"of {where} {title} registration"
        both = two_colours(window.scaled(images.fixed), window.scaled(moving))
        alt = f"Overlay {of}: fixed green, moving magenta, agreement grey."
        told = f"Overlay {title}: fixed green, moving magenta, grey where both agree ({window})."
        pictures.append(Picture(drawn(both, title, alt), told))
        turns = grey(checkerboard(images.fixed, moving), window)
        told = (
            f"Checkerboard {title}: fixed and moving by turns; edges run on where they are aligned."
        )
        pictures.append(Picture(drawn(turns, title, f"Checkerboard {of}."), told))
        mean = number(float(np.nanmean(difference)))
        alt = f"Absolute difference {of}, mean {mean}{unit}."
        told = f"|Difference| {title}: mean {mean}{unit} where both show something; one scale."
        pictures.append(Picture(drawn(differences(difference, most), title, alt) + bar, told))
    return Gallery(tuple(pictures), "medium", _gallery_text(row, where, images))


def _gallery_text(row: Row, where: str, images: PairImages) -> str:
    head = where[0].upper() + where[1:]
    if images.after is None and not np.isfinite(images.differences()[0]).any():
        told = "nothing is pictured, as both show nothing in common where they lie"
        return f"{head}: the pair was refused ({row['reason']}); {told}."
    if images.after is None:
        return f"{head} before registration only: the pair was refused ({row['reason']})."
    residue = "change" if row["kind"] == "sessions" else "anatomy"
    weak = f" The result is weak: {row['reason']}." if row["status"] == "weak" else ""
    at = f", slice {images.fixed_z} of the earlier" if row["kind"] == "sessions" else ""
    return (
        f"{head}{at}, before and after registration ({row['model']}); what is left after it is "
        f"{residue}.{weak}"
    )


def match_picture(
    matches: PairMatches,
    fixed: ScanPixels,
    moving: ScanPixels,
    row: Row,
    modality: str,
    detail: int,
) -> Picture | None:
    """Draw the keypoint matches of a pair in the plane; None where there is none."""
    points, others = matches.found.fixed_points, matches.found.moving_points
    count = len(points)
    if not count:
        return None
    keep = np.unique(np.linspace(0, count - 1, min(count, MOST_MATCHES)).round().astype(int))
    window, where = _window(fixed, modality, matches.fixed), pair_name(row)
    some = f"; {len(keep)} of them are drawn" if len(keep) < count else ""
    told = (
        f"Matches that {matches.robust} kept between {where} ({matches.how}): {count} inliers{some}."
        f"{matches.note}"
    )
    markup = matches_tile(
        (grey(matches.fixed, window), grey(matches.moving, window)),
        (points[keep], others[keep]),
        (fixed.frame, moving.frame),
        f"{count} keypoint matches between {where}, drawn as lines.",
        detail,
    )
    return Picture(markup, told)


@drawing
def chain_drift(rows: Rows, name: str) -> Markup:
    """Draw drift and cycle error of one scan's slices over z; slices that nothing leads to are shaded."""
    figure, axes = chart(5.0, 2.9)
    every = [r for r in sorted(rows, key=lambda r: r["z"]) if r["drift_mm"] is not None]
    borders = runs(
        len(every)
    ).tolist()  # of many slices, the farthest of each run stands for its run
    known = [max(every[a:b], key=lambda r: r["drift_mm"]) for a, b in pairwise(borders)]
    axes.plot(
        [r["z"] for r in known], [r["drift_mm"] for r in known], color=SERIES[0], label="drift"
    )
    cycles = [r for r in known if r["cycle_error_mm"] is not None]
    if cycles:
        axes.plot([r["z"] for r in cycles], [r["cycle_error_mm"] for r in cycles], ".",
                  color=MUTED, markersize=4, label="cycle error")  # fmt: skip
    for status, colour, mark, label in _MARKS:
        part = [r for r in known if r["status"] == status]
        if part:
            axes.plot([r["z"] for r in part], [r["drift_mm"] for r in part], mark,
                      color=colour, markersize=5, label=label)  # fmt: skip
    refused = np.array(sorted(r["z"] for r in rows if r["matrix"] is None), dtype=np.int64)
    gaps = np.split(refused, np.flatnonzero(np.diff(refused) > 1) + 1) if len(refused) else []
    for count, gap in enumerate(gaps):
        axes.axvspan(gap[0] - 0.5, gap[-1] + 0.5, color=MUTED, alpha=0.3, linewidth=0,
                     label="" if count else "not aligned")  # fmt: skip
    axes.set_ylim(bottom=0)
    label_axes(axes, "slice z", "mm", whole=True)
    axes.legend(loc="best")
    most = max((r["drift_mm"] for r in known), default=0.0)
    told = f"Drift along z over {len(rows)} slices, at most {most:.2f} mm"
    return to_svg(figure, f"{told}; {len(refused)} not aligned.", name)
