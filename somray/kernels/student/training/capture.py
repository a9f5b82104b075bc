"""A training's state taken from the tensors that an epoch moved, and laid back into them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from somray.kernels.student.network import unet_weights
from somray.kernels.student.training.fit_state import FitState

__all__ = ["capture", "load", "load_optimizer"]


def load(module: nn.Module, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Copy arrays into a network's parameters and buffers of the same names, in place."""
    held = module.state_dict()
    with torch.no_grad():
        for name, array in arrays.items():
            held[name].copy_(torch.from_numpy(np.asarray(array)))


def load_optimizer(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], state: FitState
) -> None:
    """Give an optimizer the moments and the step of a state; nothing where a training begins."""
    if not state.first:
        return
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {
            "step": torch.tensor(float(state.step)),  # read at every step: no wait for a device
            "exp_avg": _like(parameter, state.first[name]),
            "exp_avg_sq": _like(parameter, state.second[name]),
        }


def _like(parameter: nn.Parameter, array: NDArray[np.generic]) -> torch.Tensor:
    """Copy an array to a tensor laid out and placed as the parameter is."""
    return torch.empty_like(parameter, requires_grad=False).copy_(torch.from_numpy(array))


def capture(
    module: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    averaged: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    before: FitState,
) -> FitState:
    """Copy everything that moved in an epoch; counts and rows stay those of `before`."""
    moments = {name: optimizer.state[p] for name, p in parameters.items()}
    return replace(
        before,
        weights=unet_weights(module),
        averaged={name: _copied(tensor) for name, tensor in averaged.items()},
        first={name: _copied(found["exp_avg"]) for name, found in moments.items()},
        second={name: _copied(found["exp_avg_sq"]) for name, found in moments.items()},
    )


def _copied(tensor: torch.Tensor) -> NDArray[np.generic]:
    found: NDArray[np.generic] = tensor.detach().cpu().numpy().copy()
    return found
