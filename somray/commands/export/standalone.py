"""A network's own source as one file that needs PyTorch alone, so that its weights outlive somray.

It is cut from the modules that trained the network, so that it cannot drift from them.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType

from somray import __version__
from somray.domain.encoder import EncoderModel

__all__ = ["network_source"]

_HEAD = '''"""A pretrained encoder as it was trained, in plain PyTorch: `load(folder)` gives planes of images.

Cut from somray {version} (its licence); weights lie beside this file.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional


class ShapeError(ValueError):
    """Numbers that make no network, or do not fit each other."""


'''
_TAIL = '''

NETWORK = {network!r}
KINDS = {kinds!r}
WINDOWS = {windows!r}


def load(folder: str | Path) -> {module}:
    """Build the network and fill in the weights of `encoder.safetensors`."""
    from safetensors.torch import load_file

    module = {module}({shape}.of(NETWORK))
    module.load_state_dict(load_file(Path(folder) / "encoder.safetensors"))
    return module.eval()


def inputs(values: torch.Tensor, windows=WINDOWS) -> torch.Tensor:
    """Turn images (b, channels, [z,] y, x) in physical values, NaN for no data, into what the network eats."""
    return ImageViews(KINDS, windows).traced(values)
'''


def network_source(model: EncoderModel) -> str:
    """Return the source of a file that builds an encoder's network and fills its weights in."""
    from somray.kernels.pretrain.networks import residual, shapes, transformer  # torch: only here
    from somray.kernels.student import network, shape, views

    kinds: Mapping[str, tuple[str, str, Sequence[tuple[ModuleType, Sequence[str]]]]] = {
        "unet": ("UNetPlanes", "NetworkShape", [(network, ("_Layer", "_layers", "UNetPlanes"))]),
        "vit": ("TransformerPlanes", "TransformerShape", [(transformer, ())]),
        "resenc": ("ResidualPlanes", "ResidualShape", [(residual, ())]),
    }
    module, built, own = kinds[str(model.network["kind"])]
    parts: list[tuple[ModuleType, Sequence[str]]] = [
        (views, ()),
        (shape, ("Network", "NetworkShape")),
        (shapes, ("Numbers", "_Plain", "TransformerShape", "ResidualShape")),
        (network, ("fill_up", "cut_back")),
        *own,
    ]
    found = "\n\n".join(text for place, names in parts for text in _cut(place, names))
    tail = _TAIL.format(
        network=dict(model.network),
        kinds=model.kinds,
        windows=model.windows,
        module=module,
        shape=built,
    )
    return _HEAD.format(version=__version__) + found + tail


def _cut(module: ModuleType, names: Sequence[str]) -> Iterator[str]:
    """Yield a module's definitions and constants of these names, all of them where none are given."""
    text = inspect.getsource(module)
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            targets = [
                name.id for t in node.targets for name in ast.walk(t) if isinstance(name, ast.Name)
            ]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            targets = [node.name]
        else:
            continue
        if "__all__" in targets or (names and not set(targets) & set(names)):
            continue
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(one.lineno for one in decorators)])
        yield "\n".join(lines[first - 1 : node.end_lineno])
