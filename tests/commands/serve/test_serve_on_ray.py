"""`somray serve` as a person starts it: ready, right, only on loopback; a worker killed under load loses nothing."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import httpx
import numpy as np
import psutil
import pytest

from somray.io.run import open_run
from tests.commands.serve.served import NPY, QUERY, npy
from tests.pipeline.tiny import body

pytestmark = pytest.mark.ray
RETRY = (500, 502, 503, 504)
TRIES = 60


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Service:
    """The verb in a process of its own."""

    def __init__(self, run, folder):
        words = [
            "serve",
            str(run),
            "--port",
            str(free_port()),
            "--replicas",
            "2",
            "--threads",
            "1",
            "--json",
        ]
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
        assert line, self.errors.read_text()
        self.told = json.loads(line)
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


@pytest.fixture(scope="module")
def service(served_run, tmp_path_factory):
    found = Service(served_run, tmp_path_factory.mktemp("service"))
    yield found
    if found.process.poll() is None:
        found.stop()
    found.process.stdout.close()


@pytest.fixture(scope="module")
def planes():
    return body().astype(np.float32)


def asked(client, service, plane):
    """Ask until there is an answer, as the page of the service says; return it and how often it was asked."""
    for n in range(TRIES):
        try:
            found = client.post(
                f"{service.url}/slices", params=QUERY, content=npy(plane),
                headers={**NPY, "Accept": "application/x-npy"},
            )  # fmt: skip
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        if found.status_code == 200:
            return np.load(io.BytesIO(found.content)), n
        assert found.status_code in RETRY, found.text
        time.sleep(float(found.headers.get("Retry-After", 1)) / 5)
    raise AssertionError("no answer")


def test_it_is_ready_when_it_says_so(service, served_run, planes):
    root = service.told["url"]
    assert httpx.get(f"{root}/readyz").json() == {"ready": True}
    assert httpx.get(f"{root}/v1/protocols").json()["protocols"][0]["ready"]
    assert httpx.get(f"{service.url}/").json()["protocol"] == "p"
    assert "/v1/protocols/p/slices" in httpx.get(f"{root}/docs").text
    truth = open_run(served_run).scan("s1", "t0").som.values
    with httpx.Client() as client:
        found, tries = asked(client, service, planes[3])
    assert tries == 0
    assert np.array_equal(found, truth[0, 3])
    asked_scan = {"uris": {"CT": str(served_run.parent / "a.nii.gz")}}
    reply = httpx.post(
        f"{service.url}/scans", json=asked_scan, headers={"Accept": "application/x-npy"}
    )
    assert np.array_equal(np.load(io.BytesIO(reply.content)), truth)
    assert httpx.get(root, headers={"Host": "evil.org"}).status_code == 403
    assert service.listening() <= {"127.0.0.1"}


def test_a_killed_worker_costs_no_answer_and_makes_none_wrong(service, served_run, planes):
    truth = open_run(served_run).scan("s1", "t0").som.values[0]
    wrong, done, stop = [], [], threading.Event()

    def load(number):
        with httpx.Client(timeout=20) as client:
            n = number
            while not stop.is_set():
                found, _ = asked(client, service, planes[n % 8])
                done.append(n)
                if not np.array_equal(found, truth[n % 8]):
                    wrong.append(n)
                n += 1

    workers = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    time.sleep(1)
    before = service.replicas()
    assert len(before) == 2
    before[0].kill()
    killed, count = time.monotonic(), len(done)
    while time.monotonic() - killed < 25 and (
        len(service.replicas()) < 2 or len(done) < count + 50
    ):
        time.sleep(0.2)
    stop.set()
    for worker in workers:
        worker.join(30)
    assert wrong == []
    assert len(done) > count + 20


def test_it_ends_in_good_order(service):
    family = service.family()
    assert service.stop() == 0
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []
    assert "Traceback" not in service.errors.read_text()
