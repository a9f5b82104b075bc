"""A subject's lesions of one protocol: volumes over time, the match graph, every change and measure."""

from collections.abc import Iterator, Mapping

import numpy as np

from somray.report.data import Row, Rows, SubjectData, SubjectLesions, change_counts, is_4d
from somray.report.drawing.blocks import Block, Details, Gallery, Notice, Picture, Section, Text
from somray.report.drawing.changes import CHANGES, DOUBTS, LesionTables, TimeAxis
from somray.report.drawing.scales import length_unit, volume_unit
from somray.report.drawing.table import TableColumn, number, rows_table, signed, table_of
from somray.report.figures.flow import lesion_flow
from somray.report.figures.volumes import lesion_volumes
from somray.report.texts.notices import lesion_doubts

__all__ = ["lesions_section"]

MOST_LESIONS = 60  # listed and drawn one by one; beyond, the largest
LESION_COLUMNS = (
    "session", "t", "lesion_id", "volume_mm3", "equivalent_diameter_mm", "longest_axis_mm", "axial_axis_mm",
    "axial_perpendicular_mm",
    "suv_peak", "tlg_ml", "sphericity", "elongation", "flatness", "nearest_mm", "polar_angle_deg",
    "touches_border",
)  # fmt: skip
WHERE_KNOWN = (
    "equivalent_diameter_mm", "axial_axis_mm", "axial_perpendicular_mm", "suv_peak", "tlg_ml", "sphericity",
    "elongation", "flatness", "nearest_mm", "polar_angle_deg", "touches_border",
)  # fmt: skip
"""Columns that are left out where no lesion has them: another modality, or a run of an earlier version."""


def _change(row: Row) -> str | None:
    change = row["volume_change_fraction"]
    return None if change is None else f"{signed(100 * change, '+.0f')} %"


EVOLUTION_COLUMNS = (
    "from_session", "to_session", "lesion_id", "change", "volume_from_mm3", "volume_to_mm3",
    TableColumn("change of volume", _change, "", "(after − before) / before", numeric=True),
    "displacement_mm", "linked_ids", "registered", "doubt", "surround_ncc",
)  # fmt: skip
LINK_COLUMNS = (
    "from_session", "to_session", "from_id", "to_id", "by", "shared_mm3", "shared_fraction",
    "distance_mm", "carried",
)  # fmt: skip


def _intensity(row: Row) -> str:
    spread = row.get("std_intensity")
    return number(row["mean_intensity"]) + ("" if spread is None else f" ± {number(spread)}")


def _reach(row: Row) -> str:
    low = row.get("min_intensity")
    return ("" if low is None else f"{number(low)} … ") + number(row["max_intensity"])


FOLDED = (
    TableColumn(
        "intensity", _intensity, "", "mean ± standard deviation, of the lesion channel", True
    ),
    TableColumn("least … most", _reach, "", "of the same intensities", True),
)
"""Several columns of `lesions` in one each."""


def _middles(rows: Rows) -> TableColumn:
    """Make the column of places, in µm where lesions are so small."""
    axes = np.array([r["longest_axis_mm"] for r in rows], dtype=np.float64)
    unit = length_unit(axes)

    def told(row: Row) -> str:
        return ", ".join(number(row[f"centroid_{a}_mm"] * unit.per_mm, 1) for a in "xyz")

    return TableColumn("centroid x, y, z", told, unit.name, "patient LPS coordinates", True)


def lesions_section(subject: SubjectData, found: SubjectLesions, prefix: str) -> Section:
    """Show a subject's lesions of one protocol: volumes, the match graph, changes, measures; of many the largest."""
    ids = found.largest(MOST_LESIONS)
    others = found.identities - len(ids)
    tables = LesionTables(
        found.lesion_rows(ids), found.evolution_rows(ids), found.link_rows(ids), others
    )
    blocks: list[Block] = [
        *lesion_doubts(subject.config, subject.teacher),
        *_what_is_shown(subject),
        *_over_time(subject, found, tables, prefix),
        *_left_out(subject, found, ids),
        *_tables(subject, tables, ids if others else sorted(ids)),
    ]
    return Section(f"{prefix}-lesions", "Lesions over time", tuple(blocks))


def _left_out(subject: SubjectData, found: SubjectLesions, ids: list[int]) -> Iterator[Block]:
    """Say how many lesions the tables leave out, what they add up to, and where they stand."""
    others = found.identities - len(ids)
    if not others:
        return
    rest = found.others(ids)
    unit, per_mm3 = volume_unit(max((volume for _, volume in rest.values()), default=0.0))
    told = "; ".join(
        f"{rest[session][0]} of {number(rest[session][1] * per_mm3)} {unit} in all in session {session}"
        for session in sorted(rest, key=lambda s: subject.order.get(s, 0))
    )
    lead = f"The {len(ids)} largest of {found.identities} lesions are listed."
    where = (
        f"Not listed at time index 0: {told}. Every lesion stands in tables/lesions, every change in "
        f"tables/evolution and every link in tables/links (protocol={subject.protocol})."
    )
    yield Notice(where, "note", lead)


def _tables(subject: SubjectData, tables: LesionTables, ids: list[int]) -> Iterator[Block]:
    """List changes, links and measures of the lesions that are shown, in the order of their ids."""
    order, of = subject.order, tables.listed
    rank = {lesion: place for place, lesion in enumerate(ids)}
    is_small = subject.config.modality == "XCT"
    evolution = sorted(
        tables.evolution, key=lambda r: (rank[r["lesion_id"]], order.get(r["to_session"], 0))
    )
    lesions = sorted(
        tables.lesions, key=lambda r: (rank[r["lesion_id"]], order.get(r["session"], 0), r["t"])
    )
    if len(subject.done) > 1:
        told = f"Change of {of} between consecutive sessions."
        why = "no lesion was found in any."
        yield rows_table("evolution", evolution, EVOLUTION_COLUMNS, told, why, is_small)
        told = (
            "Links between lesions of two sessions; an identity passes along those that carry it."
        )
        why = "no lesion was found again."
        graph = rows_table("links", tables.links, LINK_COLUMNS, told, why, is_small)
        yield Details("The match graph, link by link", (graph,))
    told = f"{of[:1].upper()}{of[1:]} in every session (centroids in patient LPS coordinates)."
    empty = {c for c in WHERE_KNOWN if all(r.get(c) is None for r in lesions)}
    empty |= set() if any(r["t"] for r in lesions) else {"t"}
    shown = (c for c in LESION_COLUMNS if c not in empty)
    columns: list[str | TableColumn] = [*shown, *FOLDED, _middles(lesions)]
    yield rows_table("lesions", lesions, columns, told, "no lesion was found.", is_small)


def _what_is_shown(subject: SubjectData) -> Iterator[Block]:
    """Say what a lesion is here."""
    config = subject.config
    drawn = {"student": "student", "foreign": "mask from outside"}.get(
        config.segment, "direct transfer of the SOM"
    )
    what = (
        "the objects that were called lesion"
        if subject.rows("objects")
        else f"the connected parts of the target class “{config.teacher.target}” as the {drawn} outlines it"
    )
    yield Text(f"Lesions are {what}; one id is one lesion over all sessions.")
    if any(is_4d(s) for s in subject.scans):
        yield Text("4D scans are compared over sessions at time index 0.")
    if subject.cohort.is_unfinished:
        told = "Lesions that are not yet followed are missing here."
        yield Notice(told, "warn", "The run is not finished.")


def _over_time(
    subject: SubjectData, found: SubjectLesions, tables: LesionTables, prefix: str
) -> Iterator[Block]:
    first = [r for r in tables.lesions if r["t"] == 0]
    if len(subject.done) < 2:
        yield Text("Nothing to show over time: this subject has fewer than two done sessions here.")
        return
    if not first:
        yield Text("Nothing to show over time: no lesion was found in any session.")
        return
    time = TimeAxis.of(subject.done)
    tables = LesionTables(first, tables.evolution, tables.links, tables.others)
    markup = lesion_volumes(tables, time, f"{prefix}-volumes")
    told = (
        f"Volume of {tables.listed} by session, one line per lesion id; marks tell the kind of change found "
        "at that session, dotted lines lead to or from “not there”."
    )
    yield Gallery((Picture(markup, told),), "large")
    flow = lesion_flow(tables, time.sessions, f"{prefix}-flow")
    told = (
        "Every lesion in every session, the radius as of a sphere of its volume, one row per lesion id; lines "
        "join what is the same tissue, thicker where more of it is shared."
    )
    if flow.left_out:
        told += f" The {flow.left_out} smallest of {found.identities} are not drawn."
    yield Gallery((Picture(flow.markup, told),), "large")
    yield from _doubtful(found.doubts())
    counts = change_counts(found.evolution)
    columns = (
        TableColumn("change", lambda kind: kind),
        TableColumn("meaning", lambda kind: CHANGES[kind].meaning),
        TableColumn("found", lambda kind: counts.get(kind, 0), "", "times, of all lesions", True),
    )
    kinds = table_of("Kinds of change between consecutive sessions.", CHANGES, columns)
    yield Details("What the kinds of change mean", (kinds,))


def _doubtful(reasons: Mapping[str, int]) -> Iterator[Block]:
    """Say which changes are in doubt, and why; nothing where none is."""
    found = {kind: reasons.get(kind, 0) for kind in DOUBTS}
    told = "; ".join(f"{count} because {DOUBTS[kind]}" for kind, count in found.items() if count)
    if told:
        lead = f"{sum(found.values())} changes are in doubt."
        yield Notice(f"{told}. Such a lesion is called neither new nor resolved.", "warn", lead)
