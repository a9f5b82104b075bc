"""Training on a GPU: the same bits twice, also across an interruption, and about what a CPU learns."""

import os

import numpy as np
import pytest
import torch

from somray.kernels.student.course import Gang, Pace, Plan
from somray.kernels.student.fit import deterministic, fit_student
from somray.kernels.student.sampling import Examples
from somray.kernels.student.start import start_from
from somray.kernels.student.unet import new_unet, unet_weights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
NETWORK = {"inputs": 3, "width": 8, "levels": 2, "prototypes_target": 2, "prototypes_rest": 4}
PLAN = Plan(steps=40, pixel_steps=60, patch=16, batch=4, pixels=256)


@pytest.fixture(autouse=True)
def cublas(monkeypatch):
    monkeypatch.setitem(os.environ, "CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def _fit(device, pace=None, *, bf16=False):
    stack = np.random.default_rng(0).normal(0, 1, (3, 48, 40)).astype(np.float32)
    stack[:, 10:30, 8:30] += 2
    target, known = stack[0] > 1, np.ones(stack.shape[1:], dtype=bool)
    module = new_unet(NETWORK, 0)
    start_from(module, stack, target, known, 0)
    module.to(device)
    examples = Examples([stack], [target], [known.astype(np.float32)])
    with deterministic(1):
        gang = Gang(device=device, bf16=bf16)
        state = fit_student(module, examples, PLAN, (0,), gang, pace or Pace())
    return unet_weights(module), state.rows


@pytest.mark.parametrize("bf16", [False, True])
def test_a_gpu_gives_the_same_bits_twice_and_across_an_interruption(bf16):
    states = []
    weights, rows = _fit("cuda", Pace(save=states.append), bf16=bf16)
    for pace in (Pace(), Pace(resume=states[2])):
        again, other = _fit("cuda", pace, bf16=bf16)
        assert other == rows
        for name, array in weights.items():
            np.testing.assert_array_equal(again[name], array)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_gpu_learns_what_a_cpu_learns(bf16):
    losses = [_fit("cpu")[1][-1]["loss"], _fit("cuda", bf16=bf16)[1][-1]["loss"]]
    assert losses[1] < losses[0] + 0.05
