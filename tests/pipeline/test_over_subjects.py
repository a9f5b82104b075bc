"""Whose scans teach the last round first: every subject's first session, then every second, and so on."""

from somray.domain.scan import Scan
from somray.pipeline.references import over_subjects


def scan(subject, order):
    return Scan(subject, f"t{order}", "p", ("x.nii",), "x.nii", order=order)


def told(scans):
    return [f"{one.subject}{one.order}" for one in over_subjects(scans)]


def test_every_subjects_first_stands_before_any_second():
    scans = [scan("a", 0), scan("a", 1), scan("a", 2), scan("b", 0), scan("c", 0), scan("c", 1)]
    assert told(scans) == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_sessions_go_by_their_order_wherever_the_manifest_lists_them():
    assert told([scan("a", 1), scan("b", 0), scan("a", 0)]) == ["b0", "a0", "a1"]


def test_a_subject_whose_first_session_is_of_another_protocol_is_not_late():
    assert told([scan("a", 0), scan("a", 1), scan("b", 3)]) == ["a0", "b3", "a1"]


def test_nothing_is_lost():
    scans = [scan(s, n) for s in "abc" for n in range(3)]
    assert sorted(told(scans)) == sorted(f"{one.subject}{one.order}" for one in scans)
    assert over_subjects([]) == []
