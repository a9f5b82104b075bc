"""Training in process: what it leaves where it is killed, and that it goes on from there."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from somray.domain.run import RunLayout
from somray.errors import StoreError
from somray.io.storage import Storage
from somray.kernels.student.rounds.run import train_rounds
from somray.kernels.student.rounds.spec import Distributed, StudentSpec
from somray.kernels.student.rounds.state import state_from_bytes
from somray.runtime import train
from somray.runtime.train import train_in_process
from somray.stages.student.training import StudentTraining
from tests.cohort_fixtures import run_in
from tests.pipeline.same import differences
from tests.student_fixtures import lessons_of

SPEC = StudentSpec(
    channels=("CT",),
    kinds=("CT",),
    windows=((-60.0, 120.0),),
    rounds=2,
    steps=24,
    threads=1,
)


def slices():
    images = np.random.default_rng(0).normal(0, 10, (2, 1, 24, 28)).astype(np.float32)
    images[:, :, 6:16, 8:21] += 60
    masks = images[:, 0] > 30
    return lessons_of(images, masks, np.ones(masks.shape, dtype=bool))


def taught():
    """The slices, and one image of the cohort."""
    first, second = slices()
    return [first, second, replace(second, cohort=True)]


def die_after(count):
    """Let this process be killed as soon as it has written that many states of a training."""
    written = Counter()
    write = train._KeptState.write

    def write_and_die(self, state):
        self._next = 0.0
        write(self, state)
        written["states"] += 1
        if written["states"] == count:
            os.kill(os.getpid(), signal.SIGKILL)

    train._KeptState.write = write_and_die


@pytest.fixture(scope="module")
def undisturbed():
    every = []
    return train_rounds(taught(), SPEC, Distributed(save=every.append)), every


@pytest.mark.parametrize("count", [1, 5, 10])
def test_an_interrupted_training_goes_on_from_its_last_epoch_and_ends_with_the_same_bits(
    undisturbed, tmp_path, monkeypatch, count
):
    whole, every = undisturbed
    # Two epochs of round 1, two of round 2 and its control, two of the cohort's, and every round's end.
    assert len(every) == 11

    def refuse(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        patch.setattr(train._KeptState, "write", train._KeptState.write)  # undone after
        die_after(count)
        with pytest.raises(KeyboardInterrupt):
            train_in_process(StudentTraining(taught(), SPEC), name="p", storage_path=str(tmp_path))
    (file,) = tmp_path.iterdir()
    left, expected = state_from_bytes(file.read_bytes()), every[count - 1]
    assert (left.done, len(left.fits)) == (expected.done, len(expected.fits))
    later = []
    monkeypatch.setattr(train._KeptState, "write", lambda self, state: later.append(state))
    found = train_in_process(StudentTraining(taught(), SPEC), name="p", storage_path=str(tmp_path))
    assert len(later) == len(every) - count
    assert found.agreement == whole.agreement
    assert found.convergence == whole.convergence
    assert found.model.history == whole.model.history
    for key, value in whole.model.weights.items():
        np.testing.assert_array_equal(found.model.weights[key], value)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_whose_driver_was_killed_while_it_trained_equals_an_undisturbed_one(
    finished, finished_copy, cohort_folder, monkeypatch
):
    place = finished_copy
    shutil.rmtree(place / RunLayout.ledger("student", "phantom-ct"))  # it was never trained
    code = "from tests.runtime.test_train import *; from pathlib import Path; die_after(4)"
    code += f"; run_in(Path({str(cohort_folder)!r}), {f'output={place}'!r})"
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=300)
    assert ended.returncode == -signal.SIGKILL
    (folder,) = (place / "work/train").iterdir()
    (file,) = folder.iterdir()
    assert state_from_bytes(file.read_bytes()).done == 1
    later = []
    monkeypatch.setattr(train._KeptState, "write", lambda self, state: later.append(state))
    run_in(cohort_folder, f"output={place}")
    assert {state.done for state in later} == {2, 3}  # nothing of before was trained again
    assert differences(finished[0], place) == []
    assert not list((place / "work/train").iterdir())  # the student stands


def test_the_first_state_is_written_and_slow_storage_is_not_written_to_all_the_time(
    tmp_path, monkeypatch
):
    ticks = iter(range(0, 10_000, 10))  # every look at the clock takes ten seconds
    monkeypatch.setattr(train.time, "perf_counter", lambda: float(next(ticks)))
    writes = []
    monkeypatch.setattr(Storage, "write_bytes", lambda self, name, data: writes.append(name))
    train_in_process(StudentTraining(slices(), SPEC), name="p", storage_path=str(tmp_path))
    assert len(writes) < 9
    assert set(writes) == {f"p-{StudentTraining(slices(), SPEC).digest(1)}.npz"}


def test_a_state_that_cannot_be_read_is_no_silent_fresh_start(tmp_path):
    (tmp_path / f"p-{StudentTraining(slices(), SPEC).digest(1)}.npz").write_bytes(b"broken")
    with pytest.raises(StoreError, match="remove it"):
        train_in_process(StudentTraining(slices(), SPEC), name="p", storage_path=str(tmp_path))


def test_another_configuration_or_other_pixels_have_another_name():
    first, second = slices()
    brighter = replace(first, values=first.values + 1)
    names = {
        StudentTraining([first, second], SPEC).digest(1),
        StudentTraining([first, second], SPEC).digest(2),
        StudentTraining([first, second], replace(SPEC, steps=4)).digest(1),
        StudentTraining([brighter, second], SPEC).digest(1),
        StudentTraining([replace(first, windows=((0.0, 1.0),)), second], SPEC).digest(1),
        StudentTraining([first], SPEC).digest(1),
        StudentTraining([first, replace(second, cohort=True)], SPEC).digest(1),
        StudentTraining([first, replace(second, weight=0.5 * second.weight)], SPEC).digest(1),
        StudentTraining([first, replace(second, target=1 - second.target)], SPEC).digest(1),
    }
    assert len(names) == 9
    assert StudentTraining(slices(), SPEC).digest(1) in names
