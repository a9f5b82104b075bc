"""Why nothing goes on: who works, how much of the CPU they had, where each stands, and what Ray has queued."""

import contextlib
import os
import signal
import time
from collections import Counter

import psutil

__all__ = ["describe"]

SETTLE_SECONDS = 2.0
TOLD, STACK, QUEUE = 6000, 3000, 4000  # characters of each


def describe(output, driver, city):
    """Tell all that can be told from outside of a run that stands still.

    Args:
        output: of the run.
        driver: `processes.Driver`; what it and the workers are doing goes to their logs at SIGUSR1, see `trouble`.
        city: `processes.City`.
    """
    entries = (output / "work/ledger").rglob("*.json")
    done = Counter(str(file.parent.relative_to(output / "work/ledger")) for file in entries)
    workers = city.workers()
    asked = [process for process in (driver.process, *workers) if _ask(process)]
    lines = [f"load {os.getloadavg()}, units by stage: {dict(done)}"]
    lines += [_facts(process) for process in asked]
    time.sleep(SETTLE_SECONDS)
    lines += ["-- the driver", driver.told()[-TOLD:]]
    for logs in city.logs():
        for process in workers:
            for file in logs.glob(f"worker-*-{process.pid}.err"):
                lines += [f"-- {file.name}", file.read_text()[-STACK:]]
        for file in logs.glob(
            "debug_state*.txt"
        ):  # what a node has queued and given out stands first
            lines += [f"-- {file.name}", file.read_text()[:QUEUE]]
    return "\n".join(lines)


def _ask(process):
    """Have a process write where it stands; False where it is gone."""
    with contextlib.suppress(psutil.Error):
        process.send_signal(signal.SIGUSR1)
        return True
    return False


def _facts(process):
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        age = time.time() - process.create_time()
        spent = f"{times.user + times.system:.1f} s of CPU in {age:.0f} s"
        title = " ".join(process.cmdline())[:80].strip()
        return f"{process.pid} {title}: nice {process.nice()}, {process.status()}, {spent}"
    return "one that is gone"
