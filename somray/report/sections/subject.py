"""A subject's page: its failures and scans, then protocol by protocol lesions, masks, registration, areas."""

from collections.abc import Iterable

from somray.domain.teacher import TeacherModel
from somray.report.data import ReportData, Row
from somray.report.drawing.blocks import (
    Block,
    Gallery,
    Notice,
    Picture,
    Section,
    Text,
)
from somray.report.drawing.listing import listing
from somray.report.notices import TRUTH, doubts
from somray.report.sections.burden import burden_section
from somray.report.sections.cohort import failures_section
from somray.report.sections.lesions import is_4d, lesions_section
from somray.report.sections.objects import objects_section
from somray.report.sections.registration import registration_section
from somray.report.sections.sessions import signatures_section
from somray.report.sections.slices import masks_section
from somray.report.sections.student import truth_table
from somray.report.sections.teacher import areas_picture, class_key

__all__ = ["subject_sections"]

SCAN_COLUMNS = (
    "session", "protocol", "status", "days", "path", "modality", "unit", "shape_t", "shape_c",
    "shape_z", "shape_y", "shape_x", "spacing_z_mm", "spacing_y_mm", "spacing_x_mm", "repairs",
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
        objects_section(data, scans, protocol, prefix),
        burden_section(data, scans, protocol, prefix),
        lesions_section(data, scans, protocol, prefix),
        masks_section(data, scans, protocol, prefix),
        registration_section(data, scans, protocol, prefix),
        _areas(data, scans, protocol, prefix),
        signatures_section(data, scans, protocol, prefix),
        _truth(data, subject, protocol, prefix),
    )
    return Section(prefix, f"Protocol {protocol}", parts)


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
        where = f"session {scan['session']}" + (" at time index 0" if is_4d(scan) else "")
        picture = areas_picture(rows, teacher, where, f"{prefix}-areas{number}")
        if picture is not None:
            pictures.append(picture)
    return pictures


def _truth(data: ReportData, subject: str, protocol: str, prefix: str) -> Section:
    rows = data.rows("truth", protocol=protocol, subject=subject)
    why = "no scan of this subject names a truth mask, or none is scored yet."
    table = truth_table(rows, "Scores of this subject's scans", why)
    blocks: tuple[Block, ...] = (TRUTH, table) if rows else (table,)
    return Section(f"{prefix}-truth", "Against the reference truth", blocks)
