"""Lesions through time against the truth of synthetic cohorts: movement, events, identities, volumes.

`python -m pytest tests/benchmarks/bench_evolution.py --bench -s` makes cohorts of four sessions, follows
their true masks by the kernels alone, runs them from files to tables, and prints both. Without `--bench`
two small subjects of three sessions are followed by the kernels.

Nothing was chosen on the seed below. `LEAST_LEFT` in kernels/counted.py was chosen on seed 7 of the PET/CT
cohort, the constants of kernels/surroundings.py by bench_surroundings.py, on seed 7 and on real scans.
"""

import time

import numpy as np
import pytest

from somray.phantom.files.write import write_phantom
from tests.benchmarks.evolution_cohorts import compared, made, run_whole, tracked, written
from tests.benchmarks.evolution_scores import JUMPS, Score

pytestmark = pytest.mark.bench

SEED = 0
SHAPES = {"ct": (32, 128, 128), "petct": (32, 128, 128), "xct": (48, 96, 96)}
SUBJECTS = {"ct": 10, "petct": 5, "xct": 5}
SESSIONS = 4


@pytest.fixture
def timed(request):
    return bool(request.config.getoption("--bench"))


def every_event_is_found(total):
    return all(total.found_events[kind] == total.true_events[kind] for kind in JUMPS)


def nothing_is_invented(total):
    return not any(total.false_events.values()) and total.spurious == 0


def test_true_masks_and_movements_give_every_event_and_identity():
    total = Score()
    for number in range(2):
        total = total + tracked(made("ct", (16, 64, 64), 3, SEED, number), f"s{number}")
    assert total.lesion_sessions > 15
    assert every_event_is_found(total)
    assert nothing_is_invented(total)
    assert total.identity == 1.0


@pytest.mark.parametrize(("modality", "segment"), [("ct", "som"), ("petct", "som"), ("xct", "som"),
                                                   ("ct", "student")])  # fmt: skip
def test_cohorts_from_files_to_tables(timed, tmp_path, modality, segment):
    if not timed:
        pytest.skip("a whole cohort: --bench only")
    few = segment == "student"
    subjects, sessions = (2, 3) if few else (SUBJECTS[modality], SESSIONS)
    write_phantom(tmp_path, subjects, sessions, SHAPES[modality], modality, "nifti", SEED)
    alone = sum((tracked(truth, name) for name, truth in written(tmp_path)), Score())
    start = time.perf_counter()
    run_whole(tmp_path, segment)
    seconds = time.perf_counter() - start
    total, off = compared(tmp_path)
    print(f"\n{modality}, {segment}, {subjects} × {sessions} sessions, run in {seconds:.0f} s")
    print(f"  true masks and movements: {alone.lines()}")
    print(f"  the whole run: {total.lines()}")
    print(
        f"  movement off by a median of {np.median(off[:, 0]):.2f} voxels, at most {off[:, 1].max():.2f} "
        f"voxels or {off[:, 2].max():.2f} mm in a corner, over {len(off)} sessions"
    )
    print("".join(f"    {line}\n" for line in (*alone.told, *total.told)), end="")
    assert every_event_is_found(alone)
    assert nothing_is_invented(alone)
    assert alone.identity == 1.0
    assert np.median(off[:, 0]) < 0.5
    assert total.identity >= 0.98
    assert every_event_is_found(total)
    assert nothing_is_invented(total)
