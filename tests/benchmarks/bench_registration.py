"""Plane registration on known motions of real neighbouring slices, beside OpenCV's ways, one thread.

`python -m pytest tests/benchmarks/bench_registration.py --bench -s` prints the tables; without `--bench` a
few pairs run as a test. Errors are mean distances over the middle 70 % of the slice and hold real change
of anatomy; the control moves the same slice, so it holds none. OpenCV's ways have no verdict: every answer
counts. Thresholds of `verdict.py` and `automatic.py` were chosen with other seeds (7–41).
"""

import statistics
import time

import cv2
import numpy as np
import pytest

from somray.kernels.registration import register
from tests.benchmarks import plane_peers
from tests.kernels.registration import scans
from tests.kernels.registration.known_motion import error_px, move_slice, similarity

pytestmark = pytest.mark.bench
SEED = 2026
JUDGED = ("somray auto", "somray KAZE hom.", "KAZE similarity", "ECC affine")
SUBJECTS = ("001", "003", "004", "012", "014", "022", "031")


def way(detector="kaze", model="auto", robust="ransac"):
    return lambda fixed, moving: register(fixed, moving, detector, model, robust).matrix


OURS = {
    "somray auto": way(),
    "somray KAZE hom.": way(model="homography"),
    "somray KAZE MAGSAC": way(model="homography", robust="magsac"),
}


def large(folder):
    return [("three slices", scans.three_slices(folder))]


def tissue(folder):
    own = [("abdomen", scans.abdomen(folder)), ("aorta", scans.aorta(folder)),
           ("fibres", scans.fibres(folder))]  # fmt: skip
    return own + [(f"CT {s}", scans.sarcoma(folder, s)) for s in SUBJECTS]


def uptake(folder):
    return [(f"PET {s}", scans.sarcoma(folder, s, "PET")) for s in SUBJECTS]


def thick(folder):
    return [("brain 6.5 mm", scans.brain(folder)), ("nodule 5 mm", scans.nodule(folder))]


SETS = {
    "512x512 (three slices)": (large, 2),
    "100-400 px (CT, CT of PET/CT, XCT)": (tissue, 2),
    "30-46 px (PET crops)": (uptake, 2),
    "thick slices (brain, nodule)": (thick, 4),
}


def noisy(image, rng):
    sigma = 0.05 * float(np.subtract(*np.nanpercentile(image, (99.5, 0.5))))
    return (image + rng.normal(0, sigma, image.shape)).astype(np.float32)


def halved(image, number):
    cut = image.copy()
    if number % 2:
        cut[:, : image.shape[1] // 2] = np.nan
    else:
        cut[image.shape[0] // 2 :] = 0.0
    return cut


def pairs(named, per_volume, seed=SEED):
    """Yield per pair: condition to (fixed, moving, true matrix), and slices that must be refused."""
    rng = np.random.default_rng(seed)
    for name, volume in named:
        # A single volume has no stranger: its own slices, mirrored and turned by a right angle.
        strangers = [v for n, v in named if n != name] or [volume[:, ::-1, ::-1].transpose(0, 2, 1)]
        for number, z in enumerate(
            rng.choice(len(volume) - 1, min(per_volume, len(volume) - 1), False)
        ):
            fixed, beside, shape = volume[z], volume[z + 1], volume[z].shape
            shift = rng.uniform(-0.25, 0.25, 2) * shape[::-1]
            matrix = similarity(shape, rng.uniform(-45, 45), rng.uniform(0.8, 1.2), shift)
            moved = move_slice(beside, matrix)
            hazy = noisy(fixed, rng), noisy(moved, rng)
            stranger = strangers[rng.integers(len(strangers))]
            other = stranger[rng.integers(len(stranger))]
            yield (
                {
                    "unmoved": (fixed, beside, np.eye(3)),
                    "moved": (fixed, moved, matrix),
                    "moved + noise": (*hazy, matrix),
                    "moved, half gone": (fixed, halved(moved, number), matrix),
                    "control": (fixed, move_slice(fixed, matrix), matrix),
                },
                {
                    "unrelated": (fixed, other),
                    "unrelated + noise": (hazy[0], noisy(other, rng)),
                    "flipped left-right": (fixed, moved[:, ::-1]),
                    "flipped up-down": (fixed, moved[::-1]),
                    "flipped + noise": (hazy[0], hazy[1][:, ::-1]),
                    "blank": (fixed, np.full_like(fixed, fixed.min())),
                },
            )


def measure(ways, cases):
    """Return errors and milliseconds per way and condition; None for a refusal."""
    results = {}
    for conditions, _ in cases:
        for condition, (fixed, moving, matrix) in conditions.items():
            for name, align in ways.items():
                start = time.process_time()
                found = align(fixed, moving)
                spent = 1e3 * (time.process_time() - start)
                error = None if found is None else error_px(found, matrix, fixed.shape)
                results.setdefault((condition, name), []).append((error, spent))
    return results


def invented(ways, cases):
    """Return per kind of wrong pair and way how many came back with a motion."""
    counts = {}
    for _, wrong in cases:
        for kind, (fixed, moving) in wrong.items():
            for name, align in ways.items():
                counts[kind, name] = counts.get((kind, name), 0) + (
                    align(fixed, moving) is not None
                )
    return counts


def printed(title, results, conditions):
    for condition in conditions:
        print(f"\n{title}: {condition} | median px | > 5 px | refused | ms (CPU) | of KAZE's")
        peer = results.get((condition, "KAZE similarity"))
        base = statistics.median(ms for _, ms in peer) if peer else float("nan")
        total = sum(ms for _, ms in peer) if peer else float("nan")
        for (which, name), rows in results.items():
            if which != condition:
                continue
            errors = [e for e, _ in rows if e is not None]
            spent = [ms for _, ms in rows]
            middle = statistics.median(errors) if errors else float("nan")
            print(f"  {name:18s} | {middle:.2f} | {sum(e > 5 for e in errors)}/{len(errors)} | "
                  f"{len(rows) - len(errors)} | {statistics.median(spent):.0f} | "
                  f"{statistics.median(spent) / base:.2f} (sums {sum(spent) / total:.2f})")  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


def test_a_few_real_pairs_are_right_and_wrong_ones_refused(real_data):
    ways = {"somray auto": OURS["somray auto"]}
    cases = list(pairs(tissue(real_data)[:6], 1, seed=1))
    results = measure(ways, cases)
    for condition, most in (
        ("unmoved", 1.0),
        ("moved", 1.0),
        ("moved + noise", 1.5),
        ("control", 0.1),
    ):
        errors = [e for e, _ in results[condition, "somray auto"] if e is not None]
        assert len(errors) >= 5
        assert statistics.median(errors) <= most
        assert max(errors) <= 5
    assert sum(invented(ways, cases).values()) == 0


@pytest.mark.parametrize("title", SETS)
def test_planes_moved_by_a_known_similarity(real_data, request, title):
    if not request.config.getoption("--bench"):
        pytest.skip("minutes; a few pairs run above")
    load, per_volume = SETS[title]
    cases = list(pairs(load(real_data), per_volume))
    register(*cases[0][0]["moved"][:2])  # compiles
    results = measure(OURS | plane_peers.WAYS, cases)
    printed(title, results, cases[0][0])
    judged = {k: v for k, v in (OURS | plane_peers.WAYS).items() if k in JUDGED}
    counts = invented(judged, cases)
    print(f"\n{title}: wrong pairs that came back with a motion, of {len(cases)} each")
    for name in judged:
        print(
            f"  {name:18s} | " + ", ".join(f"{k} {n}" for (k, w), n in counts.items() if w == name)
        )
    # The goal is none; the femur of one person laid on another's is what passes here (LOG.md).
    wrong = sum(n for (_, name), n in counts.items() if name == "somray auto")
    assert wrong <= 0.02 * 6 * len(cases)
