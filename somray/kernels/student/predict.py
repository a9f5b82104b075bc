"""Probabilities of the student, slice by slice.

On a CPU each slice is computed alone, so the bits depend neither on how many slices are given, nor on
their order, nor on threads; a slice too large for memory is cut into tiles whose halo covers the
receptive field. On another device slices go in batches, features and all, in bfloat16 where the
device has it; the CPU's result is the reference.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.features.spacing import has_other_spacing
from somray.kernels.student.fit import deterministic
from somray.kernels.student.graph import StudentGraph, feature_names_of
from somray.kernels.student.inputs import Look, student_inputs
from somray.kernels.student.strips import logits_in_strips
from somray.kernels.student.unet import UNet, build_unet

__all__ = ["device_for", "feature_names_of", "network_of_model", "predict_student", "probabilities"]

TILE = 1024
"""Largest side in pixels that the network sees at once, without halo: about 0.5 GB at work."""

DEVICE_PIXELS = 2**21
"""Pixels of a batch on another device: 8 slices of 512×512."""

KEPT_NETWORKS = 4
"""Networks that a process keeps built: one per protocol that it works on at once."""

_built: dict[str, UNet] = {}


def device_for(*, gpu: bool) -> str:
    """Return "cuda" where a GPU is asked for and there is one, else "cpu"."""
    return "cuda" if gpu and torch.cuda.is_available() else "cpu"


def network_of_model(model: StudentModel, device: str = "cpu") -> UNet:
    """Return a student's network, built once per process and device; not to be changed.

    A worker gets its model anew with every slab, so what is kept goes by the weights themselves.
    """
    found = hashlib.blake2b(repr((device, sorted(model.network.items()))).encode())
    for name in sorted(model.weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(model.weights[name]).tobytes())
    key = found.hexdigest()
    network = _built.pop(key, None)
    if network is None:
        network = build_unet(model.network, model.weights).to(device)
        network.requires_grad_(requires_grad=False)
    while len(_built) >= KEPT_NETWORKS:
        _built.pop(next(iter(_built)), None)  # the one not used for longest
    _built[key] = network
    return network


def predict_student(
    model: StudentModel,
    images: NDArray[np.float32],
    spacing_mm: tuple[float, float],
    threads: int = 1,
    device: str = "cpu",
    around: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Predict the target's probability at every pixel.

    Args:
        model: a trained student.
        images: (n, c, y, x) physical values in the model's channel order; NaN where there is no data.
        spacing_mm: (y, x) distance of pixel centres of these images.
        threads: slices, or strips of a lone slice, computed at once on a CPU; the result does not
            depend on them.
        device: where torch computes, "cpu" or "cuda".
        around: (n, 2k, c, y, x) neighbours of every slice, below first, for a student that sees them.

    Returns:
        (n, y, x) float32 in [0, 1]; 0 where any channel has no data.

    Raises:
        ShapeError: if the images are not (n, c, y, x) with the model's channels, or the neighbours are
            not as many as the student sees.

    Cost: memory of one slice's inputs and of one tile at work for each thread, beside the result; on a
    device of `DEVICE_PIXELS` pixels at work.
    """
    if images.ndim != 4 or images.shape[1] != len(model.channels):
        raise ShapeError(
            f"images must be (n, c, y, x) with channels {model.channels}, got {images.shape}"
        )
    network = network_of_model(model, device)
    seen = network.shape.beside // len(model.channels)
    if (0 if around is None else around.shape[1]) != seen:
        raise ShapeError(
            f"this student sees {seen} neighbours of every slice; around must hold them"
        )
    pixels = images.shape[2] * images.shape[3]
    small = pixels <= DEVICE_PIXELS and not has_other_spacing(spacing_mm, model.spacing_mm)
    if device != "cpu" and small:
        beside = [] if around is None else [around[:, k] for k in range(seen)]
        whole = np.concatenate([images, *beside], axis=1) if beside else images
        return _in_batches(StudentGraph(model, network, spacing_mm).to(device), whole, device)
    out = np.empty((len(images), *images.shape[2:]), dtype=np.float32)
    noise = network.noise.cpu().numpy()
    look = Look(model.windows, feature_names_of(model), spacing_mm, model.spacing_mm, noise)

    # Threads that share one layer's arithmetic wait for each other more than they work.
    together = max(1, min(threads, len(images))) if device == "cpu" else 1
    each = max(1, threads // together)

    def predict(index: int) -> None:
        stack = student_inputs(images[index], look, None if around is None else around[index])
        out[index] = probabilities(
            network, stack, device, temperature=model.temperature, threads=each
        )

    with deterministic(1), ThreadPoolExecutor(together) as pool:
        list(pool.map(predict, range(len(images))))
    return out


def _in_batches(
    graph: StudentGraph, images: NDArray[np.float32], device: str
) -> NDArray[np.float32]:
    """Run the whole graph on a device, several slices at once."""
    out = np.empty((len(images), *images.shape[2:]), dtype=np.float32)
    count = max(1, DEVICE_PIXELS // max(1, images[0, 0].size)) if len(images) else 1
    kind = torch.device(device).type
    half = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=half):
        for first in range(0, len(images), count):
            part = torch.from_numpy(images[first : first + count]).to(device)
            out[first : first + count] = graph(part).cpu().numpy()
    return out


def probabilities(
    module: UNet,
    stack: NDArray[np.float32],
    device: str = "cpu",
    tile: int = TILE,
    temperature: float = 1.0,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Run a network on one slice's inputs.

    Args:
        module: the network, on `device`.
        stack: (d, y, x) float32 inputs, NaN where there is no data.
        device: where the network is.
        tile: largest side computed at once, a multiple of the network's `multiple`.
        temperature: logits are divided by it, which calibrates probabilities.
        threads: strips computed at once on a CPU; the result does not depend on them.

    Returns:
        (y, x) float32 in [0, 1]; 0 where there is no data.
    """
    out = np.empty(stack.shape[1:], dtype=np.float32)
    in_strips = device == "cpu" and not module.shape.raw
    with torch.inference_mode():
        for rows, outer_rows in _spans(stack.shape[1], tile, module.halo):
            for columns, outer_columns in _spans(stack.shape[2], tile, module.halo):
                part = torch.from_numpy(stack[:, outer_rows, outer_columns]).to(device)
                logits = (
                    logits_in_strips(module, part, threads) if in_strips else module(part[None])[0]
                )
                chance = torch.sigmoid(logits / temperature).cpu().numpy()
                top, left = rows.start - outer_rows.start, columns.start - outer_columns.start
                out[rows, columns] = chance[
                    top : top + rows.stop - rows.start, left : left + columns.stop - columns.start
                ]
    out[np.isnan(stack[0])] = 0.0  # a hole is one in every plane
    return out


def _spans(size: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Cut an axis into tiles; each with what is seen round it."""
    for start in range(0, size, tile):
        stop = min(start + tile, size)
        yield slice(start, stop), slice(max(0, start - halo), min(size, stop + halo))
