"""What could not be done stands first on every page that it belongs to."""

from pathlib import Path

from somray.domain import tables as t
from somray.report.pages import write_report

from .objects_run import PROTOCOL, build
from .small_run import EVIL
from .test_pages import section


def test_a_unit_of_a_subject_alone_stands_on_the_subjects_page(tmp_path: Path):
    run = build(tmp_path, sessions=1)
    alone = t.FailureRow("s01", None, "evolve", "internal", f"it broke {EVIL}", 3)
    other = t.FailureRow("s02", None, "evolve", "internal", "another subject's", 3)
    nobody = t.FailureRow(None, None, "student", "internal", "the protocol's", 1)
    run.rows("failures", PROTOCOL, [alone, other, nobody])
    run.rows("notes", PROTOCOL, [t.NoteRow("s01", "t0", "truth", f"another grid {EVIL}")])
    write_report(str(run.root))
    subject = section(run.page("sub-s01.html"), "failures")
    assert "evolve" in subject
    assert "it broke &lt;script" in subject
    assert "another subject" not in subject
    assert "another grid &lt;script" in subject
    assert "no unit of work failed" not in subject
    index = section(run.page(), "failures")
    for told in ("another grid", "it broke", "another subject&#39;s", "the protocol&#39;s"):
        assert told in index
