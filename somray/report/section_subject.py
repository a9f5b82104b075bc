"""A subject's page: its failures and scans, then protocol by protocol lesions, masks, registration, areas."""

from collections.abc import Iterable

from somray.domain.teacher import TeacherModel
from somray.report.blocks import (
    Block,
    Cell,
    Details,
    Gallery,
    Heading,
    Notice,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.data import ReportData, Row, Rows
from somray.report.figures_lesions import CHANGES, TimeAxis, lesion_volumes
from somray.report.listing import listing
from somray.report.section_cohort import failures_section
from somray.report.section_registration import registration_section
from somray.report.section_sessions import signatures_section
from somray.report.section_slices import masks_section
from somray.report.section_student import TRUTH_COLUMNS
from somray.report.section_teacher import areas_picture, class_key
from somray.report.words import TRUTH, doubts

__all__ = ["subject_sections"]

SCAN_COLUMNS = (
    "session", "protocol", "status", "days", "path", "modality", "unit", "shape_t", "shape_c",
    "shape_z", "shape_y", "shape_x", "spacing_z_mm", "spacing_y_mm", "spacing_x_mm", "repairs",
)  # fmt: skip
LESION_COLUMNS = (
    "session", "t", "lesion_id", "volume_mm3", "longest_axis_mm", "mean_intensity", "max_intensity",
    "centroid_x_mm", "centroid_y_mm", "centroid_z_mm",
)  # fmt: skip
EVOLUTION_COLUMNS = (
    "from_session", "to_session", "lesion_id", "change", "volume_from_mm3", "volume_to_mm3",
    "volume_change_fraction", "displacement_mm", "linked_ids", "registered",
)  # fmt: skip


def subject_sections(data: ReportData, subject: str) -> Iterable[Section]:
    """Build the page of one subject, failures first."""
    yield failures_section(data.rows("failures", subject=subject), {})
    scans = data.rows("scans", subject=subject)
    told = "Scans of this subject."
    table = listing("scans", scans, SCAN_COLUMNS, (told, "the manifest names no scan of it."))
    blocks: list[Block] = [table]
    if data.manifest_trouble is not None:
        lead = "The manifest cannot be read any more, so no truth is drawn."
        blocks.append(Notice(data.manifest_trouble, "warn", lead))
    yield Section("scans", "Scans", tuple(blocks))
    protocols = [p for p in data.protocols if any(r["protocol"] == p for r in scans)]
    for number, protocol in enumerate(protocols):
        yield _protocol(data, subject, protocol, f"p{number}")


def _protocol(data: ReportData, subject: str, protocol: str, prefix: str) -> Section:
    scans = data.scans_of(subject, protocol)
    parts = (
        _lesions(data, scans, protocol, prefix),
        masks_section(data, scans, protocol, prefix),
        registration_section(data, scans, protocol, prefix),
        _areas(data, scans, protocol, prefix),
        signatures_section(data, scans, protocol, prefix),
        _truth(data, subject, protocol, prefix),
    )
    return Section(prefix, f"Protocol {protocol}", parts)


def _lesions(data: ReportData, scans: list[Row], protocol: str, prefix: str) -> Section:
    subject = scans[0]["subject"]
    lesions = data.rows("lesions", protocol=protocol, subject=subject)
    evolution = data.rows("evolution", protocol=protocol, subject=subject)
    target = data.protocol(protocol).teacher.target
    method = data.protocol(protocol).segment
    blocks: list[Block] = [*doubts(data.teacher(protocol), (target,))]
    blocks.append(Text(
        f"Lesions are the connected parts of the target class “{target}” as the "
        f"{'student' if method == 'student' else 'direct transfer of the SOM'} outlines it; one id is one "
        "lesion over all sessions."
    ))  # fmt: skip
    if any(_is_4d(s) for s in scans):
        blocks.append(Text("4D scans are compared over sessions at time index 0."))
    if data.is_unfinished:
        blocks.append(Notice("Lesions that are not yet followed are missing here.", "warn",
                             "The run is not finished."))  # fmt: skip
    blocks += _over_time(scans, lesions, evolution, prefix)
    order = {s["session"]: place for place, s in enumerate(scans)}
    evolution = sorted(evolution, key=lambda r: (r["lesion_id"], order.get(r["to_session"], 0)))
    lesions = sorted(lesions, key=lambda r: (r["lesion_id"], order.get(r["session"], 0), r["t"]))
    told = "Change of every lesion between consecutive sessions."
    why = "there is only one session, or no lesion was found in any."
    blocks.append(listing("evolution", evolution, EVOLUTION_COLUMNS, (told, why)))
    told = "Every lesion in every session (centroids in patient LPS coordinates)."
    blocks.append(listing("lesions", lesions, LESION_COLUMNS, (told, "no lesion was found.")))
    return Section(f"{prefix}-lesions", "Lesions over time", tuple(blocks))


def _is_4d(scan: Row) -> bool:
    return (scan["shape_t"] or 1) > 1


def _over_time(scans: list[Row], lesions: Rows, evolution: Rows, prefix: str) -> Iterable[Block]:
    done = [s for s in scans if s["status"] == "done"]
    first = [r for r in lesions if r["t"] == 0]
    if len(done) < 2:
        yield Text("Nothing to show over time: this subject has fewer than two done sessions here.")
        return
    if not first:
        yield Text("Nothing to show over time: no lesion was found in any session.")
        return
    time = TimeAxis.of(done)
    markup = lesion_volumes(first, evolution, time, f"{prefix}-volumes")
    told = (
        "Volume of every lesion by session, one line per lesion id; marks tell the kind of change found "
        "at that session, dotted lines lead to or from “not there”."
    )
    yield Gallery((Picture(markup, told, "Lesion volumes over time."),), "large")
    if any(not r["registered"] for r in evolution):
        told = "Some sessions were not registered to each other; lesions there were compared as they lie."
        yield Notice(told, "warn", "Compare with care.")
    yield Details("What the kinds of change mean", (_kinds(evolution),))


def _kinds(evolution: Rows) -> Table:
    heads = (Heading("change"), Heading("meaning"), Heading("found", "", "times", True))
    body = tuple(
        (Cell(kind), Cell(meaning), Cell(str(sum(r["change"] == kind for r in evolution))))
        for kind, (_, meaning) in CHANGES.items()
    )
    return Table("Kinds of change between consecutive sessions.", heads, body, "")


def _areas(data: ReportData, scans: list[Row], protocol: str, prefix: str) -> Section:
    teacher = data.teacher(protocol)
    pictures = [] if teacher is None else _area_pictures(data, scans, teacher, prefix)
    blocks: tuple[Block, ...]
    if teacher is None or not pictures:
        blocks = (Text("Nothing to show: no scan of this protocol carries a class map yet."),)
    else:
        blocks = (
            *doubts(teacher, teacher.class_names.values()),
            Gallery(tuple(pictures), "chart"),
            class_key(teacher),
        )
    return Section(f"{prefix}-areas", "Classes along z", blocks)


MOST_AREA_PICTURES = 8


def _area_pictures(
    data: ReportData, scans: list[Row], teacher: TeacherModel, prefix: str
) -> list[Picture]:
    pictures = []
    for number, scan in enumerate(scans[:MOST_AREA_PICTURES]):
        rows = data.rows("areas", protocol=scan["protocol"], subject=scan["subject"],
                         session=scan["session"], t=0)  # fmt: skip
        where = f"session {scan['session']}" + (" at time index 0" if _is_4d(scan) else "")
        picture = areas_picture(rows, teacher, where, f"{prefix}-areas{number}")
        if picture is not None:
            pictures.append(picture)
    return pictures


def _truth(data: ReportData, subject: str, protocol: str, prefix: str) -> Section:
    rows = data.rows("truth", protocol=protocol, subject=subject)
    told = "Scores of this subject's scans, both methods."
    why = "no scan of this subject names a truth mask, or none is scored yet."
    table = listing("truth", rows, TRUTH_COLUMNS, (told, why))
    blocks: tuple[Block, ...] = (TRUTH, table) if rows else (table,)
    return Section(f"{prefix}-truth", "Against the reference truth", blocks)
