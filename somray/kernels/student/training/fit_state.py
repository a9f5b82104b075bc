"""Where a training stands between two epochs: everything that the next one starts from.

Plain numpy arrays by parameter name. The loop (`loop.py`) starts every epoch from
such a state, resumed or not, so a training that goes on from a stored one has the same bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from somray.kernels.student.network import unet_weights

__all__ = ["FitState", "capture", "load", "load_optimizer"]

Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class FitState:
    """A training between two epochs.

    Args:
        weights: every parameter and buffer of the network, by name.
        averaged: averaged parameters and statistics; empty before the first epoch.
        first: the optimizer's first moments of the parameters; empty before the first epoch.
        second: its second moments.
        epoch: epochs that are finished.
        step: optimizer steps taken.
        done: whether the last epoch is over.
        rows: the table's rows so far.
    """

    weights: Arrays
    averaged: Arrays = field(default_factory=dict)
    first: Arrays = field(default_factory=dict)
    second: Arrays = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    done: bool = False
    rows: tuple[dict[str, Any], ...] = ()  # Any: a row's cells are numbers


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
            "step": torch.tensor(float(state.step), device=parameter.device),
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
