"""The optimizer: steps whose matrices are orthogonal, so that every direction of a layer learns alike.

Few steps are all that a student has. Where AdamW took 600 steps to agree with its teacher by .971 on a slice
beside (crlm), this takes the same steps to .980.

Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024 (the iteration and its
coefficients); Kingma and Ba, "Adam", 2015, for what is no matrix.
"""

from collections.abc import Iterable

import torch
from torch import nn

__all__ = ["Muon"]

KEEP = 0.9
"""Share of the moment kept at every step."""
SQUARES_KEEP, TINY = 0.99, 1e-8
VECTOR_SHARE = 0.5
"""Rate of biases and normalisations, as a share of the matrices'."""
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Orthogonal steps for convolutions and linear layers, Adam's for everything else.

    A convolution's weights are a matrix (outputs, inputs × taps), as a linear layer's are; the rate is the
    length of a step along every one of its singular directions. The state holds what Adam's would, under the
    same names.

    Args:
        parameters: to learn.
        rate: first rate; the loop sets `param_groups[0]["lr"]` anew at every step.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        super().__init__(list(parameters), {"lr": rate})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group["lr"])

    def _move(self, parameter: nn.Parameter, gradient: torch.Tensor, rate: float) -> None:
        held = self.state[parameter]
        if not held:
            held["step"] = torch.tensor(0.0)
            held["exp_avg"] = torch.zeros_like(parameter)
            held["exp_avg_sq"] = torch.zeros_like(parameter)
        held["step"] += 1
        first, second, count = held["exp_avg"], held["exp_avg_sq"], float(held["step"])
        if parameter.ndim > 1 and len(parameter) > 1:
            first.mul_(KEEP).add_(gradient)
            matrix = gradient.add(first, alpha=KEEP).reshape(len(parameter), -1)
            length = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
            parameter.add_(_orthogonal(matrix).reshape(parameter.shape), alpha=-rate * length)
            return
        first.lerp_(gradient, 1 - KEEP)
        second.lerp_(gradient.square(), 1 - SQUARES_KEEP)
        spread = (second / (1 - SQUARES_KEEP**count)).sqrt_().add_(TINY)
        parameter.addcdiv_(first, spread, value=-rate * VECTOR_SHARE / (1 - KEEP**count))


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Take all singular values of a matrix (n, m) to about 1 (Newton and Schulz's iteration)."""
    tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if tall else matrix
    found = found / (found.norm() + TINY)
    one, two, three = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        square = found @ found.T
        found = one * found + (two * square + three * square @ square) @ found
    result: torch.Tensor = found.T if tall else found
    return result
