"""The teacher against the truth of synthetic cohorts: lesions found, and maps that agree over time.

`python -m pytest tests/benchmarks/bench_phantom_truth.py --bench -s` prints the tables of the whole
cohorts; without `--bench` one small one of each kind, as a test. Fitted on one slice of the first
session of each subject in turn, carried to every subject and session; nothing is chosen with the truth.
Chosen by these figures: `PLATEAU` and the half height in `kernels/classes_contrast.py`, and the parting
of nodes in `kernels/classes/border.py`.
"""

import numpy as np
import pytest

from tests.benchmarks.phantom_sessions import LESION, agreement, dice, fitted, labelled, scans_of

pytestmark = pytest.mark.bench

LARGE, SMALL = (48, 192, 192), (16, 96, 96)


@pytest.fixture
def timed(request):
    return bool(request.config.getoption("--bench"))


def best_threshold(scan, modality):
    """Dice of the best threshold on the last channel, chosen with the truth: what one cut can reach."""
    values = scan.image[:, -1] * (-1 if modality == "xct" else 1)
    cuts = np.quantile(values[scan.truth], np.linspace(0.01, 0.9, 40))
    return max(dice(values > cut, scan.truth) for cut in cuts)


@pytest.mark.parametrize(("modality", "least"), [("xct", 0.9), ("petct", 0.85), ("ct", 0.85)])
def test_lesions_of_a_carried_teacher_against_the_truth(timed, modality, least):
    subjects, sessions = (2, 3) if timed else (2, 1)
    means = []
    for seed in (0, 1) if timed else (0,):
        cohort = [
            scans_of(modality, LARGE if timed else SMALL, sessions, seed, s)
            for s in range(subjects)
        ]
        scans = [scan for subject in cohort for scan in subject]
        cut = np.mean([best_threshold(scan, modality) for scan in scans])
        for source, subject in enumerate(cohort):
            model = fitted(modality, subject[0])
            found = [dice(labelled(model, scan) == LESION, scan.truth) for scan in scans]
            means.append(float(np.mean(found)))
            print(
                f"\n{modality} seed {seed}, fitted on subject {source}: mean Dice {means[-1]:.3f}, "
                f"least {min(found):.3f}; best threshold per scan, with the truth {cut:.3f}",
                end="",
            )
    assert np.mean(means) > least


@pytest.mark.parametrize("modality", ["xct", "petct", "ct"])
@pytest.mark.parametrize("still", [True, False])
def test_class_maps_agree_between_sessions(timed, modality, still):
    shape, found = LARGE if timed else SMALL, []
    for seed in (0, 1) if timed else (0,):
        sessions = scans_of(modality, shape, 3 if timed else 2, seed, 0, still)
        model = fitted(modality, sessions[0])
        found += [agreement(model, sessions[0], later) for later in sessions[1:]]
    whole, tissue = np.mean(found, axis=0)
    where = "lying still" if still else "moved, looked up by the true movement"
    print(
        f"\n{modality}, {where}: ARI {whole:.3f} (least {min(f[0] for f in found):.3f}), "
        f"without background {tissue:.3f}"
    )
    # A small scan is mostly border, which no lookup finds to the voxel.
    assert whole > (0.95 if still else (0.94 if timed else 0.8))
