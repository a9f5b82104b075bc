"""The table of subjects: worst first for a declared reason, small pictures, pages where subjects are many."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from somray.report import pages
from somray.report.data import ReportData
from somray.report.data.cohort import CONCERNS, Concern, subject_facts
from somray.report.drawing.blocks import Section
from somray.report.drawing.thumbnails import MOST_BYTES
from somray.report.pages import write_report
from somray.report.texts.attention import ORDER_TOLD, attention, concern_told

from .small_run import PROTOCOL, SmallRun
from .test_pages import section


def test_subjects_are_summed_up_as_their_tables_say(small_run: SmallRun):
    first, second = subject_facts(ReportData(str(small_run.root)))
    assert (first.name, first.done, first.scans, first.lesions) == ("s01", 2, 2, 2)
    assert (first.first_ml, first.last_ml) == pytest.approx((0.7, 1.39))
    assert first.changes == {"enlarging": 1, "new": 1}
    assert [(c.kind, c.count) for c in first.concerns] == [("drifted", 1), ("slices", 1)]
    assert (second.lesions, second.first_ml, second.failures) == (None, None, 1)
    assert second.concerns == (Concern("failed", 1, ("truncated",)),)
    assert second.gravity < first.gravity


def test_the_reason_stands_beside_the_subject_with_a_small_picture(small_run: SmallRun):
    table = section(small_run.page(), "subjects")
    assert "teacher may not carry over: t1; 1 slice pair not aligned" in table
    assert "failed: truncated" in table
    (picture,) = re.findall(r'<img class="thumbnail" src="([^"]+)" alt="([^"]+)"', table)
    assert picture[0].startswith("data:image/webp;base64,")
    assert len(picture[0]) <= MOST_BYTES
    assert picture[1] == "Subject s01, session t1: slice 2, with the most target."
    assert 'loading="lazy"' not in table  # what was never scrolled to would be missing on paper
    assert 'data-worst="2"' in table


def test_concerns_sort_by_their_kind_then_by_how_much():
    cells = [attention((Concern(kind, n, ("t1",)),)) for kind in CONCERNS for n in (9, 2, 1)]
    order = [cell.sort for cell in [*cells, attention(())]]
    assert order == sorted(order)
    assert len(set(order)) == len(order)
    assert all(concern_told(Concern(kind, 3, ("a",))) for kind in CONCERNS)
    assert ORDER_TOLD.startswith("Worst first")


def test_many_subjects_are_paged_and_the_index_lists_the_worst(
    small_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = SmallRun(tmp_path / "run")
    shutil.copytree(small_run.root, run.root)
    monkeypatch.setattr(pages, "PER_PAGE", 1)
    # Other tests look at these.
    monkeypatch.setattr(pages, "_subject", lambda data, name: iter(()))
    monkeypatch.setattr(pages, "_write_method", lambda protocol, root: None)
    written = write_report(str(run.root))
    assert written[:3] == [f"report/{n}.html" for n in ("index", "subjects-1", "subjects-2")]
    index = section(run.page(), "subjects")
    assert index.index("s02</a>") < index.index("teacher may not carry over")
    assert 'href="subjects-2.html">s02 to s02</a>' in index
    assert "s02" not in section(run.page("subjects-1.html"), "subjects")
    monkeypatch.setattr(pages, "PER_PAGE", 250)
    write_report(str(run.root))
    assert not (run.root / "report/subjects-1.html").exists()


def test_a_report_goes_on_where_it_stopped_and_follows_what_changed(
    small_run: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, made = SmallRun(tmp_path / "run"), []
    shutil.copytree(small_run.root, run.root)

    def drawn(data: ReportData, name: str) -> Iterator[Section]:
        made.append(name)
        return iter(())

    monkeypatch.setattr(pages, "_subject", drawn)
    monkeypatch.setattr(pages, "_write_method", lambda protocol, root: None)
    before = run.page()
    write_report(str(run.root))
    assert made == []  # pages, and so the small pictures, are as they were
    assert run.page() == before
    (run.root / "report/sub-s02.html").unlink()
    write_report(str(run.root))
    assert made == ["s02"]
    run.rows("drift", PROTOCOL, [])
    write_report(str(run.root))
    assert made == ["s02", "s01"]


def test_subjects_are_spread_over_workers_before_they_share_tables():
    few, many = (pages._batches([f"s{n:04d}" for n in range(count)]) for count in (8, 2500))
    assert [len(b.names) for b in few] == [1] * 8
    assert max(len(b.names) for b in many) == 16
    assert sum(len(b.names) for b in many) == 2500
    assert (few[0].before, few[0].after, few[7].before, few[7].after) == (
        None, "s0001", "s0006", None,
    )  # fmt: skip
