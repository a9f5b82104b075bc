"""The pages of a whole small run: complete, escaped, self-contained, the same every time."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from somray.domain.run import RunLayout
from somray.report.pages import write_report
from somray.report.texts.citations import WORKS
from somray.report.texts.notices import NOT_ACCURACY

from .small_run import EVIL, IDLE, PROTOCOL, SmallRun

METHOD, IDLE_METHOD = f"method-{PROTOCOL}.html", f"method-{IDLE}.html"
PAGES = ("index.html", METHOD, IDLE_METHOD, "sub-s01.html", "sub-s02.html")
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Collects what the tests ask for and refuses unbalanced tags."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.figures: list[dict[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        self.links += [found[k] for k in ("href", "src", "xlink:href") if k in found]
        if tag == "figure":
            self.figures.append({"caption": "", "alt": ""})
        if tag == "svg" and "figure" in self.open and not self.figures[-1]["alt"]:
            self.figures[-1]["alt"] = found.get("aria-label", "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if "figcaption" in self.open:
            self.figures[-1]["caption"] += data


def section(page: str, anchor: str) -> str:
    """Return one section's HTML, sections inside it included."""
    start = page.index(f'<section id="{anchor}"')
    depth = 0
    for match in re.finditer(r"<section\b|</section>", page[start:]):
        depth += 1 if match[0] == "<section" else -1
        if depth == 0:
            return page[start : start + match.end()]
    raise AssertionError(f"section {anchor} is not closed")


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_balanced_and_every_id_stands_once(small_run: SmallRun, name: str):
    outline = Outline(small_run.page(name))
    assert len(outline.ids) == len(set(outline.ids))


@pytest.mark.parametrize("name", PAGES)
def test_pages_refer_to_nothing_outside_themselves(small_run: SmallRun, name: str):
    page = small_run.page(name)
    outline = Outline(page)
    for link in outline.links:
        own = ("#", "data:image/png;base64,", "data:image/webp;base64,", "data:image/jpeg;base64,")
        assert link.startswith(own) or link in PAGES
        if link.startswith("#"):
            assert link[1:] in outline.ids
    named = set(re.findall(r"https?://[^\"'\s<)}]+", page))
    cited = {work.link for work in WORKS.values()}  # as text, never as a link
    assert named <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"} | cited
    assert not re.search(r"@import|url\((?!#)", page)


@pytest.mark.parametrize("name", PAGES)
def test_text_from_scans_paths_and_messages_is_escaped(small_run: SmallRun, name: str):
    assert EVIL not in small_run.page(name)


def test_the_hostile_path_is_still_readable_as_text(small_run: SmallRun):
    assert EVIL in "".join(Outline(small_run.page("index.html")).words)
    assert EVIL in "".join(Outline(small_run.page("sub-s02.html")).words)


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_has_a_caption_and_a_text_for_the_blind(small_run: SmallRun, name: str):
    for figure in Outline(small_run.page(name)).figures:
        assert figure["caption"].strip().endswith(".")
        assert len(figure["alt"]) > 10


def test_failures_stand_first_with_code_meaning_and_message(small_run: SmallRun):
    page = small_run.page()
    assert page.index('<section id="failures"') == page.index("<section ")
    failures = section(page, "failures")
    for told in ("truncated", "the file ends before its pixels do", "copy it again", "s02"):
        assert told in failures


def test_the_index_holds_every_section_of_a_protocol(small_run: SmallRun):
    page = small_run.page()
    for anchor in ("failures", "attention", "subjects", "p0-burden", "p0-health", "p0-method", "p0-truth",
                   "p1-method", "cost", "what-ran"):  # fmt: skip
        assert section(page, anchor)


def test_a_method_page_holds_teacher_student_words_and_configuration(small_run: SmallRun):
    page = small_run.page(METHOD)
    teacher = section(page, "method-teacher")
    assert teacher.count("Radar plot of class") == 4
    for told in ("Class map of", "its mean is the highest of all", "Stacked shares", "Heat map"):
        assert told in teacher
    student = section(page, "method-student")
    for told in ("Converged.", "baseline: A copied", "control: A alone", "ΔIoU", "Training loss"):
        assert told in student
    assert "did not help" in student  # the control of the last round is better than the student


def test_what_the_cohorts_round_did_is_told_beside_the_verdict_of_the_slices(small_run: SmallRun):
    student = section(small_run.page(METHOD), "method-student")
    assert "In round 2 (A+B) ΔIoU = +0.0010" in student
    assert "Then the cohort taught it, and it agrees with the SOM on these slices" in student
    assert "to a mean IoU of 0.710" in student
    assert "only a truth can tell" in student
    assert "Scans that teach its last round: 2." in student
    assert "off by 0.0310 on average before, by 0.0060 after" in student
    assert "round 3 (cohort)" in student
    assert "All 6 comparisons, slice by slice" in student


def test_a_subject_page_holds_every_section(small_run: SmallRun):
    page = small_run.page("sub-s01.html")
    for anchor in ("failures", "scans", "p0-lesions", "p0-masks", "p0-sessions", "p0-slices",
                   "p0-areas", "p0-truth"):  # fmt: skip
        assert section(page, anchor)
    masks = section(page, "p0-masks")
    for told in ("soft tissue", "lung", "bone", "reference truth", "SOM, direct transfer", " mm"):
        assert told in masks
    lesions = section(page, "p0-lesions")
    assert "Volumes of 2 lesions over 2 sessions; changes: 1 new, 1 enlarging" in lesions
    assert "+86 %" in lesions
    assert "2 lesions over 2 sessions; links between them: 1" in lesions


def test_scores_of_the_union_come_first_and_lone_labels_are_not_repeated(small_run: SmallRun):
    index = section(small_run.page(), "p0-truth")
    assert "lesions (objects), mean 0.92" in index or "lesions (objects) mean 0.92 over 2" in index
    for name in ("index.html", "sub-s01.html"):
        told = section(small_run.page(name), "p0-truth")
        rows = [row for row in told.split("<tr") if ">t0<" in row or ">t1<" in row]
        assert sum(">union<" in row for row in rows) == 6
        assert len(rows) == 6 + 6  # t1 alone has several labels: each with three methods


def test_agreement_is_never_shown_without_the_warning(small_run: SmallRun):
    for name, anchor in (
        ("index.html", "p0-method"),
        (METHOD, "method-student"),
        ("sub-s01.html", "p0-masks"),
    ):
        assert NOT_ACCURACY.text in section(small_run.page(name), anchor)
        assert "not accuracy" in section(small_run.page(name), anchor)


def test_a_doubtful_class_is_doubted_wherever_it_is_shown(small_run: SmallRun):
    places = [("index.html", "attention"), (METHOD, "method-teacher")]
    places += [("sub-s01.html", a) for a in ("p0-lesions", "p0-masks", "p0-areas")]
    for name, anchor in places:
        assert "On CT alone dense tissue looks the same." in section(small_run.page(name), anchor)


def test_anatomy_and_change_are_never_mixed(small_run: SmallRun):
    page = small_run.page("sub-s01.html")
    sessions, slices = section(page, "p0-sessions"), section(page, "p0-slices")
    assert "change since the earlier session" in sessions
    assert "anatomy" not in sessions
    assert "what is left after it is anatomy" in slices
    assert "what is left after it is change" not in slices


def test_a_refused_pair_is_named_with_its_reason(small_run: SmallRun):
    slices = section(small_run.page("sub-s01.html"), "p0-slices")
    assert "1 pair refused:" in slices
    assert "too few matches" in slices


def test_what_is_empty_says_so_and_why(small_run: SmallRun):
    places = [("index.html", a) for a in ("p1-burden", "p1-health", "p1-method", "p1-truth")]
    places += [(IDLE_METHOD, "method-teacher"), (IDLE_METHOD, "method-student")]
    for name, anchor in places:
        told = section(small_run.page(name), anchor)
        assert "Nothing to show" in told or "has no teacher" in told
    assert section(small_run.page("sub-s02.html"), "p0").count("Nothing to show") >= 5


def test_the_same_run_gives_the_same_bytes(small_run: SmallRun):
    before = {name: small_run.page(name) for name in PAGES}
    shutil.rmtree(
        small_run.root / RunLayout.report_records
    )  # or what has not changed is not made again
    write_report(str(small_run.root))
    assert {name: small_run.page(name) for name in PAGES} == before


def test_a_report_written_as_the_runs_last_act_is_not_called_unfinished(small_run: SmallRun):
    assert "State:" not in small_run.page()
    assert "2026-09-21" in section(small_run.page(), "what-ran")


def test_an_unfinished_run_and_a_lost_manifest_are_reported(small_run: SmallRun, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(small_run.root, root)
    other = SmallRun(root)
    stages = [{"stage": "segment", "done": 1, "left": 2, "failed": 0}]
    state = {"state": "running", "left": 3, "failed": 1, "stages": stages}
    other.storage.write_text(RunLayout.state, json.dumps(state))
    config = other.storage.read_text(RunLayout.config)
    other.storage.write_text(RunLayout.config, config.replace("scans.csv", "lost.csv"))
    for table in ("agreement", "convergence", "training", "evolution", "lesions"):
        other.rows(table, PROTOCOL, [])
    written = write_report(str(root))
    assert written == [f"report/{name}" for name in PAGES]
    assert "State: running." in other.page()
    assert "no round of this protocol" in section(other.page(), "p0-method")
    subject = other.page("sub-s01.html")
    assert "no truth is drawn" in subject
    assert "reference truth" not in section(subject, "p0-masks")
    assert "no lesion was found" in section(subject, "p0-lesions")


def test_a_run_that_has_only_begun_gives_an_index(tmp_path):
    run = SmallRun(tmp_path / "run")
    config = f"scans: none.csv\noutput: {run.root}\nprotocols: {{{IDLE}: {{segment: som}}}}\n"
    run.storage.write_text(RunLayout.config, config)
    run.storage.write_text(RunLayout.info, "{}")
    assert write_report(str(run.root)) == ["report/index.html", f"report/{IDLE_METHOD}"]
    assert "asks for no student" in run.page()
    assert "the manifest names no scan" in run.page()


def test_what_is_left_is_told_inside_lesions_and_outside_for_each_kind(small_run: SmallRun):
    page = small_run.page("sub-s01.html")
    sessions, slices = page.split('id="p0-slices"')
    assert "what is left after registration is change" in sessions
    assert "88.00" in sessions  # inside the lesion, before
    assert "14.00" in sessions  # outside, after
    assert "what is left after registration is anatomy" in slices
    assert "88.00" not in slices


def test_a_chain_tells_its_drift_and_what_it_did_not_align(small_run: SmallRun):
    page = small_run.page("sub-s01.html").split('id="p0-slices"')[1]
    assert "chain of 6 slices: 4 ok, 1 repaired, 1 refused; largest drift 0.800 mm" in page
    assert "1 slice not aligned:" in page
    assert "1 not aligned" in page  # the chart says it too
