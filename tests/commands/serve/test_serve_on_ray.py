"""`somray serve` as a person starts it: ready, right, only on loopback; a worker killed under load loses nothing."""

import io
import threading
import time

import httpx
import numpy as np
import psutil
import pytest

from somray.io.run import open_run
from tests.commands.serve.served import NPY, QUERY, npy
from tests.commands.serve.service import Service
from tests.pipeline.tiny import body

pytestmark = pytest.mark.ray
RETRY = (500, 502, 503, 504)
TRIES = 60


@pytest.fixture(scope="module")
def service(served_run, tmp_path_factory):
    options = "--replicas", "2", "--threads", "1"
    found = Service(served_run, tmp_path_factory.mktemp("service"), options)
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


def test_what_is_under_way_is_answered_before_it_ends(service):
    image = npy(np.kron(body()[3], np.ones((70, 70), np.int16)))
    found = []

    def ask():
        reply = httpx.post(
            f"{service.url}/slices", params=QUERY, content=image, headers=NPY, timeout=60
        )
        found.append((reply.status_code, "Somray-Verdict" in reply.headers))

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for one in asking:
        one.start()
    time.sleep(0.5)  # sent, not yet answered
    early, family = len(found), service.family()
    assert service.stop() == 0
    for one in asking:
        one.join()
    assert found == [(200, True)] * 4
    assert early < 4
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []
    assert "Traceback" not in service.errors.read_text()
