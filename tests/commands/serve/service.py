"""The verb `serve` in a process of its own, and the processes that it starts."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import psutil


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Service:
    """The verb in a process of its own."""

    def __init__(self, run, folder, options=()):
        words = ["serve", str(run), "--port", str(free_port()), "--json", *options]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "SOMRAY_SERVE"))}
        self.errors = folder / "errors.txt"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "somray.cli", *words, "--allow", str(run.parent)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**env, "PYTHONUNBUFFERED": "1"},
            )
        line = self.process.stdout.readline()
        self.told = json.loads(line) if line else {}
        if "protocols" not in self.told:
            self.process.stdout.close()
            self.process.wait(60)
            raise RuntimeError(f"{line}\n{self.errors.read_text()}")
        self.url = self.told["protocols"][0]["url"]

    def family(self):
        found = psutil.Process(self.process.pid).children(recursive=True)
        with suppress(psutil.Error):
            return [one for one in found if one.is_running()]
        return found

    def replicas(self):
        """Processes that answer for the protocol, by the memory that models and kernels take."""
        named = []
        for one in self.family():
            with suppress(psutil.Error):
                if any("ServeReplica:somray-p:" in part for part in one.cmdline()):
                    named.append(one)
        return named

    def listening(self):
        """Addresses of HAProxy and the replicas, but those of Ray itself."""
        found = set()
        for one in self.family():
            with suppress(psutil.Error):
                if one.name().startswith("haproxy"):
                    found |= {c.laddr.ip for c in one.net_connections() if c.status == "LISTEN"}
        return found

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)
