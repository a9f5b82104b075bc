"""The orderly end of a run by a signal: units are cancelled and the run is marked stopped."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

__all__ = ["CODES", "on_stop", "stoppable"]

CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129}
"""What shells call the end by `ray job stop`, Slurm or Kubernetes, and by a terminal or connection that is gone."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Turn signals into an orderly end for as long as the context is open."""
    before = on_stop()
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def on_stop() -> dict[signal.Signals, Any]:  # Any: what stood there before
    """Have signals end this process in an orderly way; Ray puts a handler of its own there when it is joined."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup leaves it
    wanted = [kind for kind in CODES if kind is not signal.SIGHUP or not is_ignored]

    def stop(kind: int, _: object) -> None:
        for one in wanted:
            signal.signal(one, signal.SIG_IGN)  # the end itself is not to be broken off
        raise SystemExit(CODES[signal.Signals(kind)])

    return {kind: signal.signal(kind, stop) for kind in wanted}
