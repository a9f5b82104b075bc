"""The optimizer: matrices move by orthogonal steps, everything else as Adam says."""

import numpy as np
import pytest
import torch
from torch import nn

from somray.kernels.student.training import muon as module
from somray.kernels.student.training.muon import Muon

SHAPES = [(8, 3, 3, 3), (16, 8, 3, 3), (4, 8, 1, 1), (32, 16, 3, 3, 3), (6, 2, 1, 1)]


def stepped(shape, gradients, rate=0.1):
    """Take steps along gradients; return how far the parameter moved at each."""
    parameter = nn.Parameter(torch.zeros(shape))
    optimizer = Muon([parameter], rate)
    moves, before = [], parameter.detach().clone()
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        moves.append((parameter.detach() - before) / rate)
        before = parameter.detach().clone()
    return moves


def drawn(shape, count=1, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=draw) for _ in range(count)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_moves_alike_along_each_of_its_directions(shape):
    for move in stepped(shape, drawn(shape, 3)):
        matrix = move.reshape(shape[0], -1)
        length = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        singular = torch.linalg.svdvals(matrix) / length
        assert 0.5 < singular.min() <= singular.max() < 1.35


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_goes_down_and_its_length_is_not_the_gradients(shape):
    (gradient,) = drawn(shape)
    (move,), (other,) = stepped(shape, [gradient]), stepped(shape, [1000 * gradient])
    assert (move * gradient).sum() < 0
    torch.testing.assert_close(move, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(7,), (1, 5, 1, 1)])
def test_what_is_no_matrix_moves_as_adam_says(shape):
    gradients = drawn(shape, 5)
    first = second = np.zeros(shape)
    for number, (move, gradient) in enumerate(
        zip(stepped(shape, gradients), gradients, strict=True), start=1
    ):
        told = gradient.numpy().astype(np.float64)
        first = module.KEEP * first + (1 - module.KEEP) * told
        second = module.SQUARES_KEEP * second + (1 - module.SQUARES_KEEP) * told**2
        mean, spread = first / (1 - module.KEEP**number), second / (1 - module.SQUARES_KEEP**number)
        expected = -module.VECTOR_SHARE * mean / (np.sqrt(spread) + module.TINY)
        np.testing.assert_allclose(move, expected, rtol=2e-4, atol=1e-5)


def test_a_parameter_without_a_gradient_stays():
    parameter = nn.Parameter(torch.ones(3, 2, 3, 3))
    Muon([parameter], 0.1).step()
    assert (parameter == 1).all()


def test_no_gradient_at_all_is_no_step():
    (move,) = stepped((4, 3, 3, 3), [torch.zeros(4, 3, 3, 3)])
    assert not move.any()
