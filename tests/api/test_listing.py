"""A run asked for by name: what it holds, what is near a name that it does not hold, how it looks."""

import json

import pytest

import somray
from somray.api.run import Run
from somray.domain.run import RunLayout
from somray.domain.tables import ScanRow
from somray.errors import StoreError
from tests.report.small_run import PROTOCOL, build


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return build(tmp_path_factory.mktemp("listing"))


@pytest.fixture
def run(small):
    return somray.open_run(small.root)


def test_a_run_tells_what_it_holds(run):
    assert run.subjects == ["s01", "s02"]
    assert run.sessions("s01") == ["t0", "t1"]
    assert PROTOCOL in run.protocols
    assert {"evolution", "scans", "truth"} <= set(run.tables)
    assert list(run.scans["session"]) == ["t0", "t1", "t0"]
    assert {"aligned", "sessions", "subjects", "tables", "scan"} <= set(dir(run))


@pytest.mark.parametrize(
    ("ask", "answer"),
    [(lambda r: r.table("evolutions"), "no table 'evolutions', did you mean 'evolution'"),
     (lambda r: r.scan("s1", "t0"), "no subject 's1', did you mean 's01'. There are s01, s02"),
     (lambda r: r.scan("s01", "T1"), "s01 has no session 'T1', did you mean 't1'. There are t0, t1"),
     (lambda r: r.scan("s01"), r"s01 has sessions t0, t1: say which, for example run.scan\('s01', 't0'\)"),
     (lambda r: r.sessions("S01"), "did you mean 's01'"), (lambda r: r.aligned("s1", "t0"), "'s01'"),
     (lambda r: r.teacher("chest"), "no protocol 'chest', did you mean 'chest-ct'"),
     (lambda r: r.student("x"), "no protocol 'x'. There are"),
     (lambda r: r.scan("s02", "t0"), r"s02 t0 was set aside: \[")],
)  # fmt: skip
def test_a_wrong_name_is_answered_with_the_nearest(run, ask, answer):
    with pytest.raises(StoreError, match=answer):
        ask(run)


def test_an_unknown_table_is_a_key_error_too_and_reads_as_it_is(run):
    with pytest.raises(KeyError) as caught:
        run.table("lesion")
    assert str(caught.value).startswith("no table 'lesion', did you mean 'lesions'?")


def test_the_only_session_need_not_be_named(small, run):
    with pytest.raises(StoreError, match="s02 t0 was set aside"):
        run.scan("s02")


def test_a_folder_that_is_no_run_says_where_one_may_be(small, tmp_path):
    with pytest.raises(StoreError, match="there is no such folder"):
        somray.open_run("nonexisting")
    with pytest.raises(StoreError, match="a file; a run is a folder"):
        somray.open_run(small.root / RunLayout.info)
    for near in (small.root.parent, small.root / "tables"):
        with pytest.raises(StoreError, match=f"did you mean {small.root}"):
            somray.open_run(near)
    with pytest.raises(StoreError, match=r"no run of somray \(there is no run.json\)"):
        somray.open_run(tmp_path)
    with pytest.raises(StoreError, match="takes the path or URL of a run, got NoneType"):
        somray.open_run(None)


def test_a_run_says_how_far_it_is(run):
    assert repr(run).startswith(
        f"Run {run.root}: running, 1 unit left; 2 subjects, 3 scans, 1 set aside"
    )


def test_a_notebook_shows_subjects_by_sessions_those_with_faults_first(run):
    html = run._repr_html_()
    assert html.index("s02") < html.index("s01<")
    assert "quarantined: " in html
    assert "done, 6×48×56" in html
    assert "<script" not in html


def test_headers_show_as_text_and_large_cohorts_are_cut(tmp_path):
    run = build(tmp_path)
    rows = [
        ScanRow(
            f"<script>{n}", "t0", "p", 1, 1, 4, 4, 4, 1.0, 1.0, 1.0, "CT", "HU", None, None, "done"
        )
        for n in range(60)
    ]
    run.rows("scans", PROTOCOL, rows)
    html = somray.open_run(run.root)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;1" in html
    assert "40 of 60 subjects" in html


def test_a_run_without_a_scan_yet_says_so(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({}))
    run = somray.open_run(tmp_path)
    assert run.subjects == []
    assert "No scan stands yet" in run._repr_html_()
    assert repr(run) == f"Run {tmp_path}: no scan stands yet"


def test_a_run_that_cannot_be_read_still_has_a_line(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "tables/scans/protocol=p").mkdir(parents=True)
    (tmp_path / "tables/scans/protocol=p/part.parquet").write_bytes(b"PAR1 and no more")
    assert repr(somray.open_run(tmp_path)).startswith(f"Run {tmp_path}: not readable (")
    assert repr(Run("s3://bucket/run")) == "Run s3://bucket/run"
