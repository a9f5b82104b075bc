"""A student as an ONNX file's bytes: the views of its views, its network, and probabilities in one graph.

torch's tracing exporter writes it. The newer one (`dynamo=True`) gives the same numbers, but wants two
more packages and took 54 s in place of 4 (November 2026, torch 2.13).
"""

import importlib.util
import io
import json
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from somray.domain.student import StudentModel
from somray.errors import ConfigError
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import build_unet, folded, laid_out
from somray.kernels.student.predict import views_of

__all__ = ["OPSET", "onnx_bytes", "require_onnx"]

OPSET = 17
"""Version of ONNX's operators: from 2022, read by every runtime in use."""

AXES = {2: ("y", "x"), 3: ("z", "y", "x")}
TRACED = {2: (23, 37), 3: (9, 11, 13)}
"""Sides that are traced; the graph takes any. Odd, so that padding is traced too."""


class _Graph(nn.Module):
    """Values (n, c, [z,] y, x) to probabilities (n, [z,] y, x), 0 where any channel has no data."""

    def __init__(self, model: StudentModel) -> None:
        super().__init__()
        self.network = folded(build_unet(model.network, model.weights))
        laid_out(self.network, channels_last=False)
        self.views, self.temperature = views_of(model), model.temperature

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = self.network(self.views.traced(image))
        chance = torch.sigmoid(logits / self.temperature)
        return torch.where(torch.isnan(image).any(dim=1), 0.0, chance)


def require_onnx() -> None:
    """Refuse to go on without the package `onnx`.

    Raises:
        ConfigError: it is not installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise ConfigError(
            'export to ONNX needs the package onnx: pip install "somray[export]" and run again'
        )


def onnx_bytes(model: StudentModel, facts: Mapping[str, object]) -> bytes:
    """Write a student as an ONNX model.

    The graph takes `image` (n, c, y, x) float32, (n, c, z, y, x) for a student of volumes, physical values in the
    model's channel order, NaN where there is no data, and gives `probability` without c, 0 where there is no data;
    all sides are free. Pixels, or blocks, must have the model's spacing to within a tenth.

    Args:
        model: a trained student.
        facts: what `metadata_props` tells; values that are not text become JSON.

    Raises:
        ConfigError: the package onnx is not installed.
    """
    require_onnx()
    import onnx

    found = onnx.load_from_string(_traced(model))
    onnx.helper.set_model_props(
        found, {key: v if isinstance(v, str) else json.dumps(v) for key, v in facts.items()}
    )
    onnx.checker.check_model(found)
    return bytes(found.SerializeToString(deterministic=True))


def _traced(model: StudentModel) -> bytes:
    """Trace the student's graph with free sizes."""
    graph = _Graph(model).eval()
    dimensions = int(model.network["dimensions"])
    shape = (2, len(model.channels), *TRACED[dimensions])
    axes = AXES[dimensions]
    free: dict[str, Any] = {
        "image": {0: "n", **{n + 2: name for n, name in enumerate(axes)}},
        "probability": {0: "n", **{n + 1: name for n, name in enumerate(axes)}},
    }
    image = torch.linspace(-1.0, 1.0, torch.Size(shape).numel()).reshape(shape)
    out = io.BytesIO()
    with warnings.catch_warnings(), deterministic(1):
        # The exporter and torch's own calls in it; torch is pinned to one minor release.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        # Whether padding is wanted is looked at while tracing: it is.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            graph,
            (image,),
            out,  # type: ignore[arg-type]  # the tracing exporter writes to open files too
            input_names=["image"],
            output_names=["probability"],
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    return out.getvalue()
