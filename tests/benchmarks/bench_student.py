"""What a student learns from labels alone, on real slices: agreement on A, B, C and ten slices away, and its cost.

`SOMRAY_TEST_DATA=… pytest tests/benchmarks/bench_student.py --bench -s` prints the tables; without `--bench`
one small scan is trained for a moment, as a test. Figures are Dice and IoU with the teacher, whose masks of
B, C and of far slices nothing was learned from: agreement, not accuracy. The recipe was developed on
`DEVELOPED`; the others were looked at when it stood.
"""

import time

import numpy as np
import pytest

import somray
from tests.benchmarks.student_cases import (
    FURTHER,
    GOAL,
    dice,
    labelled,
    lessons,
    predicted,
    scans,
    student_spec,
    trained,
    windows_of,
)

pytestmark = pytest.mark.bench

DEVELOPED = ("STS_001", "STS_002", "ct3", "crlm")
QUICK = "STS_002"
FAR = 10
LEAST_PIXELS = 20
"""A slice where the teacher sees less says nothing."""


def _taught(scan, seconds, steps):
    """Learn A alone by the API; return the student and the slices A, B, C."""
    slices = scan.outward(3)
    images = scan.images[slices]
    masks, _ = labelled(scan.teacher, images, scan)
    windows = zip(scan.channels, windows_of(scan.teacher, scan), strict=True)
    intensity = {name: {"window": list(window)} for name, window in windows}
    how = {"steps": steps} if steps else {"seconds": seconds}
    student = somray.Student(scan.channels, intensity, **how)
    return student.fit(images[:1], masks[:1]), slices


def _judged(name, found, wanted):
    scores = [dice(f, w) for f, w in zip(found, wanted, strict=True)]
    cells = " ".join(f"{score:.4f}" for score in scores)
    ious = [score / (2 - score) for score in scores]
    print(f"  {name:28s} dice {cells}  mean {np.mean(scores):.4f}  iou {np.mean(ious):.4f}")
    return float(np.mean(scores))


@pytest.mark.timeout(3600)
def test_labels_alone(real_data, request):
    full = request.config.getoption("--bench")
    for scan in scans(real_data, (*GOAL, *FURTHER) if full else (QUICK,)):
        began, cpu = time.perf_counter(), time.process_time()
        student, slices = _taught(scan, 60.0, None if full else 40)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        told = "developed on" if scan.name in DEVELOPED else "not seen before"
        print(f"\n{scan.name}, {told}: {seconds:.0f} s, {cpu:.0f} CPU s")
        wanted, _ = labelled(scan.teacher, scan.images[slices], scan)
        near = _judged(
            "A, B, C, from A alone", student.predict_proba(scan.images[slices]) >= 0.5, wanted
        )
        far = [z for z in (scan.reference - FAR, scan.reference + FAR) if 0 <= z < len(scan.images)]
        wanted, _ = labelled(scan.teacher, scan.images[far], scan)
        far = [z for z, mask in zip(far, wanted, strict=True) if mask.sum() >= LEAST_PIXELS]
        if far:
            wanted, _ = labelled(scan.teacher, scan.images[far], scan)
            _judged("ten slices away", student.predict_proba(scan.images[far]) >= 0.5, wanted)
        assert near > 0.8


@pytest.mark.timeout(3600)
def test_rounds(real_data, request):
    full = request.config.getoption("--bench")
    asked = {} if full else {"steps": 20, "threads": 1}
    for scan in scans(real_data, (*GOAL, *FURTHER) if full else (QUICK,)):
        taught = lessons(scan, scan.outward(3 if full else 2))
        began, cpu = time.perf_counter(), time.process_time()
        found = trained(taught, student_spec(scan, **asked))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        last = found.result.convergence[-1]
        means = " ".join(f"{row['mean_iou']:.4f}" for row in found.result.convergence)
        control = last["control_iou"]
        print(
            f"{scan.name:12s} iou by round {means}  control {control or 0:.4f}  "
            f"copy {last['copy_forward_iou']:.3f}  {seconds:.0f} s, {cpu:.0f} CPU s"
        )
        assert predicted(found.model, scan.images[:1], scan).shape == scan.images[:1, 0].shape
