"""What a run tells on stderr: sentences for people, JSON lines for machines."""

import io
import json
import logging
import sys

import pytest

from somray.domain.work import Outcome, Unit
from somray.runtime.logs import log_to_stderr, tell_unit


@pytest.fixture
def log(monkeypatch):
    """The log as it is set up by a form, put back afterwards."""
    logger = logging.getLogger("somray")
    before = logger.handlers, logger.propagate, logger.level

    def begin(form):
        monkeypatch.setenv("SOMRAY_LOG", form)
        log_to_stderr()
        return logger

    yield begin
    logger.handlers, logger.propagate = before[0], before[1]
    logger.setLevel(before[2])


def _unit():
    return Unit("som", "sub-s1_ses-t0", "chest-ct", "digest", None, subject="s1", session="t0")


def test_warnings_are_sentences_and_units_are_silent(log, capsys):
    log("").warning("the disk is slow")
    tell_unit(_unit(), Outcome("som", "sub-s1_ses-t0", None, seconds=1.5))
    assert capsys.readouterr().err == "somray: the disk is slow\n"


def test_with_json_every_unit_is_a_line(log, capsys):
    log("json")
    tell_unit(_unit(), Outcome("som", "sub-s1_ses-t0", None, seconds=1.5))
    told = json.loads(capsys.readouterr().err)
    assert (told["level"], told["subject"], told["seconds"]) == ("info", "s1", 1.5)


def test_a_line_goes_to_what_stderr_is_when_it_comes(log, monkeypatch):
    """Bars on a terminal put something in its place, so that lines stand above them."""
    logger = log("")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logger.warning("above")
    assert sys.stderr.getvalue() == "somray: above\n"
