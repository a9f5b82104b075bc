"""The report: a page for the cohort, one per protocol's method, one per subject; of many subjects lists of them.

Nothing is fetched: no outside script or font, no link but those between the pages. Our own scripts are named
by their digests, so that no other can run; without them everything is still there to read. Every text is
escaped by the templates; the same run gives the same bytes.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from somray.domain.run import RunLayout
from somray.domain.work import MIB, WORKER_BYTES, Mapper, Needs
from somray.report.data import ProtocolData, ReportData, SubjectData, SubjectLesions
from somray.report.data.cohort import SubjectFacts, subject_facts
from somray.report.data.kept import keep, kept, page_digest
from somray.report.drawing.blocks import Block, PageLink, Section, Thumbnail, with_settings
from somray.report.figures.cohort.thumbnail import subject_thumbnail
from somray.report.sections.burden import burden_section
from somray.report.sections.classes import areas_section, signatures_section
from somray.report.sections.cohort.attention import attention_section
from somray.report.sections.cohort.change import change_section
from somray.report.sections.cohort.cost import cost_section
from somray.report.sections.cohort.failures import failures_section
from somray.report.sections.cohort.glance import glance, what_ran_section
from somray.report.sections.cohort.health import health_section
from somray.report.sections.cohort.protocol import protocol_summary
from somray.report.sections.cohort.subjects import subjects_section, worst_section
from somray.report.sections.lesions import lesions_section
from somray.report.sections.masks import masks_section
from somray.report.sections.method.encoder import encoder_sections
from somray.report.sections.method.student import student_section
from somray.report.sections.method.teacher import teacher_section
from somray.report.sections.method.words import configuration_section, words_section
from somray.report.sections.objects import objects_section
from somray.report.sections.particles import particles_section
from somray.report.sections.registration import registration_section
from somray.report.sections.scans import scans_section
from somray.report.sections.truth import cohort_truth_section, truth_section
from somray.report.sections.viewer import viewer_section
from somray.report.texts.foreign import foreign_notice

__all__ = ["write_report"]

PAGE_BYTES = WORKER_BYTES + 400 * MIB
"""What a page takes while it is made: pictures of a few scans, the run's tables."""

PER_PAGE = 250  # subjects of one list
MOST_TOGETHER = 16  # subjects whose pages are one part: the run's tables are read once for them
PARTS = 32  # that pages of subjects are spread over at least, where there are so many subjects

Pictures = Mapping[str, Thumbnail | None]


def _here(
    function: Callable[[Any, Any], Any], items: Sequence[Any], shared: object, needs: Needs
) -> list[Any]:  # Any: parts
    return [function(item, shared) for item in items]


_IN_ORDER = Mapper(_here)


@dataclass(frozen=True)
class _Batch:
    """Subjects whose pages are made together, and their neighbours in the order of names."""

    names: tuple[str, ...]
    before: str | None = None
    after: str | None = None


def write_report(root: str, mapper: Mapper = _IN_ORDER) -> list[str]:
    """Read a run and write its report, replacing an earlier one page by page; pages of no subject leave.

    Pages of protocols and subjects are parts of their own; the cohort's page comes last, since it shows small
    pictures that the subjects' pages gave.

    Args:
        root: path or fsspec URL of the run, finished or not.
        mapper: spreads the parts; one after the other in this process if left out.

    Returns:
        Names of the pages inside the run, the cohort's first.

    Raises:
        StoreError: the run cannot be read or the pages cannot be written.
    """
    data = ReportData(root)
    names = sorted({str(r["subject"]) for r in data.rows("scans")})
    needs = Needs(memory_bytes=PAGE_BYTES)
    protocols = list(data.config.protocols)
    drawn = mapper.run(_write_part, [*protocols, *_batches(names)], root, needs)
    pictures = {name: picture for part in drawn for name, picture in part.items()}
    (cohort,) = mapper.run(_write_cohort, [names], (root, pictures), needs)
    methods = map(RunLayout.report_method, protocols)
    pages = [*cohort, *methods, *map(RunLayout.report_subject, names)]
    data.remove_pages_but(pages, [RunLayout.report_record(s) for s in names])
    return pages


def _batches(names: Sequence[str]) -> list[_Batch]:
    """Cut the subjects into parts: few where they are few, so that all workers have something to do."""
    size = max(1, min(MOST_TOGETHER, len(names) // PARTS))
    around = [None, *names, None]
    return [
        _Batch(tuple(names[n : n + size]), around[n], around[min(n + size, len(names)) + 1])
        for n in range(0, len(names), size)
    ]


def _write_part(part: str | _Batch, root: str) -> Pictures:
    """Write a protocol's page or those of some subjects; return the subjects' small pictures."""
    if isinstance(part, _Batch):
        return _write_subjects(part, root)
    _write_method(part, root)
    return {}


def _write_method(protocol: str, root: str) -> None:
    """Write the method page of one protocol."""
    data = ReportData(root)
    own = ProtocolData(data, protocol)
    fitted = (
        ()
        if data.foreign
        else (
            teacher_section(own, "method"),
            student_section(own, "method"),
            *encoder_sections(own, "method"),
        )
    )
    sections = (*fitted, words_section(own), configuration_section(own))
    name = RunLayout.report_method(protocol)
    data.storage.write_text(name, _page(f"Method of {protocol}", _whose(data), sections, [_COHORT]))


def _write_subjects(batch: _Batch, root: str) -> Pictures:
    """Write the pages of some subjects; return their small pictures, made of what the pages read."""
    data = ReportData(root, batch.names)
    around = [batch.before, *batch.names, batch.after]
    pictures = {}
    for name, before, after in zip(batch.names, around, around[2:], strict=False):
        links = [_COHORT, *_methods(data, name), *_neighbours(before, after)]
        pictures[name] = _write_subject(data, name, links)
        data.forget_scans()
    return pictures


def _write_subject(data: ReportData, name: str, links: Sequence[PageLink]) -> Thumbnail | None:
    """Write a subject's page, unless it stands and nothing on it has changed; return its small picture."""
    digest = page_digest(data, name, repr(links))
    known = kept(data, name, digest)
    if known is not None:
        return Thumbnail(**known) if known else None
    sections = tuple(_subject(data, name))
    text = _page(f"Subject {name}", _whose(data), sections, links, viewer=True)
    data.storage.write_text(RunLayout.report_subject(name), text)
    picture = subject_thumbnail([SubjectData(data, p, name) for p in _met(data, name)])
    keep(data, name, digest, {} if picture is None else asdict(picture))
    return picture


def _write_cohort(names: Sequence[str], shared: tuple[str, Pictures]) -> list[str]:
    """Write the cohort's page, and where subjects are many lists of them; return their names."""
    root, pictures = shared
    data = ReportData(root)
    facts, hrefs = subject_facts(data), {s: _href(RunLayout.report_subject(s)) for s in names}
    starts = range(0, len(facts), PER_PAGE) if len(facts) > PER_PAGE else ()
    pages = {
        RunLayout.report_subjects(n): facts[start : start + PER_PAGE]
        for n, start in enumerate(starts, 1)
    }
    links = [PageLink(f"{own[0].name} to {own[-1].name}", _href(n)) for n, own in pages.items()]
    for number, (name, own) in enumerate(pages.items()):
        near = [PageLink("Subjects before", links[number - 1].href)] if number else []
        near += (
            [PageLink("Subjects after", links[number + 1].href)] if number + 1 < len(links) else []
        )
        title = f"Subjects {links[number].label}"
        sections = (subjects_section(own, hrefs, pictures),)
        data.storage.write_text(name, _page(title, _whose(data), sections, [_COHORT, *near]))
    index = _index(data, facts, hrefs, pictures, links)
    data.storage.write_text(RunLayout.report_index, index)
    return [RunLayout.report_index, *pages]


_COHORT = PageLink("Cohort", RunLayout.report_index.rsplit("/", 1)[-1])


def _whose(data: ReportData) -> tuple[Block, ...]:
    """Say on every page where masks are not somray's own."""
    notice = foreign_notice(data.foreign)
    return () if notice is None else (notice,)


def _href(page: str) -> str:
    """Return the address of a page, from another."""
    return quote(page.rsplit("/", 1)[-1])


def _met(data: ReportData, subject: str) -> list[str]:
    """Name the protocols that a subject has scans of, in the configuration's order."""
    met = {r["protocol"] for r in data.rows("scans", subject=subject)}
    return [p.protocol for p in data.protocols if p.protocol in met]


def _methods(data: ReportData, subject: str) -> list[PageLink]:
    names = _met(data, subject)
    return [PageLink(f"Method of {p}", _href(RunLayout.report_method(p))) for p in names]


def _neighbours(before: str | None, after: str | None) -> list[PageLink]:
    found = ((f"← {before}", before), (f"{after} →", after))
    return [
        PageLink(told, _href(RunLayout.report_subject(s))) for told, s in found if s is not None
    ]


def _index(
    data: ReportData,
    facts: Sequence[SubjectFacts],
    hrefs: Mapping[str, str],
    pictures: Pictures,
    lists: Sequence[PageLink],
) -> str:
    """Build the cohort's page, failures first."""
    shown = facts, hrefs, pictures
    sections = [
        failures_section(data.rows("failures"), data.rows("notes"), hrefs),
        attention_section(data, facts, hrefs),
        worst_section(*shown, lists) if lists else subjects_section(*shown),
    ]
    methods = []
    for number, protocol in enumerate(data.protocols):
        prefix, method = f"p{number}", _href(RunLayout.report_method(protocol.protocol))
        methods.append(PageLink(f"Method of {protocol.protocol}", method))
        parts = (
            change_section(protocol, prefix, hrefs),
            health_section(protocol, prefix, hrefs),
            protocol_summary(protocol, prefix, method),
            cohort_truth_section(protocol, prefix),
        )
        sections.append(Section(prefix, f"Protocol {protocol.protocol}", parts))
    sections += [cost_section(data), what_ran_section(data)]
    return _page("Cohort", (*_whose(data), *glance(data)), sections, [_COHORT, *methods])


def _subject(data: ReportData, name: str) -> Iterator[Section]:
    """Build the page of one subject, failures first, units that belong to no session among them."""
    failed, notes = (data.rows(t, subject=name) for t in ("failures", "notes"))
    yield failures_section(failed, notes, {})
    yield scans_section(data.rows("scans", subject=name), data.manifest_trouble)
    for number, protocol in enumerate(_met(data, name)):
        subject, prefix = SubjectData(data, protocol, name), f"p{number}"
        lesions = SubjectLesions(subject)
        parts = (
            *viewer_section(subject, lesions, prefix),
            *(() if data.foreign else (objects_section(subject, prefix),)),
            burden_section(subject, prefix),
            *particles_section(subject, lesions, prefix),
            lesions_section(subject, lesions, prefix),
            masks_section(subject, prefix),
            registration_section(subject, prefix),
            *(() if data.foreign else _of_the_map(subject, prefix)),
            truth_section(subject, prefix),
        )
        yield Section(prefix, f"Protocol {protocol}", parts)


def _of_the_map(subject: SubjectData, prefix: str) -> tuple[Section, ...]:
    return areas_section(subject, prefix), signatures_section(subject, prefix)


def _page(
    title: str,
    head: Sequence[Block],
    sections: Sequence[Section],
    links: Sequence[PageLink],
    viewer: bool = False,
) -> str:
    """Lay a page out; `links` lead to other pages, `viewer` says whether scans are looked through on it."""
    template = _environment().get_template("page.html")
    scripts = [_script("report.js")] + ([_script("viewer.js")] if viewer else [])
    return template.render(title=title, head=head, sections=sections, links=links, scripts=scripts)


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
    environment.filters["told"] = with_settings
    environment.globals["style"] = Markup("".join(map(_own_file, ("style.css", "viewer.css"))))
    return environment
