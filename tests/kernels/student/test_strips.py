"""The forward pass in strips equals the network's own."""

import numpy as np
import pytest
import torch

from somray.kernels.student import strips
from somray.kernels.student.predict import predict_student
from somray.kernels.student.strips import InStrips
from somray.kernels.student.unet import UNet
from tests.kernels.student.test_graph import SPEC, scan, student


def _network(levels, inputs=5):
    module = UNet(inputs, levels=levels, prototypes=(3, 7)).eval()
    generator = torch.Generator().manual_seed(levels)
    with torch.no_grad():
        for parameter in [*module.parameters(), module.center]:
            parameter.normal_(0, 0.3, generator=generator)
        module.scale.uniform_(0.5, 2, generator=generator)
    return module


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (37, 50), (96, 21)])
def test_strips_give_the_logits_of_the_whole(monkeypatch, levels, shape):
    monkeypatch.setattr(strips, "STRIP_PIXELS", 150)
    module = _network(levels)
    stack = torch.randn(1, 5, *shape, generator=torch.Generator().manual_seed(1)) * 4
    stack[0, 2, 0, 0] = torch.nan
    with torch.inference_mode():
        expected, given = module(stack), stack.clone()
        found = InStrips(module)(given)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(given, stack, equal_nan=True)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_the_bits(monkeypatch, threads):
    monkeypatch.setattr(strips, "STRIP_PIXELS", 8 * 64)
    model, images = student(), scan(4, 40, 60)
    one = predict_student(model, images, SPEC.spacing_mm, 1)
    np.testing.assert_array_equal(predict_student(model, images, SPEC.spacing_mm, threads), one)
    single = predict_student(model, images[:1], SPEC.spacing_mm, threads)
    np.testing.assert_array_equal(single[0], one[0])
