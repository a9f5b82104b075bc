"""A network without a head: one way to build each kind, new or from what a pretraining left."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from somray.domain.encoder import EncoderModel
from somray.errors import ShapeError
from somray.kernels.pretrain.networks.residual import ResidualPlanes
from somray.kernels.pretrain.networks.shapes import (
    AnyShape,
    ResidualShape,
    TransformerShape,
    shape_of,
)
from somray.kernels.pretrain.networks.transformer import TransformerPlanes
from somray.kernels.student.network import UNetPlanes, drawn
from somray.kernels.student.shape import Network, NetworkShape

__all__ = ["Backbone", "build_backbone", "filled_in", "new_backbone", "student_start"]

Backbone = UNetPlanes | TransformerPlanes | ResidualPlanes
"""(b, inputs, [z,] y, x) float32 to (b, planes, [z,] y, x); has `shape` and `planes`."""

Weights = Mapping[str, NDArray[np.generic]]


def new_backbone(network: Network, seed: int) -> Backbone:
    """Build a network whose weights are drawn by a seed alone.

    Args:
        network: `shapes.network_of_spec`.
        seed: of the weights.

    Raises:
        ShapeError: it is no such network.
    """
    module = _built(shape_of(network))
    if isinstance(module, TransformerPlanes):
        module.draw(seed)
    else:
        drawn(module, seed)
    return module


def build_backbone(network: Network, weights: Weights) -> Backbone:
    """Build a network and fill in its weights, ready for inference.

    Raises:
        ShapeError: the weights are not those of such a network.
    """
    module = _built(shape_of(network))
    filled_in(module, weights, network)
    return module.eval()


def filled_in(module: nn.Module, weights: Weights, network: Network) -> None:
    """Fill weights into a network, in place.

    Raises:
        ShapeError: they are not those of such a network.
    """
    held = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    try:
        module.load_state_dict(held)
    except RuntimeError as error:
        raise ShapeError(f"weights do not fit the network {dict(network)}: {error}") from error


def student_start(model: EncoderModel, shape: NetworkShape) -> dict[str, NDArray[np.generic]]:
    """Return what a student starts from: all of its weights but those of `out`.

    Args:
        model: a pretrained encoder of kind "unet".
        shape: of the student's network.

    Raises:
        ShapeError: another kind of network, or another shape.
    """
    kind = model.network.get("kind")
    if kind != "unet":
        raise ShapeError(f"a student is a U-Net and cannot start from an encoder of kind {kind!r}")
    if NetworkShape.of(model.network) != shape:
        raise ShapeError(
            f"the student's network is {shape}, the encoder's {NetworkShape.of(model.network)}: "
            f"pretrain on the same dimensions and channels"
        )
    build_backbone(model.network, model.weights)  # refuses what does not fit
    return {name: np.array(array) for name, array in model.weights.items()}


def _built(shape: AnyShape) -> Backbone:
    builders: dict[type, Callable[..., Backbone]] = {
        NetworkShape: UNetPlanes,
        TransformerShape: TransformerPlanes,
        ResidualShape: ResidualPlanes,
    }
    return builders[type(shape)](shape)
