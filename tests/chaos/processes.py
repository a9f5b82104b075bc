"""The processes of a storm: a city of Ray nodes and the drivers that work on one output."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

__all__ = ["City", "Driver"]

ROOT = Path(__file__).parents[2]
TROUBLE = Path(__file__).parent / "trouble"
SETTINGS = {
    "RAY_AUTH_MODE": "disabled",  # every process is ours; cluster/ is where tokens are
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # a lost head is given up soon
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "OMP_NUM_THREADS": "1",
    "RAY_worker_niceness": "0",  # at Ray's 15 a busy machine gives its workers next to nothing
}
END_SECONDS = 300.0


def _environment(trouble):
    paths = (str(TROUBLE), str(ROOT))
    return {**os.environ, **SETTINGS, "PYTHONPATH": ":".join(paths), "SOMRAY_TROUBLE": str(trouble)}


class City:
    """A Ray cluster without CPUs in its head, see `city.py`."""

    def __init__(self, trouble, nodes=2):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.city", str(nodes)],
            cwd=ROOT, env=_environment(trouble), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.address = self._process.stdout.readline().strip()

    def ask(self, command):
        """Have a node come or go; wait until it has."""
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip().isdigit()

    def _family(self):
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def workers(self, title="ray::"):
        """Return the processes of workers at work, by the title that Ray gives them."""
        found = []
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if line.startswith(title) and "IDLE" not in line:
                    found.append(process)
        return sorted(found, key=lambda p: p.pid)

    def logs(self):
        """Return the folders that its nodes write their logs to."""
        found = set()
        for process in self._family():
            with contextlib.suppress(psutil.Error):
                for word in process.cmdline():
                    name, _, path = word.partition("=")
                    if name == "--raylet_socket_name":
                        found.add(Path(path).parents[1] / "logs")
        return sorted(found)

    def fall(self):
        """Kill everything at once: head, nodes and workers."""
        family = self._family()
        for process in (psutil.Process(self._process.pid), *family):
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(family, timeout=30)
        self._process.wait()

    def close(self):
        """End the city in an orderly way."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.stdin.close()
            self._process.wait(60)
        if self._process.poll() is None:
            self.fall()


class Driver:
    """A driver of the run, as `ray job submit` starts one."""

    def __init__(self, city, cohort, output, trouble, *settings):
        given = (f"output={output}", *settings)
        self._told = Path(tempfile.mkstemp(suffix=".log", dir=Path(cohort).parent)[1])
        with self._told.open("w") as told:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jobs.run_cohort", str(cohort), "--address", city.address,
                 "--json", *(word for one in given for word in ("--set", one))],
                cwd=ROOT, env=_environment(trouble), stdout=told, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def process(self):
        """The process itself, to be looked at."""
        return psutil.Process(self._process.pid)

    @property
    def alive(self):
        """Whether it still works."""
        return self._process.poll() is None

    def kill(self):
        """End it as a lost machine does."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        """Ask it to end, as `ray job stop` does, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self):
        """Wait for its end and return the exit code."""
        return self._process.wait(END_SECONDS)

    def told(self):
        """Return what it said."""
        return self._told.read_text()
