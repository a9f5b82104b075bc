"""What people are told while a run goes on: lines off a terminal, bars on one, and when it will end."""

import io
import time

import pytest
from rich.console import Console

from somray.commands.progress import ProgressView, view
from somray.commands.progress.forecast import Forecast, StageCost
from somray.commands.words import duration, end_words

PLAN = {"ingest": StageCost(10, 20.0), "som": StageCost(10, 100.0), "report": StageCost(1, 0.0)}
NOON = time.mktime((2026, 11, 29, 12, 0, 0, 0, 0, -1))


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(view.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(view.time, "time", lambda: NOON + now[0])
    return now


def _stages(*counts):
    return [{"stage": s, "done": d, "left": n, "failed": f} for s, d, n, f in counts]


def _told(clock, capsys, *looks, **options):
    """Show counts at given seconds and return the lines."""
    with ProgressView(**options) as shown:
        for seconds, stages in looks:
            clock[0] = seconds
            shown(_stages(*stages))
    return capsys.readouterr().err.splitlines()


def test_a_minute_has_one_line(clock, capsys):
    looks = [(second, [("ingest", second, 200 - second, 0)]) for second in range(1, 130)]
    lines = _told(clock, capsys, *looks)
    assert [line.split(":")[0] for line in lines] == ["somray 1 min", "somray 2 min"]


def test_the_line_says_what_is_under_way_with_its_time_left_what_has_ended_and_what_failed(
    clock, capsys
):
    first = [("ingest", 0, 10, 0), ("som", 0, 0, 0), ("truth", 0, 0, 0)]
    later = [("ingest", 7, 1, 2), ("som", 0, 4, 0), ("truth", 0, 0, 0)]
    last = [("ingest", 8, 0, 2), ("som", 2, 8, 0), ("truth", 0, 0, 0)]
    lines = _told(clock, capsys, (0, first), (90, later), (180, last))
    assert lines == [
        "somray 2 min: ingest 9/10 (2 failed, 10 s left), som 0/4",
        "somray 3 min: som 2/10 (6 min left); ended: ingest 10/10 (2 failed)",
    ]


def test_a_resumed_run_goes_by_its_own_pace(clock, capsys):
    """What an earlier run had done took this one no time."""
    lines = _told(clock, capsys, (0, [("som", 90, 30, 0)]), (60, [("som", 100, 20, 0)]))
    assert lines == ["somray 1 min: som 100/120 (2 min left)"]


def test_a_stage_that_has_hardly_begun_has_no_pace(clock, capsys):
    """One pair of 92, and then both cores train students: "29 h left" was no news of the pairs."""
    lines = _told(clock, capsys, (0, [("register", 0, 92, 0)]), (60, [("register", 1, 91, 0)]))
    assert lines == ["somray 1 min: register 1/92"]


def test_with_a_plan_the_line_says_what_is_to_come_and_when_all_will_be_done(clock, capsys):
    looks = [
        (0, [("ingest", 0, 10, 0), ("som", 0, 0, 0), ("report", 0, 1, 0)]),
        (60, [("ingest", 5, 5, 0), ("som", 0, 0, 0), ("report", 0, 1, 0)]),
        (120, [("ingest", 10, 0, 0), ("som", 2, 8, 0), ("report", 0, 1, 0)]),
    ]
    lines = _told(clock, capsys, *looks, plan=lambda: PLAN)
    assert "to come: som, report" in lines[0]
    assert lines[1].endswith("ends about 12:06, 4 minutes left")


def test_what_is_left_is_kept_every_minute_even_where_nothing_is_shown(clock, capsys):
    kept = []
    looks = [
        (t, [("ingest", t // 10, 20 - t // 10, 0), ("report", 0, 1, 0)]) for t in (0, 30, 60, 130)
    ]
    plan = {"ingest": StageCost(20, 20.0)}
    assert _told(clock, capsys, *looks, quiet=True, plan=lambda: plan, keep=kept.append) == []
    assert len(kept) == 2
    assert kept[1] == pytest.approx(70, rel=0.1)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 8)])
def test_bars_fit_the_terminal(clock, width, height):
    shown = ProgressView(plan=lambda: PLAN)
    file = io.StringIO()
    shown._console = Console(file=file, width=width, height=height, force_terminal=True)
    with shown:
        for seconds in (0, 60, 120):
            clock[0] = seconds
            shown(_stages(*((f"stage {n}", seconds, 12345, 6) for n in range(16))))
        table = shown._table(_stages(*((f"stage {n}", 3, 12345, 6) for n in range(16))), 130)
    plain = Console(file=io.StringIO(), width=width, height=height)
    plain.print(table)
    lines = plain.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    assert "12354" in lines[1]


def test_a_terminal_without_such_letters_gets_plain_bars(clock):
    shown = ProgressView()
    shown._console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), width=80)
    assert set(shown._bar(0.5)) == {"#", "-"}


def test_a_reader_that_has_gone_stops_no_run(clock, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(view.sys if hasattr(view, "sys") else __import__("sys"), "stderr", Gone())
    shown = ProgressView()
    clock[0] = 100
    shown(_stages(("som", 1, 1, 0)))


def test_nothing_is_forecast_without_ground():
    forecast = Forecast()
    forecast.look(_stages(("ingest", 0, 10, 0)), 0)
    assert forecast.seconds_left() is None  # no plan
    forecast.learn(PLAN)
    for now, done in ((10, 0), (20, 1), (40, 2)):
        forecast.look(_stages(("ingest", done, 10 - done, 0), ("som", 0, 0, 0)), now)
        assert forecast.seconds_left() is None  # too early, or too little
    forecast.look(_stages(("ingest", 10, 0, 0), ("som", 0, 10, 0)), 60)
    assert forecast.seconds_left() > 0


def test_what_an_earlier_run_did_is_no_pace():
    fresh, resumed = Forecast(), Forecast({"ingest": 10, "som": 5})
    for forecast, done in ((fresh, 0), (resumed, 5)):
        forecast.learn(PLAN)
        for now, more in ((0, 0), (20, 0), (70, 1), (120, 2)):
            ingested = 10 if now >= 20 else 0
            som = done + more if now >= 20 else 0
            forecast.look(_stages(("ingest", ingested, 0, 0), ("som", som, 10 - som, 0)), now)
    # Two of ten seconds each in 100 s: 50 s each, for the three that are left of the resumed one.
    assert resumed.seconds_left() == pytest.approx(150)


def test_many_workers_do_not_shorten_what_one_must_do():
    forecast = Forecast()
    forecast.learn({"ingest": StageCost(100, 1000.0), "student": StageCost(1, 400.0)})
    for now, done in ((0, 0), (20, 20), (60, 100)):
        forecast.look(_stages(("ingest", done, 100 - done, 0), ("student", 0, 1, 0)), now)
    assert forecast.seconds_left() == pytest.approx(400 - 60)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (40, "40 s"), (89, "89 s"), (90, "1 min"), (720, "12 min"), (5900, "98 min"),
     (12000, "3 h 20 min"), (200_000, "2 days 8 h")],
)  # fmt: skip
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(20, "in less than a minute"), (60, "about 12:01, 1 minute left"), (690, "about 12:11, 12 minutes left"),
     (9 * 3600, "about 21:00, 9 h 00 min left"), (20 * 3600, "about Monday 08:00, 20 h 00 min left"),
     (8 * 86400, "about 07 December 12:00, 8 days 0 h left")],
)  # fmt: skip
def test_ends(seconds, words):
    assert end_words(seconds, NOON) == words


def test_the_report_alone_shows_no_pace_but_passes():
    """It counts as left from the start, as one unit, and begins when all others have ended."""
    forecast = Forecast()
    forecast.learn({"som": StageCost(10, 100.0), "report": StageCost(1, 40.0)})
    for now, done in ((0, 0), (20, 0), (70, 5), (120, 10)):
        forecast.look(_stages(("som", done, 10 - done, 0), ("report", 0, 1, 0)), now)
    begun = forecast.seconds_left()
    assert begun == pytest.approx(48)  # 120 s for 100 planned ones
    forecast.look(_stages(("som", 10, 0, 0), ("report", 0, 1, 0)), 150)
    assert forecast.seconds_left() == pytest.approx(18)
    forecast.look(_stages(("som", 10, 0, 0), ("report", 0, 1, 0)), 200)
    assert forecast.seconds_left() is None  # longer than was thought: nobody knows
