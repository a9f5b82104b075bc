"""Weights go into MONAI's and nnU-Net's own networks, by their own loaders, and give the same numbers there."""

import pydoc
from dataclasses import replace

import numpy as np
import pytest
import torch

from somray.errors import ShapeError
from somray.kernels.pretrain.foreign import (
    MONAI_CLASS,
    NNUNET_CLASS,
    monai_weights,
    nnunet_weights,
)
from somray.kernels.pretrain.networks.backbone import build_backbone
from tests.kernels.pretrain.test_pretrain_networks import encoder

EITHER = pytest.mark.parametrize("dimensions", [2, 3])


def shaken(model):
    """An encoder whose every weight counts: scales and biases are no longer ones and zeros."""
    rng = np.random.default_rng(0)
    return replace(
        model,
        weights={
            k: a + 0.1 * rng.normal(size=a.shape).astype(a.dtype) for k, a in model.weights.items()
        },
    )


def tensors(weights):
    return {name: torch.from_numpy(array) for name, array in weights.items()}


@EITHER
def test_monai_takes_the_tokens_strictly_and_gives_the_same(dimensions):
    pytest.importorskip("monai")
    model = shaken(encoder("vit", dimensions))
    weights, arguments = monai_weights(model)
    network = pydoc.locate(MONAI_CLASS)(**arguments).eval()
    network.load_state_dict(tensors(weights), strict=True)
    inputs = torch.randn(2, arguments["in_channels"], *arguments["img_size"])
    own = build_backbone(model.network, model.weights).vit(inputs)
    torch.testing.assert_close(network(inputs)[0], own, rtol=1e-5, atol=1e-5)


@EITHER
def test_nnunet_takes_everything_but_its_segmentation_layers_and_gives_the_same(
    dimensions, tmp_path, capsys
):
    plans = pytest.importorskip("nnunetv2.utilities.get_network_from_plans")
    loader = pytest.importorskip("nnunetv2.run.load_pretrained_weights")
    model = shaken(encoder("resenc", dimensions))
    weights, arguments = nnunet_weights(model)
    named = [name for name, value in arguments.items() if isinstance(value, str)]
    eaten = int(model.network["inputs"])
    network = plans.get_network_from_plans(
        NNUNET_CLASS, arguments, named, eaten, 2, deep_supervision=False
    ).eval()
    wanted = {name for name in network.state_dict() if ".seg_layers." not in name}
    assert weights.keys() == wanted
    torch.save({"network_weights": tensors(weights)}, tmp_path / "encoder.pth")
    loader.load_pretrained_weights(network, str(tmp_path / "encoder.pth"))
    network.decoder.seg_layers[-1] = torch.nn.Identity()
    inputs = torch.randn(2, eaten, *[16] * dimensions)
    own = build_backbone(model.network, model.weights)(inputs)
    torch.testing.assert_close(network(inputs), own, rtol=1e-5, atol=1e-5)


def test_other_kinds_of_encoder_are_refused():
    with pytest.raises(ShapeError, match="not 'unet'"):
        monai_weights(encoder("unet"))
    with pytest.raises(ShapeError, match="not 'vit'"):
        nnunet_weights(encoder("vit"))
