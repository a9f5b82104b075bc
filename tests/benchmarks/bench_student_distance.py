"""How far from the labelled slice does a student hold, and do pseudo-labels carry it further?

`SOMRAY_TEST_DATA=… pytest tests/benchmarks/bench_student_distance.py --bench -s` prints a table for each
scan (±1, ±5, ±10, ±20 slices) and each subject whose student is carried to the others of its cohort.
Without `--bench` one small scan runs, as a test. `-k` with a scan's name runs that one alone.

Figures are Dice with the teacher of A carried there: agreement, not accuracy. In the tables stand
    copy        A's mask as it is,
    control     a student that trained as many steps, on A alone,
    near        rounds outward over the nearest slices (A, +1, -1, +2): the pipeline's own,
    far         rounds over slices that are as far as those measured: A, 5, 10 and 20 to one side, whose
                pseudo-labels are the student's own. The other side is held out, and so are the subjects
                that are not among its rounds.
Slices where the teacher sees less than LEAST_PIXELS are left out: Dice says nothing there.
"""

import numpy as np
import pytest

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
)

pytestmark = pytest.mark.bench

OFFSETS = (1, 5, 10, 20)
QUICK, QUICK_STEPS = "STS_002", 15
DEEP = [name for name in (*GOAL, *FURTHER) if name != "ct3"]
COHORT = sorted(name for name in (*GOAL, *FURTHER) if name.startswith("STS_"))
SOURCES = [name for name in GOAL if name.startswith("STS_")]
EVERY = 4
"""Slices of another subject that are measured: every fourth."""
LEAST_PIXELS = 20


def far_slices(scan, count):
    """Return A and slices at the first `count` offsets, on the side where the scan is deeper."""
    first, depth = scan.reference, len(scan.images)
    side = 1 if depth - first > first else -1
    places = [first + side * offset for offset in OFFSETS[1:]]
    return [first, *(z for z in places if 0 <= z < depth)][: count + 1], side


def students(scan, quick):
    """Train the students that are compared, each over as many rounds of as many steps."""
    asked = {"steps": QUICK_STEPS, "threads": 1} if quick else {}
    far, side = far_slices(scan, 1 if quick else len(OFFSETS) - 1)
    spec = student_spec(scan, **asked)
    found = trained(lessons(scan, far), spec)
    models = {"control": found.control, "far": found.model}
    if not quick:
        models["near"] = trained(lessons(scan, scan.outward(len(far))), spec).model
    return models, far, side


def measured(scan, models):
    """Return {offset: {method: Dice}} of the slices that the scan has, below A and above it."""
    first, table = scan.reference, {}
    reference = labelled(scan.teacher, scan.images[first : first + 1], scan)[0]
    for offset in sorted(side * step for step in OFFSETS for side in (-1, 1)):
        z = first + offset
        if not 0 <= z < len(scan.images):
            continue
        image = scan.images[z : z + 1]
        mask = labelled(scan.teacher, image, scan)[0]
        if mask.sum() >= LEAST_PIXELS:
            seen = {kind: predicted(model, image, scan) for kind, model in models.items()}
            table[offset] = {k: dice(m, mask) for k, m in ({"copy": reference} | seen).items()}
    return table


def told(title, table, methods):
    """Print a table, one method a line."""
    print(f"\n{title}\n  {'':10s}" + "".join(f"{column!s:>9}" for column in table))
    for method in methods:
        cells = "".join(f"{row[method]:9.4f}" if method in row else f"{'-':>9}"
                        for row in table.values())  # fmt: skip
        print(f"  {method:10s}{cells}", flush=True)


def gain(rows):
    """Say how pseudo-labels fare against the control over {(place, is held out): {method: Dice}}."""
    for held_out in (False, True):
        some = [row for (_, out), row in rows.items() if out == held_out]
        if some:
            apart = np.array([row["far"] - row["control"] for row in some])
            print(
                f"  {'held out' if held_out else 'among its rounds'}: far minus control "
                f"mean {apart.mean():+.4f}, least {apart.min():+.4f}, most {apart.max():+.4f}, "
                f"better {int((apart > 0).sum())} of {len(apart)}"
            )


@pytest.fixture(scope="module")
def distances():
    """Collect every scan's rows and print what holds over all of them."""
    found = {}
    yield found
    for step in OFFSETS:
        rows = {key: row for key, row in found.items() if abs(key[0][1]) == step}
        if rows:
            methods = ("copy", "control", "near", "far")
            means = {m: np.mean([r[m] for r in rows.values()]) for m in methods
                     if all(m in r for r in rows.values())}  # fmt: skip
            print(f"\n±{step}: " + "  ".join(f"{m} {v:.4f}" for m, v in means.items()))
            gain(rows)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", DEEP)
def test_students_far_from_the_labelled_slice(name, real_data, request, distances):
    full = request.config.getoption("--bench")
    if not full and name != QUICK:
        pytest.skip("the other scans run with --bench")
    scan = next(scans(real_data, (name,)))
    models, far, side = students(scan, not full)
    table = measured(scan, models)
    told(f"{name}, A = {scan.reference}, far rounds on {far}", table, ["copy", *models])
    for offset, row in table.items():
        distances[(name, offset), offset * side < 0 or abs(offset) == 1] = row
    assert table[1]["control"] > 0.9
    assert np.mean([row["far"] - row["copy"] for row in table.values()]) > 0.0


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SOURCES)
def test_students_carried_to_other_subjects(name, real_data, request):
    if not request.config.getoption("--bench"):
        pytest.skip("whole subjects: only with --bench")
    source = next(scans(real_data, (name,)))
    others = [other for other in COHORT if other != name]
    at = COHORT.index(name)
    helping = [COHORT[(at + step) % len(COHORT)] for step in (1, 3, 5)]
    taught = lessons(source, [source.reference])
    for scan in scans(real_data, helping):
        taught += lessons(scan, [scan.reference], source.teacher)
    found = trained(taught, student_spec(source))
    models, table = {"control": found.control, "far": found.model}, {}
    for scan in scans(real_data, others):
        images = scan.images[scan.reference % EVERY :: EVERY]
        mask = labelled(source.teacher, images, scan)[0]
        seen = {k: predicted(m, images, scan, source.teacher) for k, m in models.items()}
        table[scan.name] = {kind: dice(m, mask) for kind, m in seen.items()}
    told(f"teacher and student of {name}, far rounds on {helping}", table, models)
    gain({(other, other not in helping): row for other, row in table.items()})
    assert np.mean([row["control"] for row in table.values()]) > 0.8
