"""The report: one self-contained page for the cohort and one per subject.

Nothing is fetched, nothing runs: no script, no outside font, no link but those between the pages. Every
text is escaped by the templates; the same run gives the same bytes.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from somray.domain.run import RunLayout
from somray.report.data import ReportData
from somray.report.drawing.blocks import Block, Section
from somray.report.sections.burden import cohort_burden_section
from somray.report.sections.cohort import (
    failures_section,
    glance,
    subject_hrefs,
    subjects_section,
    what_ran_section,
)
from somray.report.sections.student import student_section, truth_section
from somray.report.sections.subject import subject_sections
from somray.report.sections.teacher import teacher_section

__all__ = ["write_report"]


def write_report(root: str) -> list[str]:
    """Read a run and write its report, replacing an earlier one page by page.

    Args:
        root: path or fsspec URL of the run, finished or not.

    Returns:
        Names of the pages inside the run, the cohort's first.

    Raises:
        StoreError: the run cannot be read or the pages cannot be written.
    """
    data = ReportData(root)
    subjects = sorted({str(s) for s in data.frame("scans")["subject"]})
    hrefs = subject_hrefs(subjects)
    written = [RunLayout.report_index]
    data.storage.write_text(RunLayout.report_index, _index(data, hrefs))
    for subject in subjects:
        sections = tuple(subject_sections(data, subject))
        page = _page(f"Subject {subject}", (), sections, "index.html")
        name = RunLayout.report_subject(subject)
        data.storage.write_text(name, page)
        written.append(name)
    return written


def _index(data: ReportData, hrefs: dict[str, str]) -> str:
    sections = [
        failures_section(data.rows("failures"), hrefs),
        *_protocols(data, hrefs),
        subjects_section(data, hrefs),
        what_ran_section(data),
    ]
    return _page("Cohort", glance(data), sections, "")


def _protocols(data: ReportData, hrefs: dict[str, str]) -> Iterable[Section]:
    for number, protocol in enumerate(data.protocols):
        prefix = f"p{number}"
        parts = (
            teacher_section(data, protocol, prefix),
            student_section(data, protocol, prefix),
            cohort_burden_section(data, protocol, prefix, hrefs),
            truth_section(data, protocol, prefix),
        )
        yield Section(prefix, f"Protocol {protocol}", parts)


def _page(title: str, head: Sequence[Block], sections: Sequence[Section], back: str) -> str:
    template = _environment().get_template("page.html")
    return template.render(title=title, head=head, sections=sections, back=back)


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
    style = resources.files("somray.report").joinpath("templates/style.css").read_text("utf-8")
    environment.globals["style"] = Markup(style)  # our own file
    return environment
