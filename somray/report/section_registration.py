"""Registration on the page: neighbouring slices (anatomy) and sessions (change), never mixed."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from somray.kernels.registration import register
from somray.kernels.windows import channel_kind
from somray.report.blocks import Block, Details, Gallery, Notice, Picture, Section, Text
from somray.report.choose import pictured_pairs
from somray.report.data import ReportData, Row, Rows, ScanPixels
from somray.report.display import DisplayWindow, differences, grey, presets, two_colours
from somray.report.listing import listing, number, plural
from somray.report.overlays import PairImages, session_pair, slice_pair
from somray.report.section_slices import target_areas
from somray.report.tiles import TileText, colour_bar, matches_tile, tile
from somray.report.words import ANATOMY, CHANGE

__all__ = ["registration_section"]

MOST_SESSION_PAIRS = 6
MOST_SCANS_PICTURED = 3  # neighbouring slices show anatomy, which needs no picture per session
MOST_MATCHES = 60
SHOWN_MODEL = "similarity"  # drawn where `auto` needed no keypoints
DIFFERENCE_PERCENT = 99.0  # of both maps; larger differences saturate, the same way in both
COLUMNS = (
    "fixed_session", "moving_session", "t", "fixed_z", "moving_z", "model", "status", "reason",
    "inliers", "matches", "inlier_fraction", "rmse_px", "mad_before", "mad_after", "ncc_before",
    "ncc_after",
)  # fmt: skip


def registration_section(data: ReportData, scans: list[Row], protocol: str, prefix: str) -> Section:
    """Build both halves for one subject and protocol."""
    subject = scans[0]["subject"]
    rows = data.rows("registration", protocol=protocol, subject=subject)
    parts = (
        Section(f"{prefix}-sessions", "Sessions to each other: change over time",
                tuple(_sessions(data, scans, [r for r in rows if r["kind"] == "sessions"]))),
        Section(f"{prefix}-slices", "Slices to their neighbours: anatomy",
                tuple(_slices(data, scans, [r for r in rows if r["kind"] == "slices"]))),
    )  # fmt: skip
    return Section(f"{prefix}-registration", "Registration", parts)


def _table(rows: Rows, caption: str) -> Block:
    columns = [c for c in COLUMNS if any(r[c] is not None for r in rows)]
    return listing("registration", rows, columns, (caption, "no pair was registered."))


def _refused(rows: Rows) -> Iterable[Block]:
    """Name refused pairs with their reasons."""
    for reason, count in sorted(
        Counter(_told(r) for r in rows if r["status"] == "refused").items()
    ):
        yield Notice(reason, "bad", f"{plural(count, 'pair')} refused:")


def _told(row: Row) -> str:
    why = row["reason"] or "no reason was given"
    if row["kind"] == "sessions":
        return f"{row['fixed_session']} → {row['moving_session']}: {why}"
    return f"session {row['fixed_session']}: {why}"


def _sessions(data: ReportData, scans: list[Row], rows: Rows) -> Iterable[Block]:
    if not rows:
        done = sum(s["status"] == "done" for s in scans)
        why = ("this protocol does not ask for it, or it is not done yet" if done > 1
               else f"there is {plural(done, 'done session')}")  # fmt: skip
        yield Text(f"Nothing to show: no two sessions were registered; {why}.")
        return
    yield CHANGE
    yield from _refused(rows)
    yield _table(rows, "Pairs of sessions; the earlier one is fixed, the later one moves.")
    for row in rows[:MOST_SESSION_PAIRS]:
        yield from _session_pictures(data, row)
    if len(rows) > MOST_SESSION_PAIRS:
        yield Text(f"The first {MOST_SESSION_PAIRS} of {len(rows)} pairs are pictured.")


def _session_pictures(data: ReportData, row: Row) -> Iterable[Block]:
    fixed = data.scan(row["subject"], row["fixed_session"])
    moving = data.scan(row["subject"], row["moving_session"])
    if fixed is None or moving is None:
        yield Text(f"Nothing to show: a scan of {_pair_name(row)} is not complete.")
        return
    earlier = {**row, "session": row["fixed_session"]}
    areas = target_areas(data, earlier)
    here = {z: area for (t, z), area in areas.items() if t == 0 and area > 0}
    middle = fixed.meta.shape[2] // 2
    z = max(here, key=lambda s: (here[s], -s), default=middle)
    images = session_pair(fixed, moving, row, z)
    yield from _pair_gallery(images, fixed, row, _window(data, fixed, row, images.fixed))


def _pair_name(row: Row) -> str:
    if row["kind"] == "sessions":
        return f"sessions {row['fixed_session']} → {row['moving_session']}"
    return f"session {row['fixed_session']}, slices {row['fixed_z']} and {row['moving_z']}"


def _slices(data: ReportData, scans: list[Row], rows: Rows) -> Iterable[Block]:
    if not rows:
        yield Text("Nothing to show: no neighbouring slices were registered in this protocol.")
        return
    yield ANATOMY
    yield from _refused(rows)
    for place, scan in enumerate(scans):
        part = [r for r in rows if r["fixed_session"] == scan["session"]]
        if not part:
            continue
        yield Text(_summary(part))
        pixels = data.scan(scan["subject"], scan["session"])
        if pixels is None or place >= MOST_SCANS_PICTURED:
            continue
        areas = {z: area for (t, z), area in target_areas(data, scan).items() if t == 0}
        for row in pictured_pairs(part, areas):
            images = slice_pair(pixels, row)
            window = _window(data, pixels, row, images.fixed)
            yield from _pair_gallery(images, pixels, row, window)
            yield from _matches(data, pixels, row)
    told = f"All {plural(len(rows), 'pair')} of neighbouring slices."
    yield Details(told, (_table(rows, told),))


def _summary(rows: Rows) -> str:
    counts = Counter(r["status"] for r in rows)
    states = ", ".join(f"{counts[s]} {s}" for s in ("ok", "weak", "refused") if counts[s])
    told = f"Session {rows[0]['fixed_session']}: {plural(len(rows), 'pair')}, {states}"
    both = [(r["mad_before"], r["mad_after"]) for r in rows
            if r["mad_before"] is not None and r["mad_after"] is not None]  # fmt: skip
    if both:
        before, after = np.median(np.asarray(both), axis=0)
        told += (
            f"; the mean |difference| is {number(float(before))} before and {number(float(after))} after "
            "(median over the pairs, window scaled to 0–1)"
        )
    return told + "."


def _window(
    data: ReportData, scan: ScanPixels, row: Row, fixed: NDArray[np.float32]
) -> DisplayWindow:
    """Choose the window of a pair: the main one of the first channel, which was registered."""
    modality = data.protocol(row["protocol"]).modality
    windows = scan.meta.windows
    is_uptake = channel_kind(modality, scan.meta.channels[0]) == "PET"
    return presets(scan.units[0], windows[0] if windows else None, fixed, is_uptake)[0]


def _pair_gallery(
    images: PairImages, scan: ScanPixels, row: Row, window: DisplayWindow
) -> Iterable[Block]:
    """Show overlay and |difference| before and after; both differences on one scale."""
    frame = scan.frame
    where = _pair_name(row)
    differ = images.differences()
    known = np.concatenate([d[np.isfinite(d)] for d in differ if d is not None])
    most = float(np.percentile(known, DIFFERENCE_PERCENT)) if known.size else 1.0
    most = most or 1.0
    unit = "" if scan.units[0] == "raw" else f" {scan.units[0]}"
    fixed = window.scaled(images.fixed)
    pictures = []
    for title, moving in (("before", images.before), ("after", images.after)):
        if moving is None:
            continue
        alt = (
            f"Overlay of {where} {title} registration: fixed green, moving magenta, agreement grey."
        )
        told = f"Overlay {title}: fixed green, moving magenta, grey where both agree ({window})."
        markup = tile(
            two_colours(fixed, window.scaled(moving)), frame, alt, TileText(title), "small"
        )
        pictures.append(Picture(markup, told, alt))
    for title, difference in zip(("before", "after"), differ, strict=True):
        if difference is None:
            continue
        mean = float(np.nanmean(difference)) if np.isfinite(difference).any() else 0.0
        alt = f"Absolute difference of {where} {title} registration, mean {number(mean)}{unit}."
        told = (
            f"|Difference| {title}: mean {number(mean)}{unit} where both show something; one scale."
        )
        markup = tile(differences(difference, most), frame, alt, TileText(title), "small")
        pictures.append(Picture(markup + _scale(most, unit), told, alt))
    yield Gallery(tuple(pictures), "small", _gallery_text(row, where, images))


def _gallery_text(row: Row, where: str, images: PairImages) -> str:
    head = where[0].upper() + where[1:]
    if images.after is None:
        return f"{head} before registration only: the pair was refused ({row['reason']})."
    residue = "change" if row["kind"] == "sessions" else "anatomy"
    weak = f" The result is weak: {row['reason']}." if row["status"] == "weak" else ""
    at = f", slice {images.fixed_z} of the earlier" if row["kind"] == "sessions" else ""
    return (
        f"{head}{at}, before and after registration ({row['model']}); what is left after it is "
        f"{residue}.{weak}"
    )


def _scale(most: float, unit: str) -> Markup:
    """Draw the colours of the differences, the same before and after."""
    row = differences(np.linspace(0, most, 256)[None, :], most)
    top = f"{number(most, 2)}{unit} and more"
    return colour_bar(row, ("0", top), f"Colour scale of the differences, 0 to {top}.")


def _matches(data: ReportData, scan: ScanPixels, row: Row) -> Iterable[Block]:
    """Draw the matches RANSAC kept, found again since no table keeps them."""
    settings = data.protocol(row["protocol"]).registration
    t = row["t"] or 0
    pair = (scan.image(t, row["fixed_z"])[0], scan.image(t, row["moving_z"])[0])
    how = f"{settings.detector.upper()} + RANSAC, {settings.model}"
    found = register(*pair, detector=settings.detector, model=settings.model)
    note = ""
    if not len(found.fixed_points) and settings.model == "auto" and row["status"] != "refused":
        found = register(*pair, detector=settings.detector, model=SHOWN_MODEL)
        how = f"{settings.detector.upper()} + RANSAC, {SHOWN_MODEL}"
        note = " For comparison only: intensities alone decided this pair."
    count = len(found.fixed_points)
    if not count:
        return
    keep = np.unique(np.linspace(0, count - 1, min(count, MOST_MATCHES)).round().astype(int))
    window = _window(data, scan, row, pair[0])
    some = f"; {len(keep)} of them are drawn" if len(keep) < count else ""
    told = (
        f"Matches that RANSAC kept between slices {row['fixed_z']} and {row['moving_z']} "
        f"({how}): {count} inliers{some}.{note}"
    )
    alt = f"{count} keypoint matches between {_pair_name(row)}, drawn as lines."
    markup = matches_tile(
        (grey(pair[0], window), grey(pair[1], window)),
        (found.fixed_points[keep], found.moving_points[keep]),
        scan.frame,
        alt,
    )
    yield Gallery((Picture(markup, told, alt),), "chart")
