"""Near-symmetric bodies between sessions: what a mirror image equals must register where the sides are known.

`python -m pytest tests/benchmarks/bench_symmetric.py --bench -s` prints the table; without `--bench` a few
slices of one brain run as a test.
"""

import statistics
from collections import Counter, defaultdict

import pytest

from somray.kernels.registration import register
from tests.benchmarks.symmetric_cases import bodies, seeded, sessions, wrong
from tests.kernels.registration.known_motion import error_px

pytestmark = pytest.mark.bench
MOST_PX = 1.0
GOOD = ("as it is", "height", "height and contrast")


def judged(everyone, names, oriented, slices=None):
    """Register everything; (body, kind) to statuses and errors."""
    states, errors = defaultdict(Counter), defaultdict(list)
    for name in names:
        volume, chosen = everyone[name]
        for z in list(chosen)[:slices]:
            cases = [(k, f, m, t) for k, f, m, t in sessions(volume, z, seeded(name, z))]
            cases += [(k, f, m, None) for k, f, m in wrong(name, z, everyone, seeded(name, z))]
            for kind, fixed, moving, truth in cases:
                found = register(fixed, moving, oriented=oriented)
                states[name, kind][found.status] += 1
                if truth is not None and found.matrix is not None:
                    errors[name, kind].append(error_px(found.matrix, truth, fixed.shape))
    return states, errors


def rows(states, errors, good):
    """Return kind to (registered, far, of) of true pairs, or to (invented, of) of wrong ones."""
    told = defaultdict(lambda: [0, 0, 0])
    for (name, kind), counts in states.items():
        if (kind in GOOD) == good:
            told[kind][0] += counts["ok"] + counts["weak"]
            told[kind][1] += sum(e > MOST_PX for e in errors.get((name, kind), []))
            told[kind][2] += sum(counts.values())
    return told


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("oriented", [True, False], ids=["sides known", "sides unknown"])
def test_turned_symmetric_slices_register_and_wrong_ones_are_refused(real_data, request, oriented):
    timed = bool(request.config.getoption("--bench"))
    everyone = bodies(real_data)
    names = list(everyone) if timed else ["brain MR"]
    states, errors = judged(everyone, names, oriented, None if timed else 1)
    print(f"\nsides {'known' if oriented else 'unknown'}")
    for (name, kind), counts in states.items():
        middle = statistics.median(errors.get((name, kind), []) or [float("nan")])
        print(f"  {name:12s} {kind:20s} {dict(counts)} median {middle:.2f} px")
    true, false = rows(states, errors, True), rows(states, errors, False)
    print({k: tuple(v) for k, v in true.items()}, {k: (v[0], v[2]) for k, v in false.items()})
    if oriented:
        found, far, of = (sum(v[k] for v in true.values()) for k in range(3))
        assert found - far >= (0.9 if timed else 1.0) * of
    assert sum(v[0] for k, v in false.items() if k != "half a scan away") == 0
