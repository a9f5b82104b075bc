"""A student as an ONNX file's bytes: windows, features and network in one graph.

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

from somray.domain.student import StudentModel
from somray.errors import ConfigError
from somray.kernels.student.fit import deterministic
from somray.kernels.student.graph import StudentGraph

__all__ = ["OPSET", "onnx_bytes", "require_onnx"]

OPSET = 17
"""Version of ONNX's operators: from 2022, read by every runtime in use."""

TRACED = (2, 23, 37)
"""Slices, rows and columns that are traced; the graph takes any. Odd, so that padding is traced too."""


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

    The graph takes `image` (n, c, y, x) float32, physical values in the model's channel order, NaN
    where there is no data, followed by the channels of every neighbouring slice from the lowest for a
    student that sees them, and gives `probability` (n, y, x) float32, 0 where there is no data; n, y
    and x are free. Pixels must have the model's spacing to within a tenth.

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
    graph = StudentGraph(model).eval()
    graph.requires_grad_(requires_grad=False)
    n, y, x = TRACED
    planes = len(model.channels) * (1 + graph.inputs.beside)
    image = torch.linspace(-1.0, 1.0, n * planes * y * x)
    free: dict[str, Any] = {
        "image": {0: "n", 2: "y", 3: "x"},
        "probability": {0: "n", 1: "y", 2: "x"},
    }
    out = io.BytesIO()
    with warnings.catch_warnings(), deterministic(1):
        # The exporter and torch's own calls in it; torch is pinned to one minor release.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        # Numbers of planes are looked at, which never change, and whether padding is wanted: it is.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            graph,
            (image.reshape(n, planes, y, x),),
            out,  # type: ignore[arg-type]  # the tracing exporter writes to open files too
            input_names=["image"],
            output_names=["probability"],
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    return out.getvalue()
