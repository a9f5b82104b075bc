"""Training on a GPU: the same bits twice, also across an interruption, and about what a CPU learns."""

import os

import numpy as np
import pytest
import torch

from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import new_unet, unet_weights
from somray.kernels.student.training.loop import train_network
from somray.kernels.student.training.schedule import ProcessGroup, TrainingHooks, TrainingSchedule
from tests.student_fixtures import example_of, hu_image, small_shape

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
SCHEDULE = TrainingSchedule(steps=60, patch=24, batch=4, rate=4e-2, epoch_steps=20)
EITHER = pytest.mark.parametrize("dimensions", [2, 3])


@pytest.fixture(autouse=True)
def cublas(monkeypatch):
    monkeypatch.setitem(os.environ, "CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def trained(dimensions, device, hooks=None, *, bf16=False):
    shape = (64, 56) if dimensions == 2 else (16, 20, 22)
    module = new_unet(small_shape(dimensions), 0).to(device)
    with deterministic(1):
        group = ProcessGroup(device=device, bf16=bf16)
        of = [example_of(*hu_image(shape))]
        state = train_network(module, of, SCHEDULE, (0,), group, hooks)
    return unet_weights(module), state.rows


@EITHER
@pytest.mark.parametrize("bf16", [False, True])
def test_a_gpu_gives_the_same_bits_twice_and_across_an_interruption(dimensions, bf16):
    states = []
    weights, rows = trained(dimensions, "cuda", TrainingHooks(save=states.append), bf16=bf16)
    for hooks in (TrainingHooks(), TrainingHooks(resume=states[1])):
        again, other = trained(dimensions, "cuda", hooks, bf16=bf16)
        assert other == rows
        for name, array in weights.items():
            np.testing.assert_array_equal(again[name], array)


@EITHER
@pytest.mark.parametrize("bf16", [False, True])
def test_a_gpu_learns_what_a_cpu_learns(dimensions, bf16):
    losses = [
        trained(dimensions, "cpu")[1][-1]["loss"],
        trained(dimensions, "cuda", bf16=bf16)[1][-1]["loss"],
    ]
    assert losses[1] < losses[0] + 0.1
