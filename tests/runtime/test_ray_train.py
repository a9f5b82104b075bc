"""Rounds through Ray Train: the bits of one process, and a way on after a worker's death."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray import cloudpickle

from somray.errors import PlanError
from somray.kernels.student.fit import Gang
from somray.kernels.student.lesson import lessons_of
from somray.kernels.student.rounds import StudentSpec, train_rounds
from somray.kernels.student.spec import RoundsResult, RoundState
from somray.runtime import ray_train
from somray.runtime.ray_session import ray_session

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    # Ray's own start-up code leaves files open and warns of its future defaults.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SPEC = StudentSpec(
    channels=("CT",),
    windows=((-3.0, 6.0),),
    feature_names=("intensity", "mean3"),
    rounds=2,
    steps=3,
    threads=1,
)


@pytest.fixture(scope="module")
def cluster():
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
    with ray_session(cpus=3):
        yield


@pytest.fixture(scope="module")
def slices():
    images = np.random.default_rng(0).normal(0, 0.5, (2, 1, 24, 28)).astype(np.float32)
    images[:, :, 6:16, 8:21] += 3
    masks = images[:, 0] > 1.5
    return lessons_of(images, masks, np.ones(masks.shape, dtype=bool))


def _same(first, second):
    assert first.agreement == second.agreement
    assert first.convergence == second.convergence
    assert first.model.history == second.model.history
    for key, value in first.model.weights.items():
        np.testing.assert_array_equal(value, second.model.weights[key])


class _DiesOnce:
    """Training whose process is killed after round 1, the first time."""

    def __init__(self, mark) -> None:
        self._mark = mark

    def __call__(self, lessons, spec, distributed, clock) -> RoundsResult:
        save = distributed.save

        def save_and_die(state):
            save(state)
            if not os.path.exists(self._mark):
                Path(self._mark).touch()
                os.kill(os.getpid(), signal.SIGKILL)

        dying = replace(distributed, save=save_and_die)
        return train_rounds(lessons, spec, dying, clock)


@pytest.mark.timeout(600)
def test_one_worker_that_is_killed_ends_with_the_bits_of_an_undisturbed_process(
    cluster, slices, tmp_path, monkeypatch
):
    mark = tmp_path / "died"
    place = {"name": "p-1", "storage_path": str(tmp_path / "train"), "workers": 1}

    def dying_loop(config):
        from somray.runtime import ray_train as there  # the worker's own, which nobody patched

        there.train_rounds = _DiesOnce(str(mark))
        there._train_loop(config)

    monkeypatch.setattr(ray_train, "_train_loop", dying_loop)
    found = ray_train.fit_rounds_with_ray_train(slices, SPEC, **place)
    assert mark.exists()
    _same(found, train_rounds(slices, SPEC))
    (folder,) = (tmp_path / "train").iterdir()
    assert folder.name.startswith("p-1-")


@pytest.mark.timeout(600)
def test_two_workers_train_one_student(cluster, slices, tmp_path):
    place = {"name": "p-2", "storage_path": str(tmp_path), "workers": 2}
    found = ray_train.fit_rounds_with_ray_train(slices, SPEC, **place)
    assert len(found.convergence) == 2
    assert found.convergence[-1]["mean_iou"] > 0.8


def test_more_workers_than_cpus_are_refused_rather_than_waited_for(cluster, slices, tmp_path):
    place = {"name": "p", "storage_path": str(tmp_path)}
    with pytest.raises(PlanError, match="need a CPU each"):
        ray_train.fit_rounds_with_ray_train(slices, SPEC, workers=9, **place)
    with pytest.raises(PlanError, match="0 GPUs"):
        ray_train.fit_rounds_with_ray_train(slices, SPEC, use_gpu=True, **place)


def test_nothing_is_started_for_a_slice_without_target(slices, tmp_path):
    none = [replace(lesson, teacher=np.zeros_like(lesson.teacher)) for lesson in slices]
    place = {"name": "p", "storage_path": str(tmp_path)}
    found = ray_train.fit_rounds_with_ray_train(none, SPEC, **place)
    assert "absent" in found.model.history["note"]
    assert not any(tmp_path.iterdir())


def test_another_configuration_or_other_pixels_have_another_name(slices):
    brighter = replace(slices[0], image=slices[0].image + 1)
    names = {
        ray_train._digest(slices, SPEC, (1, False)),
        ray_train._digest(slices, SPEC, (2, False)),
        ray_train._digest(slices, replace(SPEC, steps=4), (1, False)),
        ray_train._digest([brighter, *slices[1:]], SPEC, (1, False)),
    }
    assert len(names) == 4


def test_a_state_survives_storage(tmp_path):
    weights = {
        "a.b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "c": np.float32(2) * np.ones(()),
    }
    rows = [{"round": 1, "dice": 0.1 + 0.2, "iou": None, "converged": False}]
    state = RoundState(2, 1, weights, {}, rows, rows, rows, (2,))
    ray_train._write_state(tmp_path / "round.npz", state)
    found = ray_train._read_state(tmp_path / "round.npz")
    assert (found.done, found.kept, found.collapsed) == (2, 1, (2,))
    assert found.agreement == found.convergence == found.training == rows
    assert found.control == {}
    for key, value in weights.items():
        np.testing.assert_array_equal(found.student[key], value)
    assert Gang().world == 1
