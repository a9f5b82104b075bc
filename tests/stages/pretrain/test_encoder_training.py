"""The training of an encoder where it is interrupted: the same bits, and no other training's state."""

from dataclasses import replace

import numpy as np
import pytest

from somray.runtime import train
from somray.runtime.train import train_in_process
from somray.stages.pretrain.training import EncoderTraining
from tests.kernels.pretrain.textures import pieces, spec_of

SPEC = spec_of(target="nodes2", steps=26, patch=16, block=4, batch=2)  # two epochs, twice


class Killed(BaseException):
    """The end of a process."""


def same(one, other):
    rows = [[{**row, "seconds": 0} for row in found.training] for found in (one, other)]
    assert rows[0] == rows[1]
    assert one.model.history == other.model.history
    for name, weights in one.model.weights.items():
        np.testing.assert_array_equal(weights, other.model.weights[name])


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_training_that_is_killed_goes_on_to_the_same_bits(tmp_path, monkeypatch, epochs):
    training = EncoderTraining(pieces(), SPEC)
    whole = training.run()
    write, written = train._KeptState.write, []

    def write_and_die(self, state):
        self._next = 0.0
        write(self, state)
        written.append(state)
        if len(written) == epochs:
            raise Killed

    monkeypatch.setattr(train._KeptState, "write", write_and_die)
    with pytest.raises(Killed):
        train_in_process(training, name="t", storage_path=str(tmp_path))
    resumed = train_in_process(training, name="t", storage_path=str(tmp_path))
    assert len(written) == 4
    same(resumed, whole)


def test_its_name_tells_pieces_spec_and_workers():
    training = EncoderTraining(pieces(), SPEC)
    names = {
        training.digest(1),
        training.digest(2),
        EncoderTraining(pieces(3), SPEC).digest(1),
        EncoderTraining(pieces(), replace(SPEC, masked=0.5)).digest(1),
    }
    assert len(names) == 4
    assert training.digest(1) == EncoderTraining(pieces(), SPEC).digest(1)
    assert training.is_due()
    assert training.threads == SPEC.threads
