"""Rounds through Ray Train: the bits of one process, and a way on after a worker's death."""

import asyncio
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from ray import cloudpickle

from somray.domain.work import Needs, Result, Unit
from somray.errors import PlanError
from somray.kernels.student.rounds.run import train_rounds
from somray.kernels.student.rounds.spec import Distributed, StudentSpec
from somray.runtime.on_ray.executor import RayExecutor
from somray.runtime.on_ray.train import train_with_ray
from somray.stages.pretrain.training import EncoderTraining
from somray.stages.student.training import StudentTraining
from tests.kernels.pretrain import textures
from tests.student_fixtures import lessons_of

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
    kinds=("CT",),
    windows=((-60.0, 120.0),),
    rounds=2,
    steps=30,
    threads=1,
)


@pytest.fixture(scope="module", autouse=True)
def textures_of_workers():
    cloudpickle.register_pickle_by_value(textures)  # workers cannot import tests


@pytest.fixture(scope="module")
def slices():
    images = np.random.default_rng(0).normal(0, 8, (2, 1, 24, 28)).astype(np.float32)
    images[:, :, 6:16, 8:21] += 120
    masks = images[:, 0] > 60
    first, second = lessons_of(images, masks, np.ones(masks.shape, dtype=bool))
    return [first, second, replace(second, cohort=True)]


def _same(first, second):
    assert first.agreement == second.agreement
    assert first.convergence == second.convergence
    assert first.model.history == second.model.history
    for key, value in first.model.weights.items():
        np.testing.assert_array_equal(value, second.model.weights[key])


@dataclass(frozen=True, eq=False)
class DiesOnce(StudentTraining):
    """Training whose process is killed in the middle of round 2, the first time; tells every epoch."""

    told: str = ""

    def run(self, resume=None, save=None, **gang):
        def save_and_die(state):
            with open(self.told, "a") as file:
                file.write(f"{os.getpid()} {state.done} {len(state.fits)}\n")
            save(state)
            told = Path(self.told).read_text().splitlines()
            if len(told) == 5 and state.fits:
                os.kill(os.getpid(), signal.SIGKILL)

        return StudentTraining.run(self, resume, save and save_and_die, **gang)


def _lives(told):
    """Return what each process told, in order."""
    lines = [line.split() for line in told.read_text().splitlines()]
    return [
        [tuple(map(int, line[1:])) for line in lines if line[0] == process]
        for process in dict.fromkeys(line[0] for line in lines)
    ]


@pytest.mark.timeout(600)
def test_one_worker_that_is_killed_ends_with_the_bits_of_an_undisturbed_process(
    cluster, slices, tmp_path
):
    told = tmp_path / "told"
    place = {"name": "p-1", "storage_path": str(tmp_path / "train"), "workers": 1}
    found = train_with_ray(DiesOnce(slices, SPEC, told=str(told)), **place)
    every = []
    _same(found, train_rounds(slices, SPEC, Distributed(save=every.append)))
    first, second = _lives(told)
    whole = [(state.done, len(state.fits)) for state in every]
    assert first == whole[:5]
    # On a busy machine the last reports may not have reached the controller: it goes on from one that has.
    assert second in [whole[reached:] for reached in range(1, 6)]
    (folder,) = (tmp_path / "train").iterdir()
    assert folder.name.startswith("p-1-")


def _train_and_die(item, shared):
    """A unit that trains, and whose worker is killed in the middle the first time."""
    from somray.runtime import train as there

    write = there._KeptState.write

    def write_and_die(self, state):
        self._next = 0.0
        write(self, state)
        with open(item["told"], "a") as file:
            file.write(f"{os.getpid()} {state.done} {len(state.fits)}\n")
        if len(Path(item["told"]).read_text().splitlines()) == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    there._KeptState.write = write_and_die
    found = shared(item["training"], name="p", storage_path=item["place"])
    return Result(value={"result": found})


@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_while_it_trains_goes_on_from_its_last_epoch(
    cluster, slices, tmp_path
):
    told = tmp_path / "told"
    item = {
        "told": str(told),
        "place": str(tmp_path / "train"),
        "training": StudentTraining(slices, SPEC),
    }
    unit = Unit("student", "p", "p", "d", item, Needs(memory_bytes=2**28))

    async def go():
        executor = RayExecutor()
        trainer = executor.trainer(1, "auto")
        assert not trainer.waits  # small protocols train in a worker
        outcome = await executor.submit(_train_and_die, unit, trainer.run, actor="p")
        await executor.release("p")
        return outcome

    outcome = asyncio.run(go())
    assert (outcome.code, outcome.attempts) == (None, 2)
    every = []
    _same(
        outcome.result.value["result"], train_rounds(slices, SPEC, Distributed(save=every.append))
    )
    first, second = _lives(told)
    whole = [(state.done, len(state.fits)) for state in every]
    assert (first, second) == (whole[:5], whole[5:])


@pytest.mark.timeout(600)
def test_two_workers_train_one_student(cluster, slices, tmp_path):
    place = {"name": "p-2", "storage_path": str(tmp_path), "workers": 2}
    found = train_with_ray(StudentTraining(slices, SPEC), **place)
    assert [row["stage"] for row in found.convergence] == ["A", "A+B", "cohort"]
    assert found.convergence[-1]["mean_iou"] > 0.8


@pytest.mark.timeout(600)
def test_an_encoder_has_the_bits_of_one_that_was_trained_in_process(cluster, tmp_path):
    spec = textures.spec_of(steps=26, patch=16, block=4, batch=2)
    training = EncoderTraining(textures.pieces(), spec)
    found = train_with_ray(training, name="e", storage_path=str(tmp_path))
    whole = training.run()
    assert found.model.history == whole.model.history
    for name, weights in whole.model.weights.items():
        np.testing.assert_array_equal(weights, found.model.weights[name])


def test_more_workers_than_cpus_are_refused_rather_than_waited_for(cluster, slices, tmp_path):
    place = {"name": "p", "storage_path": str(tmp_path)}
    with pytest.raises(PlanError, match="need a CPU each"):
        train_with_ray(StudentTraining(slices, SPEC), workers=9, **place)
    with pytest.raises(PlanError, match="0 GPUs"):
        train_with_ray(StudentTraining(slices, SPEC), use_gpu=True, **place)


def test_nothing_is_started_for_a_slice_without_target(slices, tmp_path):
    none = [replace(lesson, target=np.zeros_like(lesson.target)) for lesson in slices]
    place = {"name": "p", "storage_path": str(tmp_path)}
    found = train_with_ray(StudentTraining(none, SPEC), **place)
    assert "absent" in found.model.history["note"]
    assert not any(tmp_path.iterdir())
