"""What people are told while a run goes on, where no terminal is."""

from somray.commands import progress
from somray.commands.progress import ProgressView


def _told(monkeypatch, capsys, *looks):
    """Show counts at given seconds and return the lines."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with ProgressView() as view:
        for seconds, stages in looks:
            clock[0] = seconds
            view([{"stage": s, "done": d, "left": n, "failed": f} for s, d, n, f in stages])
    return capsys.readouterr().err.splitlines()


def test_a_minute_has_one_line(monkeypatch, capsys):
    looks = [(second, [("ingest", second, 200 - second, 0)]) for second in range(1, 130)]
    lines = _told(monkeypatch, capsys, *looks)
    assert [line.split(":")[0] for line in lines] == ["somray 1 min", "somray 2 min"]


def test_the_line_says_done_left_failed_and_the_time_left_of_each_stage(monkeypatch, capsys):
    first = [("ingest", 0, 10, 0), ("som", 0, 0, 0), ("truth", 0, 0, 0)]
    later = [("ingest", 7, 1, 2), ("som", 0, 4, 0), ("truth", 0, 0, 0)]
    last = [("ingest", 8, 0, 2), ("som", 2, 8, 0), ("truth", 0, 0, 0)]
    lines = _told(monkeypatch, capsys, (0, first), (90, later), (180, last))
    assert lines == [
        "somray 2 min: ingest 9/10 (2 failed, 1 min left), som 0/4",
        "somray 3 min: ingest 10/10 (2 failed), som 2/10 (6 min left)",
    ]


def test_a_resumed_run_goes_by_its_own_pace(monkeypatch, capsys):
    """What an earlier run had done took this one no time."""
    lines = _told(monkeypatch, capsys, (0, [("som", 90, 30, 0)]), (60, [("som", 100, 20, 0)]))
    assert lines == ["somray 1 min: som 100/120 (2 min left)"]


def test_quiet_is_quiet(monkeypatch, capsys):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.0)
    view = ProgressView(quiet=True)
    view([{"stage": "som", "done": 1, "left": 1, "failed": 0}])
    assert capsys.readouterr().err == ""
