"""The report: one self-contained page for the cohort and one per subject.

Nothing is fetched: no outside script or font, no link but those between the pages. Our own scripts are named
by their digests, so that no other can run; without them everything is still there to read. Every text is
escaped by the templates; the same run gives the same bytes.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from somray.domain.run import RunLayout
from somray.domain.work import MIB, WORKER_BYTES, Mapper, Needs
from somray.report.data import ReportData, SubjectData, SubjectLesions
from somray.report.drawing.blocks import Block, Notice, Section
from somray.report.drawing.table import rows_table
from somray.report.sections.burden import burden_section, cohort_burden_section
from somray.report.sections.classes import areas_section, signatures_section
from somray.report.sections.cohort import (
    failures_section,
    glance,
    subjects_section,
    what_ran_section,
)
from somray.report.sections.lesions import lesions_section
from somray.report.sections.masks import masks_section
from somray.report.sections.objects import objects_section
from somray.report.sections.particles import particles_section
from somray.report.sections.registration import registration_section
from somray.report.sections.student import student_section
from somray.report.sections.teacher import teacher_section
from somray.report.sections.truth import cohort_truth_section, truth_section

__all__ = ["write_report"]

SCAN_COLUMNS = (
    "session", "protocol", "status", "days", "path", "modality", "unit", "shape_t", "shape_c",
    "shape_z", "shape_y", "shape_x", "spacing_z_mm", "spacing_y_mm", "spacing_x_mm", "repairs",
)  # fmt: skip


PAGE_BYTES = WORKER_BYTES + 400 * MIB
"""What a page takes while it is made: pictures of a few scans, the run's tables."""


def _here(
    function: Callable[[Any, Any], Any], items: Sequence[Any], shared: object, needs: Needs
) -> list[Any]:  # Any: parts
    return [function(item, shared) for item in items]


_IN_ORDER = Mapper(_here)


def write_report(root: str, mapper: Mapper = _IN_ORDER) -> list[str]:
    """Read a run and write its report, replacing an earlier one page by page; pages of no subject leave.

    Args:
        root: path or fsspec URL of the run, finished or not.
        mapper: spreads the pages, each a part of its own; one after the other in this process if left out.

    Returns:
        Names of the pages inside the run, the cohort's first.

    Raises:
        StoreError: the run cannot be read or the pages cannot be written.
    """
    data = ReportData(root)
    subjects = sorted({str(r["subject"]) for r in data.rows("scans")})
    pages = mapper.run(_write_page, [None, *subjects], root, Needs(memory_bytes=PAGE_BYTES))
    data.remove_pages_but(pages)
    return pages


def _write_page(subject: str | None, root: str) -> str:
    """Write the page of one subject, or the cohort's; return its name."""
    data = ReportData(root)
    if subject is None:
        data.storage.write_text(RunLayout.report_index, _index(data))
        return RunLayout.report_index
    name, sections = RunLayout.report_subject(subject), tuple(_subject(data, subject))
    data.storage.write_text(name, _page(f"Subject {subject}", (), sections, "index.html"))
    return name


def _index(data: ReportData) -> str:
    """Build the cohort's page, failures first."""
    subjects = sorted({str(r["subject"]) for r in data.rows("scans")})
    hrefs = {s: quote(RunLayout.report_subject(s).rsplit("/", 1)[-1]) for s in subjects}
    sections = [failures_section(data.rows("failures"), hrefs)]
    for number, protocol in enumerate(data.protocols):
        prefix = f"p{number}"
        parts = (
            teacher_section(protocol, prefix),
            student_section(protocol, prefix),
            cohort_burden_section(protocol, prefix, hrefs),
            cohort_truth_section(protocol, prefix),
        )
        sections.append(Section(prefix, f"Protocol {protocol.protocol}", parts))
    sections += [subjects_section(data, hrefs), what_ran_section(data)]
    return _page("Cohort", glance(data), sections, "")


def _subject(data: ReportData, name: str) -> Iterator[Section]:
    """Build the page of one subject, failures first, units that belong to no session among them."""
    yield failures_section(data.rows("failures", subject=name), {})
    scans = data.rows("scans", subject=name)
    told, why = "Scans of this subject.", "the manifest names no scan of it."
    blocks: list[Block] = [rows_table("scans", scans, SCAN_COLUMNS, told, why)]
    if data.manifest_trouble is not None:
        lead = "The manifest cannot be read any more, so no truth is drawn."
        blocks.append(Notice(data.manifest_trouble, "warn", lead))
    yield Section("scans", "Scans", tuple(blocks))
    met = {r["protocol"] for r in scans}
    protocols = [p.protocol for p in data.protocols if p.protocol in met]
    for number, protocol in enumerate(protocols):
        subject, prefix = SubjectData(data, protocol, name), f"p{number}"
        lesions = SubjectLesions(subject)
        parts = (
            objects_section(subject, prefix),
            burden_section(subject, prefix),
            *particles_section(subject, lesions, prefix),
            lesions_section(subject, lesions, prefix),
            masks_section(subject, prefix),
            registration_section(subject, prefix),
            areas_section(subject, prefix),
            signatures_section(subject, prefix),
            truth_section(subject, prefix),
        )
        yield Section(prefix, f"Protocol {protocol}", parts)


def _page(title: str, head: Sequence[Block], sections: Sequence[Section], back: str) -> str:
    template = _environment().get_template("page.html")
    scripts = [_script("report.js")] + ([_script("viewer.js")] if back else [])
    return template.render(title=title, head=head, sections=sections, back=back, scripts=scripts)


@dataclass(frozen=True)
class _Script:
    """A script of ours and the digest that lets a browser run it and no other."""

    text: Markup
    digest: str


@cache
def _script(name: str) -> _Script:
    text = _own_file(name)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return _Script(Markup(text), digest)  # our own file


def _own_file(name: str) -> str:
    return resources.files("somray.report").joinpath(f"templates/{name}").read_text("utf-8")


@cache
def _environment() -> Environment:
    """Make the template environment: everything is escaped, an unknown name is an error."""
    environment = Environment(
        loader=PackageLoader("somray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = "".join(map(_own_file, ("style.css", "viewer.css")))
    environment.globals["style"] = Markup(style)  # our own files
    return environment
