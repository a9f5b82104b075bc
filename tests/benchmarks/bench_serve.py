"""What the service adds to its kernel: slices and scans at 1, 4 and 16 clients, and minutes of load.

Run as a test it does little; with `--bench` it starts `somray serve` and prints p50, p95 and p99 beside the same
kernel, called by as many callers in this process, in blocks that take turns, and the CPU that kernel, service and
clients take: `pytest tests/benchmarks/bench_serve.py --bench -s`. `python -m tests.benchmarks.bench_serve --minutes 10`
loads it for so long and tells errors, wrong answers and memory by process; `--gpus 1 --method student` asks the student
on a GPU, `--dtype float32` sends twice the bytes. There is no peer.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from somray.io.run import open_run
from somray.stages.answers.fitted import load_fitted
from somray.stages.answers.held import hold
from somray.stages.answers.scans import answer_scan
from somray.stages.answers.slices import SliceAsked, answer_slice
from tests.benchmarks.serve_clients import PARTS, Client, Costs, memory
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
CPUS = len(os.sched_getaffinity(0))


def make_run(folder, side, depth):
    """Fit a teacher on slices of that size, and write one scan as plain NIfTI; return run and scan."""
    volume = body((8, side, side), radius=side / 12)
    save(folder / "a.nii.gz", volume)
    write_manifest(folder, [("s1", "t0", "p", "a.nii.gz")])
    run_tiny(folder)
    scan = np.concatenate([volume] * (-(-depth // 8)))[:depth]
    nib.save(nib.Nifti1Image(scan.T, np.diag([-0.8, -0.8, 2.0, 1.0])), folder / "scan.nii")
    return folder / "run", folder / "scan.nii"


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


def compare(title, ways, count, blocks=BLOCKS, service=None):
    """Let ways take turns in blocks; `ways` is name to callers, the first is the base. Tell the CPU of each."""
    print(f"\n{title}{'p50':>30}{'p95':>9}{'p99':>9}")
    found = {name: [] for name in ways}
    costs = {name: Costs(service if n else None) for n, name in enumerate(ways)}
    wall = dict.fromkeys(ways, 0.0)
    for _ in range(blocks):
        for name, callers in ways.items():
            began = time.perf_counter()
            with costs[name]:
                found[name] += timed(callers, max(len(callers), count // blocks))
            wall[name] += time.perf_counter() - began
    base = next(iter(found.values()))
    for name, one in found.items():
        row(name, one, None if one is base else base)
    for name, one in found.items():
        show_costs(name, costs[name].seconds, len(one), wall[name])
    if service is not None and len(next(iter(ways.values()))) >= CPUS:
        each = {name: CPUS * wall[name] / len(one) for name, one in found.items()}
        bare, *served = each.values()
        more = ", ".join(f"{1000 * (one - bare):.1f}" for one in served)
        print(f"  with all {CPUS} CPUs busy, clients included: {more} ms of a CPU more for each")


def show_costs(name, seconds, count, wall):
    """Print CPU milliseconds for each answer."""
    each = {part: 1000 * spent / count for part, spent in seconds.items()}
    own = ", ".join(f"{part} {each[part]:.2f}" for part in PARTS if part in each)
    told = f"{own}: {sum(each.values()) - each['here']:.2f} in all; clients" if own else "all"
    print(f"  CPU ms, {name}: {told} {each['here']:.2f}; {count / wall:.1f} a second")


def bench_slices(fitted, service, clients, method, dtype, count=200):
    """Compare a slice through the service with the kernel alone, called by as many callers."""
    image = body((8, SIDE, SIDE), radius=SIDE / 12)[3]
    asked = SliceAsked(image[None].astype(np.float32), PLANE, method)
    pool, sent = ThreadPoolExecutor(THREADS), npy(image.astype(dtype))
    threads = max(1, THREADS // clients)
    path = f"/slices?spacing_mm={PLANE[0]},{PLANE[1]}&method={method}"
    lines = [Client(service.url) for _ in range(clients)]
    ways = {
        "the kernel, in this process": [
            lambda: pool.submit(answer_slice, fitted, asked, threads).result()
        ] * clients,
        "through the service": [lambda c=c: c.ask(path, sent, HEADERS) for c in lines],
    }  # fmt: skip
    title = f"a slice of {SIDE}² as {dtype}, {method}, {clients} clients"
    compare(title, ways, max(count, 20 * clients), service=service)
    inside = [t for line in lines for t in line.inside]
    row("of this in the replica", inside)
    told(lines)


def bench_scans(fitted, service, scan, clients, method):
    """Compare a scan by name and by upload with the same work in this process; one of each where clients are many."""
    lines, uploads = ([Client(service.url) for _ in range(clients)] for _ in range(2))
    asked = json.dumps({"uris": {"CT": str(scan)}}).encode()
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
    blocks = BLOCKS if clients <= 4 else 1
    compare(
        f"a scan of {DEPTH} × {SIDE}², {clients} clients", ways, blocks * clients, blocks, service
    )
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
    asked = json.dumps({"uris": {"CT": str(scan)}}).encode()
    ways = [("slices", path, image, HEADERS)] * 3 + [("scans", "/scans", asked, JSON)]
    truth = {what: Client(service.url).ask(*words) for what, *words in ways[2:]}
    counts, wrong, errors = Counter(), Counter(), Counter()
    end, early = time.monotonic() + 60 * minutes, memory(service)

    def keep_asking(line, what, *words):
        while time.monotonic() < end:
            try:
                found = line.ask(*words)
            except Exception as error:
                errors[f"{type(error).__name__}: {error}"[:120]] += 1
                line.close()
                continue
            counts[what] += 1
            wrong[what] += found != truth[what]

    lines = [Client(service.url) for _ in ways]
    work = [
        threading.Thread(target=keep_asking, args=(one, *way))
        for one, way in zip(lines, ways, strict=True)
    ]
    for one in work:
        one.start()
    replicas = []
    while any(one.is_alive() for one in work):
        replicas.append(sum(mb for part, _, mb in memory(service).values() if part == "replica"))
        time.sleep(min(5.0, 6 * minutes))
    again = sum((line.again for line in lines), Counter())
    return {
        "answers": dict(counts), "wrong": +wrong, "errors": errors, "again": dict(again),
        "replicas": replicas, "early": early, "late": memory(service),
    }  # fmt: skip


def show_load(found, minutes):
    """Print what minutes of load found."""
    series = found["replicas"]
    third = max(1, len(series) // 3)
    early, late = statistics.median(series[1 : third + 1]), statistics.median(series[-third:])
    print(
        f"\n{minutes:g} minutes of load: answers {found['answers']}, wrong {dict(found['wrong'])}, "
        f"errors {dict(found['errors'])}, asked again {found['again']}\n"
        f"replicas: {early:.0f} MB in the first third, {late:.0f} in the last, {max(series):.0f} at most"
    )
    print(f"  {'MB of each process':<54}{'start':>8}{'end':>8}")
    for pid in sorted({*found["early"], *found["late"]}):
        before, after = found["early"].get(pid), found["late"].get(pid)
        part, name, _ = after or before
        each = "".join(
            f"{'gone' if one is None else f'{one[2]:.0f}':>8}" for one in (before, after)
        )
        print(f"  {part:<13}{name:<41}{each}")
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
    measure(tmp_path, CLIENTS, ("som", "int16"))


def measure(folder, clients, asked, gpus=0.0, minutes=0.0, what=("slices", "scans")):
    """Start the service and print the tables, or the load where minutes are given; `asked`: method and dtype."""
    method, dtype = asked
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
            bench_slices(fitted, service, count, method, dtype)
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
    parser.add_argument("--dtype", default="int16")
    parser.add_argument("--gpus", type=float, default=0.0)
    parser.add_argument("--what", nargs="*", default=["slices", "scans"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asked = given.method, given.dtype
        measure(Path(folder), given.clients, asked, given.gpus, given.minutes, given.what)


if __name__ == "__main__":
    main()
