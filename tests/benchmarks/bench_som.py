"""The map against its peers: fit and transform, with both errors beside every time.

`SOMRAY_PEERS=/path/to/python python -m pytest tests/benchmarks/bench_som.py --bench -s` times and prints
The tables "SOM fit" and "Transform" of the log. Peers that are not dependencies of somray (pyFlowSOM, somoclu,
XPySom) are run by the interpreter that SOMRAY_PEERS names, as a process of their own on the same
samples, on one thread; without it their rows say "not installed". Without `--bench` everything runs
once, small, as a test that it still works. Errors and labels are asserted, times never.

Choices made by these figures: epochs, first and final radius and the share of shrinking epochs in
`kernels/som/fit.py`, groups and tiles in `kernels/som/nearest.py`, `LIKENESS` in
`kernels/som/placement.py`.
"""

import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from minisom import MiniSom
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin
from threadpoolctl import threadpool_limits

from somray.kernels.features import feature_stack
from somray.kernels.som import arrays, fit, placement
from somray.kernels.som.maps import u_matrix
from somray.kernels.som.minisom_engine import fit_minisom

pytestmark = pytest.mark.bench

PYTHON = os.environ.get("SOMRAY_PEERS", "")
PEERS = ("pyFlowSOM", "XPySom", "somoclu")
PEER = """
import json, os, sys, time
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np
folder, name, rows, columns = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
x = np.load(folder + "/samples.npy")
if name == "pyFlowSOM":
    from pyFlowSOM import som
    double = x.astype(float)
    start = time.perf_counter()
    nodes = som(double, xdim=rows, ydim=columns, rlen=10, seed=0)
elif name == "somoclu":
    import somoclu
    start = time.perf_counter()
    peer = somoclu.Somoclu(columns, rows, initialization="pca")
    peer.train(x, epochs=20)
    nodes = peer.codebook
else:
    from xpysom import XPySom
    start = time.perf_counter()
    peer = XPySom(rows, columns, x.shape[1], random_seed=0)
    peer.pca_weights_init(x)
    peer.train(x, 20)
    nodes = peer.get_weights()
spent = time.perf_counter() - start
np.save(folder + "/nodes.npy", np.asarray(nodes).reshape(rows * columns, -1))
print(json.dumps(spent))
"""


@pytest.fixture
def timed(request):
    return bool(request.config.getoption("--bench"))


def picture(size):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    body = 60.0 * (np.hypot(y - size / 2, x - size / 2) < size / 3) - 40
    return (body + 15 * np.sin(x / 9) + rng.normal(0, 12, body.shape)).astype(np.float32)


def standardised(image, window, side):
    """Return the ten features of the image's middle, standardised, (side², 10)."""
    stack = feature_stack(image[None], [window])
    top, left = ((n - side) // 2 for n in image.shape)
    stack = stack[:, top : top + side, left : left + side].reshape(10, -1)
    return np.ascontiguousarray(
        ((stack - stack.mean(1, keepdims=True)) / stack.std(1, keepdims=True)).T
    ).astype(np.float32)


def drawn(side):
    return standardised(picture(side), (-100.0, 100.0), side)


def abdomen(root, side):
    import SimpleITK

    file = min(p for p in (root / "ct_3slices/dicom").rglob("*") if p.is_file())
    image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))[0].astype(np.float32)
    return standardised(image, (-160.0, 240.0), side)


def timing(work):
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def run_peer(folder, name, grid):
    """Fit with a peer in its own process; return seconds and nodes, or None where it is missing."""
    if not PYTHON:
        return None
    command = [PYTHON, "-c", PEER, str(folder), name, str(grid[0]), str(grid[1])]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        print(f"\n{name}: {ended.stderr.strip().splitlines()[-1]}", end="")
        return None
    return json.loads(ended.stdout.splitlines()[-1]), np.load(Path(folder) / "nodes.npy")


def means(kind, points, nodes):
    def work():
        with threadpool_limits(1):
            return kind(nodes, n_init=1, random_state=0).fit(points).cluster_centers_

    return work


def fits(points, grid):
    """Name and way of every fit in this process; each returns its nodes."""
    nodes = grid[0] * grid[1]
    return {
        "somray": lambda: arrays.fit(points, grid).weights,
        "somray, rare, radius .15": lambda: (
            arrays.fit(points, grid, training=arrays.Training(final_radius=0.15, rare=True)).weights
        ),
        "MiniSom, 1 epoch": lambda: fit_minisom(points, grid, epochs=1).weights,
        "KMeans (no map)": means(KMeans, points, nodes),
        "MiniBatchKMeans (no map)": means(MiniBatchKMeans, points, nodes),
    }


def race(points, grid, folder, turns):
    """Fit with everything in turn; return seconds of each turn and nodes by name."""
    spent, nodes = {}, {}
    for turn in range(turns):
        for name, work in fits(points, grid).items():
            if not (turn and name.startswith("MiniSom")):
                seconds, nodes[name] = timing(work)
                spent.setdefault(name, []).append(seconds)
        for name in PEERS:
            found = None if turn and name == "somoclu" else run_peer(folder, name, grid)
            if found is not None:
                spent.setdefault(name, []).append(found[0])
                nodes[name] = found[1]
    return spent, nodes


@pytest.mark.parametrize("grid", [(10, 10), (5, 5)])
@pytest.mark.parametrize("source", ["drawn", "abdomen"])
def test_fit_against_peers(request, timed, tmp_path, grid, source):
    side = 256 if timed else 24
    root = request.getfixturevalue("real_data") if source == "abdomen" else None
    points = drawn(side) if root is None else abdomen(root, side)
    np.save(tmp_path / "samples.npy", points)
    arrays.fit(points[:600], grid, epochs=2, training=arrays.Training(rare=True))  # compiles
    spent, nodes = race(points, grid, tmp_path, 3 if timed else 1)
    book = {name: arrays.measure(points, found, grid) for name, found in nodes.items()}
    print(f"\nSOM fit, {source}, {points.shape}, grid {grid}, one thread, best of 3")
    for name, seconds in spent.items():
        ratio = min(seconds) / min(spent["somray"])
        errors = f"QE {book[name].quantization_error:.4f} | TE {book[name].topographic_error:.3f}"
        print(f"| {name} | {min(seconds):.3f} s | × {ratio:.1f} | {errors} |")
    for name in PEERS:
        if name not in spent:
            print(f"| {name} | not installed |")
    assert_as_good(book["somray"], book["MiniSom, 1 epoch"])
    if timed and "pyFlowSOM" in book:
        assert_as_good(book["somray"], book["pyFlowSOM"])
        assert book["somray"].topographic_error <= book["pyFlowSOM"].topographic_error
    for name in ("XPySom", "somoclu"):
        if timed and name in book and grid == (10, 10):
            ordered = ordered_like(points, grid, book[name], name)
            assert ordered.topographic_error <= book[name].topographic_error
            assert_as_good(ordered, book[name])


def ordered_like(points, grid, peer, name):
    """Return the first map of growing final radius whose topographic error is no higher than a peer's.

    Radius trades quantization for topographic error; somoclu and XPySom stand further along than ours.
    """
    for radius in np.arange(0.30, 0.80, 0.01):
        training = arrays.Training(final_radius=float(radius))
        spent, found = timing(lambda how=training: arrays.fit(points, grid, training=how))
        if found.topographic_error <= peer.topographic_error:
            break
    errors = f"QE {found.quantization_error:.4f} | TE {found.topographic_error:.3f}"
    print(f"| somray beside {name}: final radius {radius:.2f} | {spent:.3f} s | | {errors} |")
    return found


def assert_as_good(ours, peer):
    """Demand a quantization error within 2 % of a peer's."""
    assert ours.quantization_error <= 1.02 * peer.quantization_error


@pytest.mark.parametrize("grid", [(5, 5), (10, 10)])
@pytest.mark.parametrize("source", ["drawn", "abdomen"])
def test_order_of_a_map_whose_nodes_are_moved(request, timed, monkeypatch, grid, source):
    side = 256 if timed else 24
    root = request.getfixturevalue("real_data") if source == "abdomen" else None
    points = drawn(side) if root is None else abdomen(root, side)
    how = arrays.Training(final_radius=0.15, rare=True)  # as the teacher trains
    print(f"\nOrder, {source}, {points.shape}, grid {grid}, one thread, best of 5")
    books = {}
    for likeness in (None, 0.0, 0.02, 0.05, 0.1):
        with monkeypatch.context() as patch:
            if likeness is None:
                patch.setattr(fit, "arranged", lambda weights, errors, lattice: (weights, errors))
            else:
                patch.setattr(placement, "LIKENESS", likeness)
            turns = [timing(lambda: arrays.fit(points, grid, training=how)) for _ in range(5)]
        book = books[likeness] = turns[0][1]
        name = "as trained" if likeness is None else f"arranged, likeness {likeness:.2f}"
        errors = f"QE {book.quantization_error:.4f} | TE {book.topographic_error:.3f}"
        spent = min(t for t, _ in turns)
        print(f"| {name} | {spent:.3f} s | {errors} | neighbours {u_matrix(book).mean():.3f} |")
    for book in books.values():
        assert book.quantization_error == pytest.approx(books[None].quantization_error, rel=1e-9)
        assert book.topographic_error <= books[None].topographic_error + 0.02


@pytest.mark.parametrize("side", [3, 5, 10])
def test_transform_against_peers(timed, side):
    points = drawn(512 if timed else 32)
    book = arrays.fit(points[::7], (side, side))
    features = np.asfortranarray(points)  # as the teacher holds them
    peer = MiniSom(side, side, points.shape[1])
    peer._weights = book.weights.astype(float).reshape(side, side, -1)
    means = KMeans(side * side, init=book.weights, n_init=1, max_iter=1).fit(points[:1000])
    means.cluster_centers_ = book.weights.copy()
    ways = {
        "somray, features": lambda: arrays.assign(features, book),
        "somray, rows": lambda: arrays.assign(points, book),
        "pairwise_distances_argmin": lambda: pairwise_distances_argmin(points, book.weights),
        "KMeans.predict": lambda: means.predict(points),
        "MiniSom.quantization": lambda: peer.quantization(points),
    }
    spent = {name: [] for name in ways}
    with threadpool_limits(1):
        for _ in range(6 if timed else 1):
            for name, work in ways.items():
                spent[name].append(1e3 * timing(work)[0])
        expected = pairwise_distances_argmin(points, book.weights)
    print(f"\nTransform, {points.shape} to {side * side} nodes, one thread")
    best = statistics.median(spent["somray, features"])
    for name, times in spent.items():
        middle = statistics.median(times)
        print(f"| {name} | {middle:.2f} ms | best {min(times):.2f} | × {middle / best:.1f} |")
    assert (
        arrays.assign(features, book) == expected
    ).mean() > 0.9999  # ties may fall to either side
