"""Training on a GPU: the same bits twice, also across an interruption, and about what a CPU learns."""

import os

import numpy as np
import pytest
import torch

from somray.kernels.student.course import Gang, Pace, Plan
from somray.kernels.student.fit import deterministic, fit_student
from somray.kernels.student.start import start_from
from somray.kernels.student.unet import new_unet, unet_weights
from tests.student_fixtures import NETWORK, examples_of, hu_slice

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
PLAN = Plan(steps=40, pixel_steps=60, patch=40, batch=4, pixels=256)


@pytest.fixture(autouse=True)
def cublas(monkeypatch):
    monkeypatch.setitem(os.environ, "CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def _fit(device, pace=None, *, bf16=False):
    image, mask = hu_slice((64, 56))
    examples = examples_of([image], [mask])
    module = new_unet(NETWORK, 0)
    known = np.ones(mask.shape, dtype=bool)
    start_from(module, examples.stacks[0], np.where(mask, 0, 1), known, 0)
    module.to(device)
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
