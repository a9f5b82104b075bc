"""An encoder's weights under the names of MONAI's and nnU-Net's networks, and what builds those there.

MONAI's `ViT` gets the tokens alone: the decoder to pixels is ours. It also holds a normalisation in every block that
it uses for attention across two images and nothing else; it gets the values that a new one has. nnU-Net's network
holds every weight under several names (the whole encoder once more in its decoder, every layer once more in a list),
and `load_pretrained_weights` wants all of them but those of its segmentation layers. Both eat what our encoders eat:
each channel in the views of `student.views`, in their order.

Read from `monai.networks.nets.ViT` (MONAI 1.5) and `dynamic_network_architectures.architectures.unet` (0.4).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.encoder import EncoderModel
from somray.errors import ShapeError
from somray.kernels.pretrain.networks.shapes import ResidualShape, TransformerShape, shape_of

__all__ = ["MONAI_CLASS", "NNUNET_CLASS", "monai_weights", "nnunet_weights"]

MONAI_CLASS = "monai.networks.nets.ViT"
NNUNET_CLASS = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
LAYERS = {".conv.": ".all_modules.0.", ".norm.": ".all_modules.1."}
"""Where a layer of nnU-Net stands again, in the list that it runs."""

Weights = dict[str, NDArray[np.generic]]
Arguments = dict[str, Any]  # Any: what a constructor takes, JSON-able


def monai_weights(model: EncoderModel) -> tuple[Weights, Arguments]:
    """Return an encoder of kind "vit" as MONAI's `ViT` holds it.

    Returns:
        What its `load_state_dict` takes once turned into tensors, and what its constructor takes.

    Raises:
        ShapeError: another kind of encoder.
    """
    shape = shape_of(model.network)
    if not isinstance(shape, TransformerShape):
        raise ShapeError(f"MONAI's ViT takes encoders of kind 'vit', not {model.network['kind']!r}")
    weights = {
        name.removeprefix("vit."): np.array(array)
        for name, array in model.weights.items()
        if name.startswith("vit.")
    }
    for layer in range(shape.layers):
        unused = f"blocks.{layer}.norm_cross_attn"
        weights[f"{unused}.weight"] = np.ones(shape.hidden, dtype=np.float32)
        weights[f"{unused}.bias"] = np.zeros(shape.hidden, dtype=np.float32)
    return weights, {
        "in_channels": shape.inputs,
        "img_size": [shape.image] * shape.dimensions,
        "patch_size": [shape.patch] * shape.dimensions,
        "hidden_size": shape.hidden,
        "mlp_dim": shape.mlp,
        "num_layers": shape.layers,
        "num_heads": shape.heads,
        "spatial_dims": shape.dimensions,
    }


def nnunet_weights(model: EncoderModel) -> tuple[Weights, Arguments]:
    """Return an encoder of kind "resenc" as nnU-Net's residual encoder U-Net holds it.

    Returns:
        What belongs under `network_weights` of a checkpoint for `-pretrained_weights` once turned into tensors, and
        the `arch_kwargs` of a plan whose network takes it: without `input_channels`, which nnU-Net takes from its
        data set. Names of classes stand there as text: those that a plan lists under `_kw_requires_import`.

    Raises:
        ShapeError: another kind of encoder.
    """
    shape = shape_of(model.network)
    if not isinstance(shape, ResidualShape):
        raise ShapeError(
            f"nnU-Net's residual U-Net takes encoders of kind 'resenc', not {model.network['kind']!r}"
        )
    weights: Weights = {}
    for name, array in model.weights.items():
        for own in (name, _again(name)):
            weights[own] = np.array(array)
            if own.startswith("encoder."):
                weights[f"decoder.{own}"] = weights[own]
    stages, dims = len(shape.features), shape.dimensions
    return weights, {
        "n_stages": stages,
        "features_per_stage": list(shape.features),
        "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
        "kernel_sizes": [[3] * dims] * stages,
        "strides": [[1] * dims, *[[2] * dims] * (stages - 1)],
        "n_blocks_per_stage": list(shape.blocks),
        "n_conv_per_stage_decoder": [shape.upper] * (stages - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def _again(name: str) -> str:
    """Return the other name under which nnU-Net holds a layer; the same where there is none."""
    for one, other in LAYERS.items():
        if one in name:
            return name.replace(one, other)
    return name
