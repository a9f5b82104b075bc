"""Registration on the page: neighbouring slices (anatomy) and sessions (change), never mixed."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from somray.report.data import Row, Rows, ScanPixels, SubjectData
from somray.report.data.pairs import pair_matches, planar_pair, session_pair
from somray.report.data.selection import pictured_pairs
from somray.report.drawing.blocks import (
    Block,
    Details,
    Gallery,
    Notice,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.drawing.table import TableColumn, number, plural, rows_table, table_of
from somray.report.drawing.tiles import shared_side
from somray.report.figures.registration import (
    chain_drift,
    match_picture,
    pair_gallery,
    pair_name,
)
from somray.report.texts.notices import ANATOMY, CHANGE

__all__ = ["registration_section"]

MOST_SESSION_PAIRS = 6
PAGE_PIXELS = 2e6  # of all pictures together: about 0.8 megabytes
PICTURES = 6  # of a pair; matches are two more
MOST_SCANS_PICTURED = 3  # neighbouring slices show anatomy, which needs no picture per session
MOST_CHAINS = 6
MOST_ROWS = 120  # of slice pairs
MOST_REASONS = 4  # told one by one
COLUMNS = (
    "fixed_session", "moving_session", "t", "fixed_z", "moving_z", "model", "status", "reason",
    "inliers", "matches", "inlier_fraction", "rmse_px", "mad_before", "mad_after", "ncc_before",
    "ncc_after",
)  # fmt: skip
SESSION_COLUMNS = (
    "session", "reference_session", "status", "reason", "cycle_error_mm", "drift_mm",
)  # fmt: skip
_AT_HOME = (
    "no step moves its slice farther than the step itself is uncertain, so all stay where they lie"
)
REGIONS = ("lesion", "outside")
FIGURES = ("mad_before", "mad_after", "ncc_before", "ncc_after")


def registration_section(subject: SubjectData, prefix: str) -> Section:
    """Build both halves for one subject and protocol."""
    rows = subject.rows("registration")
    pairs, planes = ([r for r in rows if r["kind"] == kind] for kind in ("sessions", "slices"))
    scans = len({r["fixed_session"] for r in planes})
    count = min(len(pairs), MOST_SESSION_PAIRS), min(scans, MOST_SCANS_PICTURED)
    side = shared_side(PICTURES * count[0] + (PICTURES + 2) * count[1], PAGE_PIXELS, "small")
    sessions = _sessions(subject, pairs, side)
    slices = _slices(subject, planes, prefix, side)
    parts = (
        Section(f"{prefix}-sessions", "Sessions to each other: change over time", tuple(sessions)),
        Section(f"{prefix}-slices", "Slices to their neighbours: anatomy", tuple(slices)),
    )
    return Section(f"{prefix}-registration", "Registration", parts)


def _table(rows: Rows, caption: str) -> Table:
    columns = [c for c in COLUMNS if any(r[c] is not None for r in rows)]
    return rows_table("registration", rows, columns, caption, "no pair was registered.")


def _refused_pairs(rows: Rows) -> Iterator[Notice]:
    """Name refused pairs with their reasons."""
    reasons = Counter(
        f"{_sessions_of(r)}: {r['reason'] or 'no reason was given'}"
        for r in rows
        if r["status"] == "refused"
    )
    yield from _told(reasons, "pair", "refused")


def _told(reasons: Counter[str], noun: str, what: str) -> Iterator[Notice]:
    """Tell reasons, the most frequent first; of many the rest in one line."""
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    for reason, count in ranked[:MOST_REASONS]:
        yield Notice(reason, "bad", f"{plural(count, noun)} {what}:")
    rest = sum(count for _, count in ranked[MOST_REASONS:])
    if rest:
        yield Notice("the tables tell why.", "bad", f"{plural(rest, noun)} more {what}:")


def _sessions_of(row: Row) -> str:
    """Name the sessions of a pair."""
    if row["kind"] == "sessions":
        return f"{row['fixed_session']} → {row['moving_session']}"
    return f"session {row['fixed_session']}"


def _not_aligned(rows: Rows, noun: str) -> Iterator[Notice]:
    """Count what could not be aligned, reason by reason."""
    reasons = Counter(r["reason"] or "no reason was given" for r in rows if r["matrix"] is None)
    yield from _told(reasons, noun, "not aligned")


def _states(rows: Rows, order: tuple[str, ...]) -> str:
    counts = Counter(r["status"] for r in rows)
    return ", ".join(f"{counts[s]} {s}" for s in order if counts[s])


def _sessions(subject: SubjectData, rows: Rows, side: int) -> Iterator[Block]:
    if not rows:
        done = len(subject.done)
        why = ("this protocol does not ask for it, or it is not done yet" if done > 1
               else f"{plural(done, 'session')} done")  # fmt: skip
        yield Text(f"Nothing to show: no two sessions were registered; {why}.")
        return
    yield CHANGE
    yield from _refused_pairs(rows)
    yield _table(rows, "Pairs of sessions; the earlier one is fixed, the later one moves.")
    for row in rows[:MOST_SESSION_PAIRS]:
        yield from _session_pictures(subject, row, side)
    if len(rows) > MOST_SESSION_PAIRS:
        yield Text(f"The first {MOST_SESSION_PAIRS} of {len(rows)} pairs are pictured.")
    yield from _residuals(subject, "sessions")
    group = subject.rows("alignment", kind="sessions")
    if group:
        told = "Every session brought to the first, from all pairs that could be registered."
        yield rows_table("alignment", group, SESSION_COLUMNS, told, "no session was aligned.")
        yield from _not_aligned(group, "session")


def _session_pictures(subject: SubjectData, row: Row, side: int) -> Iterator[Block]:
    fixed, moving = (subject.scan(row[s]) for s in ("fixed_session", "moving_session"))
    if fixed is None or moving is None:
        yield Text(f"Nothing to show: a scan of {pair_name(row)} is not complete.")
        return
    areas = _areas(subject, row["fixed_session"])
    here = {z: area for z, area in areas.items() if area > 0}
    z = max(here, key=lambda s: (here[s], -s), default=fixed.meta.shape[2] // 2)
    images = session_pair(fixed, moving, row, z)
    yield pair_gallery(images, fixed, row, subject.config.modality, side)
    if row["t"] is not None:  # registered in the plane: there are two slices to draw matches on
        yield from _matches(subject, (fixed, moving), row, side)


def _areas(subject: SubjectData, session: str) -> dict[int, float]:
    """Return the target's area of each slice of a session at time index 0."""
    return {z: area for (t, z), area in subject.target_areas(session).items() if t == 0}


def _slices(subject: SubjectData, rows: Rows, prefix: str, side: int) -> Iterator[Block]:
    if not rows:
        yield Text("Nothing to show: no neighbouring slices were registered in this protocol.")
        return
    yield ANATOMY
    yield from _refused_pairs(rows)
    for place, scan in enumerate(subject.scans):
        part = [r for r in rows if r["fixed_session"] == scan["session"]]
        if not part:
            continue
        yield Text(_summary(part))
        pixels = subject.scan(scan["session"])
        if pixels is None or place >= MOST_SCANS_PICTURED:
            continue
        for row in pictured_pairs(part, _areas(subject, scan["session"])):
            images = planar_pair(pixels, pixels, row)
            yield pair_gallery(images, pixels, row, subject.config.modality, side)
            yield from _matches(subject, (pixels, pixels), row, side)
    yield from _residuals(subject, "slices")
    yield from _chains(subject, prefix)
    told = f"All {plural(len(rows), 'pair')} of neighbouring slices."
    listed = _worst(rows)
    if len(listed) < len(rows):
        told = (
            f"{len(listed)} of {len(rows)} pairs of neighbouring slices: those not ok, then those that agree "
            "least; all stand in tables/registration."
        )
    yield Details(told, (_table(listed, told),))


def _worst(rows: Rows) -> Rows:
    """Return all rows of `registration`, or where they are many so many of the worst, in their own order."""
    worst = sorted(
        range(len(rows)),
        key=lambda n: (rows[n]["status"] == "ok", rows[n]["ncc_after"] or 0.0, n),
    )
    return [rows[n] for n in sorted(worst[:MOST_ROWS])]


def _summary(rows: Rows) -> str:
    states = _states(rows, ("ok", "weak", "refused"))
    told = f"Session {rows[0]['fixed_session']}: {plural(len(rows), 'pair')}, {states}"
    both = [(r["mad_before"], r["mad_after"]) for r in rows
            if r["mad_before"] is not None and r["mad_after"] is not None]  # fmt: skip
    if both:
        before, after = (number(float(m)) for m in np.median(np.asarray(both), axis=0))
        told += (
            f"; the mean |difference| is {before} before and {after} after "
            "(median over the pairs, window scaled to 0–1)"
        )
    return told + "."


def _matches(
    subject: SubjectData, scans: tuple[ScanPixels, ScanPixels], row: Row, side: int
) -> Iterator[Gallery]:
    matches = pair_matches(*scans, row, subject.config.registration)
    picture = match_picture(matches, *scans, row, subject.config.modality, side)
    if picture is not None:
        yield Gallery((picture,), "chart")


def _chains(subject: SubjectData, prefix: str) -> Iterator[Block]:
    """Show the chain of each scan's slices along z."""
    rows = subject.rows("alignment", kind="slices", t=0)
    pictures: list[Picture] = []
    for place, scan in enumerate(subject.scans):
        chain = [r for r in rows if r["session"] == scan["session"]]
        if not chain:
            continue
        states = _states(chain, ("ok", "weak", "repaired", "refused"))
        told = f"Session {scan['session']}, chain of {plural(len(chain), 'slice')}: {states}"
        drift = [r["drift_mm"] for r in chain if r["drift_mm"] is not None]
        if drift:
            told += f"; largest drift {number(max(drift))} mm" if any(drift) else f"; {_AT_HOME}"
        yield Text(f"{told}.")
        yield from _not_aligned(chain, "slice")
        if any(drift) and len(pictures) < MOST_CHAINS:
            told = (
                f"Session {scan['session']}: how far each slice would move to lie on slice "
                f"{chain[0]['reference_z']}, all steps that count composed."
            )
            pictures.append(Picture(chain_drift(chain, f"{prefix}-chain{place}"), told))
    if pictures:
        yield Details("Chains of slices along z", (Gallery(tuple(pictures), "chart"),))


def _residuals(subject: SubjectData, kind: str) -> Iterator[Table]:
    """Tabulate |difference| and NCC inside the target and outside, before and after registration."""
    rows = subject.rows("residuals", kind=kind)
    if not rows:
        return
    unit = next((s["unit"].split(",")[0] for s in subject.scans if s["unit"]), "raw")
    unit = "" if unit == "raw" else unit
    lines = []
    for pair in sorted({(r["fixed_session"], r["moving_session"]) for r in rows}):
        for region in REGIONS:
            where = (*pair, region)
            part = [
                r for r in rows if (r["fixed_session"], r["moving_session"], r["region"]) == where
            ]
            name = pair[0] if pair[0] == pair[1] else f"{pair[0]} → {pair[1]}"
            figures = {figure: _median(part, figure) for figure in FIGURES}
            lines.append({"pair": name, "region": region, **figures})
    columns = (
        TableColumn("pair", "pair"),
        TableColumn("region", "region", "", "the target in either image, or the rest"),
        TableColumn("|difference| before", "mad_before", unit, numeric=True),
        TableColumn("after", "mad_after", numeric=True),
        TableColumn("NCC before", "ncc_before", numeric=True),
        TableColumn("after", "ncc_after", numeric=True),
    )
    several = " Medians over all pairs of neighbours." if kind == "slices" else ""
    left = "anatomy" if kind == "slices" else "change"
    told = f"What is left inside lesions and outside; what is left after registration is {left}.{several}"
    yield table_of(told, lines, columns)


def _median(rows: Rows, figure: str) -> float | None:
    known = [r[figure] for r in rows if r[figure] is not None]
    return float(np.median(known)) if known else None
