"""What the service adds to its kernel: slices and scans at 1, 4 and 16 clients, and minutes of load.

Run as a test it does little; with `--bench` it starts `somray serve` and prints p50, p95 and p99 beside the same
kernel, called by as many callers in this process, in blocks that take turns: `pytest tests/benchmarks/bench_serve.py
--bench -s`. `python -m tests.benchmarks.bench_serve --minutes 10` loads it for so long and tells errors and memory;
`--gpus 1 --method student` asks the student on a GPU. There is no peer.
"""

import argparse
import http.client
import itertools
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import psutil
import pytest

from somray.io.run import open_run
from somray.stages.answers.fitted import load_fitted
from somray.stages.answers.held import hold
from somray.stages.answers.scans import answer_scan
from somray.stages.answers.slices import SliceAsked, answer_slice
from tests.commands.serve.served import Served, npy
from tests.commands.serve.service import Service
from tests.pipeline.tiny import body, run_tiny, save, write_manifest

pytestmark = pytest.mark.bench
CLIENTS = (1, 4, 16)
SIDE, DEPTH = 512, 200
PLANE = (0.8, 0.8)
THREADS = 2
BLOCKS = 4
HEADERS = {"Content-Type": "application/x-npy", "Accept": "application/x-npy"}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
RETRY_SECONDS = 0.2


def make_run(folder, side, depth):
    """Fit a teacher on slices of that size, and write one scan as plain NIfTI; return run and scan."""
    volume = body((8, side, side), radius=side / 12)
    save(folder / "a.nii.gz", volume)
    write_manifest(folder, [("s1", "t0", "p", "a.nii.gz")])
    run_tiny(folder)
    scan = np.concatenate([volume] * (-(-depth // 8)))[:depth]
    nib.save(nib.Nifti1Image(scan.T, np.diag([-0.8, -0.8, 2.0, 1.0])), folder / "scan.nii")
    return folder / "run", folder / "scan.nii"


class Client:
    """One connection that is kept, and asks again where it is told to."""

    def __init__(self, url):
        self.place = urlsplit(url)
        self.line = http.client.HTTPConnection(self.place.hostname, self.place.port, timeout=600)
        self.inside, self.again = [], Counter()

    def ask(self, path, sent, headers):
        """Return the body of the answer."""
        while True:
            try:
                self.line.request("POST", f"{self.place.path}{path}", sent, headers)
                found = self.line.getresponse()
                data = found.read()
            except (OSError, http.client.HTTPException) as error:
                self.again[type(error).__name__] += 1
                self.line.close()
                time.sleep(RETRY_SECONDS)
                continue
            if found.status == 200:
                self.inside.append(float(found.headers["Somray-Seconds"]))
                return data
            self.again[found.status] += 1
            assert found.status == 503, data
            time.sleep(RETRY_SECONDS)


def timed(callers, count):
    """Have callers ask in turn until `count` are answered; return the seconds of each."""
    numbers, found = itertools.count(), []

    def call(caller):
        while next(numbers) < count:
            began = time.perf_counter()
            caller()
            found.append(time.perf_counter() - began)

    workers = [threading.Thread(target=call, args=(one,)) for one in callers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


def row(name, found, base=None):
    """Print milliseconds, and what is more than in the base."""
    p50, p95, p99 = (1000 * np.percentile(found, p) for p in (50, 95, 99))
    text = f"  {name:<34}{p50:>9.1f}{p95:>9.1f}{p99:>9.1f} ms"
    if base is not None:
        bare = 1000 * statistics.median(base)
        text += f"{p50 - bare:>+8.1f} ms at p50, {p50 / bare:.2f} × bare"
    print(text)
    return p50


def compare(title, ways, count, blocks=BLOCKS):
    """Let ways take turns in blocks; `ways` is name to callers, the first is the base."""
    print(f"\n{title}{'p50':>30}{'p95':>9}{'p99':>9}")
    found = {name: [] for name in ways}
    for _ in range(blocks):
        for name, callers in ways.items():
            found[name] += timed(callers, max(len(callers), count // blocks))
    base = next(iter(found.values()))
    return [row(name, one, None if one is base else base) for name, one in found.items()]


def bench_slices(fitted, service, clients, method, count=200):
    """Compare a slice through the service with the kernel alone, called by as many callers."""
    image = body((8, SIDE, SIDE), radius=SIDE / 12)[3]
    asked = SliceAsked(image[None].astype(np.float32), PLANE, method)
    pool, sent = ThreadPoolExecutor(THREADS), npy(image)
    threads = max(1, THREADS // clients)
    path = f"/slices?spacing_mm={PLANE[0]},{PLANE[1]}&method={method}"
    lines = [Client(service.url) for _ in range(clients)]
    ways = {
        "the kernel, in this process": [
            lambda: pool.submit(answer_slice, fitted, asked, threads).result()
        ] * clients,
        "through the service": [lambda c=c: c.ask(path, sent, HEADERS) for c in lines],
    }  # fmt: skip
    compare(f"a slice of {SIDE}², {method}, {clients} clients", ways, max(count, 10 * clients))
    inside = [t for line in lines for t in line.inside]
    row("of this in the replica", inside)
    told(lines)


def bench_scans(fitted, service, scan, clients, method):
    """Compare a scan by name and by upload with the same work in this process."""
    lines, uploads = ([Client(service.url) for _ in range(clients)] for _ in range(2))
    asked = json.dumps({"uris": {"CT": str(scan)}})
    form, kind = _form(scan)

    def bare():
        return answer_scan(fitted, hold(fitted, [str(scan)]), method, THREADS)

    lock = threading.Lock()

    def alone():
        with lock:
            bare()

    path = f"/scans?method={method}"
    ways = {
        "the same, in this process": [alone] * clients,
        "through the service, by name": [lambda c=c: c.ask(path, asked, JSON) for c in lines],
        "through the service, sent": [lambda c=c: c.ask(path, form, kind) for c in uploads],
    }
    blocks = BLOCKS if clients <= 4 else 2
    compare(f"a scan of {DEPTH} × {SIDE}², {clients} clients", ways, blocks * clients, blocks)
    told(lines + uploads)


def _form(scan):
    line = b"----somray"
    head = b"--" + line + b'\r\nContent-Disposition: form-data; name="CT"; filename="x"\r\n\r\n'
    data = head + scan.read_bytes() + b"\r\n--" + line + b"--\r\n"
    kind = {
        "Content-Type": f"multipart/form-data; boundary={line.decode()}",
        "Accept": "application/json",
    }
    return data, kind


def told(lines):
    again = sum((line.again for line in lines), Counter())
    if again:
        print(f"  asked again: {dict(again)}")


def load(service, scan, minutes, method):
    """Ask for minutes with three clients for slices and one for scans; return answers, errors and memory in MB."""
    image = npy(body((8, SIDE, SIDE), radius=SIDE / 12)[3])
    path = f"/slices?spacing_mm={PLANE[0]},{PLANE[1]}&method={method}"
    asked = json.dumps({"uris": {"CT": str(scan)}})
    end, counts, memory, wrong = time.monotonic() + 60 * minutes, Counter(), [], []
    first = Client(service.url).ask(path, image, HEADERS)

    def slices(line):
        while time.monotonic() < end:
            wrong.extend([1] if line.ask(path, image, HEADERS) != first else [])
            counts["slices"] += 1

    def scans(line):
        while time.monotonic() < end:
            line.ask("/scans", asked, JSON)
            counts["scans"] += 1

    lines = [Client(service.url) for _ in range(4)]
    work = [
        threading.Thread(target=scans if n == 3 else slices, args=(c,)) for n, c in enumerate(lines)
    ]
    for one in work:
        one.start()
    while any(one.is_alive() for one in work):
        memory.append(resident(service) / 2**20)
        time.sleep(min(5.0, 6 * minutes))
    again = sum((line.again for line in lines), Counter())
    return {"answers": dict(counts), "wrong": len(wrong), "again": dict(again), "memory": memory}


def resident(service):
    """Bytes of the replicas, shared ones counted once in each."""
    found = 0
    for one in service.replicas():
        try:
            found += one.memory_info().rss
        except psutil.Error:
            continue
    return found


def show_load(found, minutes):
    third = max(1, len(found["memory"]) // 3)
    early, late = (
        statistics.median(part)
        for part in (found["memory"][1 : third + 1], found["memory"][-third:])
    )
    print(
        f"\n{minutes:g} minutes of load: {found['answers']}, wrong {found['wrong']}, asked again {found['again']}; "
        f"replicas hold {early:.0f} MB in the first third, {late:.0f} in the last, {max(found['memory']):.0f} at most"
    )
    return early, late


def test_the_application_adds_little_to_its_kernel(tmp_path):
    """Small, without Ray: what the application itself adds, in this process."""
    run, _ = make_run(tmp_path, 64, 8)
    served = Served(run)
    image = body((8, 64, 64), radius=5)[3]
    asked = SliceAsked(image[None].astype(np.float32), PLANE)
    ways = {
        "the kernel": [lambda: answer_slice(served.fitted, asked, 1)],
        "through the application": [lambda: served.slice(image, {"Accept": "application/x-npy"})],
    }
    compare("a slice of 64², without Ray", ways, 12)


@pytest.mark.ray
@pytest.mark.skipif("not config.getoption('--bench')")
def test_the_service_adds_little_to_its_kernel(tmp_path):
    measure(tmp_path, CLIENTS, "som", 0.0)


def measure(folder, clients, method, gpus, minutes=0.0, what=("slices", "scans")):
    """Start the service and print the tables, or the load where minutes are given."""
    run, scan = make_run(folder, SIDE, DEPTH)
    if method == "student":
        _teach(run)
    options = ["--allow", str(folder), "--threads", str(THREADS), "--gpus", str(gpus)]
    service = Service(run, folder, options)
    try:
        if minutes:
            return show_load(load(service, scan, minutes, method), minutes)
        fitted = load_fitted(open_run(run), "p", gpu=gpus > 0)
        fitted.warm()
        for count in clients if "slices" in what else ():
            bench_slices(fitted, service, count, method)
        for count in clients if "scans" in what else ():
            bench_scans(fitted, service, scan, count, method)
    finally:
        service.stop()
    return None


def _teach(run):
    """Lay a student of the usual size beside the teacher; it need not be good."""
    from somray.io.models import write_student
    from somray.io.storage import Storage
    from tests.benchmarks.bench_inference import _student

    write_student(Storage.at(run), "p", _student())


def main():
    """Measure, or load for minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--clients", type=int, nargs="*", default=list(CLIENTS))
    parser.add_argument("--method", default="som")
    parser.add_argument("--gpus", type=float, default=0.0)
    parser.add_argument("--what", nargs="*", default=["slices", "scans"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.clients, given.method, given.gpus, given.minutes, given.what)


if __name__ == "__main__":
    main()
