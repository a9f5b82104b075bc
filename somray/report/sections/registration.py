"""Registration on the page: neighbouring slices (anatomy) and sessions (change), never mixed."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from somray.kernels.registration import register
from somray.report.choose import pictured_pairs
from somray.report.data import ReportData, Row, Rows, ScanPixels
from somray.report.drawing.blocks import Block, Details, Gallery, Notice, Picture, Section, Text
from somray.report.drawing.display import grey
from somray.report.drawing.listing import listing, number, plural
from somray.report.drawing.overlays import session_pair, slice_pair
from somray.report.drawing.pair_pictures import pair_gallery, pair_name, pair_window
from somray.report.drawing.tiles import matches_tile
from somray.report.notices import ANATOMY, CHANGE
from somray.report.sections.alignment import alignment_blocks, residual_blocks
from somray.report.sections.slices import target_areas

__all__ = ["registration_section"]

MOST_SESSION_PAIRS = 6
MOST_SCANS_PICTURED = 3  # neighbouring slices show anatomy, which needs no picture per session
MOST_MATCHES = 60
SHOWN_MODEL = "similarity"  # drawn where `auto` needed no keypoints
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
                tuple(_sessions(data, scans, [r for r in rows if r["kind"] == "sessions"], prefix))),
        Section(f"{prefix}-slices", "Slices to their neighbours: anatomy",
                tuple(_slices(data, scans, [r for r in rows if r["kind"] == "slices"], prefix))),
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


def _sessions(data: ReportData, scans: list[Row], rows: Rows, prefix: str) -> Iterable[Block]:
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
    yield from residual_blocks(data, scans, "sessions")
    yield from alignment_blocks(data, scans, "sessions", prefix)


def _session_pictures(data: ReportData, row: Row) -> Iterable[Block]:
    fixed = data.scan(row["subject"], row["fixed_session"])
    moving = data.scan(row["subject"], row["moving_session"])
    if fixed is None or moving is None:
        yield Text(f"Nothing to show: a scan of {pair_name(row)} is not complete.")
        return
    earlier = {**row, "session": row["fixed_session"]}
    areas = target_areas(data, earlier)
    here = {z: area for (t, z), area in areas.items() if t == 0 and area > 0}
    middle = fixed.meta.shape[2] // 2
    z = max(here, key=lambda s: (here[s], -s), default=middle)
    images = session_pair(fixed, moving, row, z)
    yield from pair_gallery(images, fixed, row, pair_window(data, fixed, row, images.fixed))
    if row["t"] is not None:  # registered in the plane: there are two slices to draw matches on
        yield from _matches(data, (fixed, moving), row)


def _slices(data: ReportData, scans: list[Row], rows: Rows, prefix: str) -> Iterable[Block]:
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
            window = pair_window(data, pixels, row, images.fixed)
            yield from pair_gallery(images, pixels, row, window)
            yield from _matches(data, (pixels, pixels), row)
    yield from residual_blocks(data, scans, "slices")
    yield from alignment_blocks(data, scans, "slices", prefix)
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


def _matches(data: ReportData, scans: tuple[ScanPixels, ScanPixels], row: Row) -> Iterable[Block]:
    """Draw the matches RANSAC kept, found again since no table keeps them."""
    settings = data.protocol(row["protocol"]).registration
    t = row["t"] or 0
    pair = (scans[0].image(t, row["fixed_z"])[0], scans[1].image(t, row["moving_z"])[0])
    how = f"{settings.detector.upper()} + RANSAC, {settings.model}"
    found = register(*pair, detector=settings.detector, model=settings.model)
    note = ""
    if not len(found.fixed_points) and settings.model == "auto" and row["status"] != "refused":
        found = register(*pair, detector=settings.detector, model=SHOWN_MODEL)
        how = f"{settings.detector.upper()} + RANSAC, {SHOWN_MODEL}"
        note = " For comparison only: intensities alone decided this pair."
        if found.status == "refused":
            note += f" Keypoints alone would have been refused: {found.reason}."
    count = len(found.fixed_points)
    if not count:
        return
    keep = np.unique(np.linspace(0, count - 1, min(count, MOST_MATCHES)).round().astype(int))
    window = pair_window(data, scans[0], row, pair[0])
    some = f"; {len(keep)} of them are drawn" if len(keep) < count else ""
    told = (
        f"Matches that RANSAC kept between {pair_name(row)} ({how}): {count} inliers{some}.{note}"
    )
    alt = f"{count} keypoint matches between {pair_name(row)}, drawn as lines."
    markup = matches_tile(
        (grey(pair[0], window), grey(pair[1], window)),
        (found.fixed_points[keep], found.moving_points[keep]),
        (scans[0].frame, scans[1].frame),
        alt,
    )
    yield Gallery((Picture(markup, told, alt),), "chart")
