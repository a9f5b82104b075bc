"""The end of a run by a signal."""

import os
import signal

import pytest

from somray.commands.launch import STOPPED, _stoppable


def test_a_second_signal_does_not_break_off_the_end():
    steps = []

    def stopped():
        with _stoppable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                steps.append("orderly")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        stopped()
    assert end.value.code == STOPPED
    assert steps == ["orderly"]
    assert signal.getsignal(signal.SIGTERM) is before
