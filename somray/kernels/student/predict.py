"""From images to a student's probabilities: one path for slices and volumes, on a CPU or a GPU.

Images are taken whole where they fit, else in tiles with all that a logit sees round them. On a CPU every
image is computed by one thread and several images at once, so the bits depend on no number of threads.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import UNet, build_unet, folded
from somray.kernels.student.views import ImageViews, Window

__all__ = [
    "TILES",
    "chances",
    "device_for",
    "network_of_model",
    "predict_part",
    "predict_student",
    "tile_spans",
    "views_of",
]

TILES = {2: 1024, 3: 128}
"""Largest side that the network sees at once, without halo, in two and three dimensions."""
DEVICE_PIXELS = 2**21
"""Pixels of a batch on another device: 8 slices of 512×512."""
KEPT_NETWORKS = 4
"""Networks that a process keeps built: one per protocol that it works on at once."""

_built: dict[str, UNet] = {}


def device_for(*, gpu: bool) -> str:
    """Return "cuda" where a GPU is asked for and there is one, else "cpu"."""
    return "cuda" if gpu and torch.cuda.is_available() else "cpu"


def views_of(model: StudentModel, windows: tuple[Window, ...] | None = None) -> ImageViews:
    """Return how a student sees images; `windows` where a scan has its own."""
    return ImageViews(model.kinds, windows or model.windows)


def network_of_model(model: StudentModel, device: str = "cpu") -> UNet:
    """Return a student's network ready for inference, built once per process and device; not to be changed.

    A worker gets its model anew with every slab, so what is kept goes by the weights themselves.
    """
    found = hashlib.blake2b(repr((device, sorted(model.network.items()))).encode())
    for name in sorted(model.weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(model.weights[name]).tobytes())
    key = found.hexdigest()
    network = _built.pop(key, None)
    if network is None:
        network = folded(build_unet(model.network, model.weights)).to(device)
    while len(_built) >= KEPT_NETWORKS:
        _built.pop(next(iter(_built)), None)  # the one not used for longest
    _built[key] = network
    return network


def predict_student(
    model: StudentModel,
    images: NDArray[np.float32],
    windows: tuple[Window, ...] | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Predict the target's probability at every pixel.

    Args:
        model: a trained student.
        images: (n, c, [z,] y, x) physical values in the model's channel order; NaN where there is no data.
        windows: per channel, where the scan has its own; the model's otherwise.
        threads: images computed at once on a CPU; the result does not depend on them.
        device: where torch computes, "cpu" or "cuda".

    Returns:
        (n, [z,] y, x) float32 in [0, 1]; 0 where any channel has no data.

    Raises:
        ShapeError: the images do not fit the model.

    Cost: memory of one image's inputs and of one tile at work for each thread, beside the result; on a
    device of `DEVICE_PIXELS` pixels at work.
    """
    dimensions = int(model.network["dimensions"])
    if images.ndim != dimensions + 2 or images.shape[1] != len(model.channels):
        axes = "z, y, x" if dimensions == 3 else "y, x"
        raise ShapeError(
            f"images must be (n, c, {axes}) with channels {model.channels}, got {images.shape}"
        )
    network, views = network_of_model(model, device), views_of(model, windows)
    return chances(network, images, views, threads, device, model.temperature)


def predict_part(
    model: StudentModel,
    image: NDArray[np.float32],
    inner: tuple[slice, ...],
    windows: tuple[Window, ...] | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Predict one tile of an image that is not held whole.

    Args:
        model: a trained student.
        image: (c, [z,] y, x), a tile with all that is seen round it, as `tile_spans` cuts it.
        inner: where the tile lies in it, along ([z,] y, x).
        windows: as for `predict_student`.
        device: as for `predict_student`.

    Returns:
        Probabilities of the tile, the same bits as of the whole image; 0 where any channel has no data.
    """
    network, views = network_of_model(model, device), views_of(model, windows)
    with deterministic(1), torch.inference_mode():
        inputs = views.inputs(image)[None]
        found: NDArray[np.float32] = _chance(network, inputs, device, model.temperature)[0][inner]
    found[np.isnan(image[(slice(None), *inner)]).any(axis=0)] = 0.0
    return found


def chances(
    network: UNet,
    images: Sequence[NDArray[np.float32]] | NDArray[np.float32],
    views: ImageViews,
    threads: int = 1,
    device: str = "cpu",
    temperature: float = 1.0,
) -> NDArray[np.float32]:
    """Run a folded network on images (n, c, [z,] y, x) of one shape; see `predict_student`."""
    out = np.empty((len(images), *images[0].shape[1:]), dtype=np.float32)
    pixels = max(1, int(np.prod(out.shape[1:])))
    together = max(1, DEVICE_PIXELS // pixels) if device != "cpu" else 1
    groups = [slice(n, n + together) for n in range(0, len(images), together)]

    def predict(group: slice) -> None:
        part = images[group]
        inputs = np.stack([views.inputs(image) for image in part])
        found = _tiled(network, inputs, device, temperature)
        for image, chance in zip(part, found, strict=True):
            chance[np.isnan(image).any(axis=0)] = 0.0
        out[group] = found

    workers = max(1, min(threads, len(groups))) if device == "cpu" else 1
    with deterministic(1), ThreadPoolExecutor(workers) as pool:
        list(pool.map(predict, groups))
    return out


def _tiled(
    network: UNet, inputs: NDArray[np.float32], device: str, temperature: float
) -> NDArray[np.float32]:
    """Run the network tile by tile over inputs (b, d, …)."""
    shape = inputs.shape[2:]
    out = np.empty((len(inputs), *shape), dtype=np.float32)
    spans = [list(tile_spans(size, len(shape), network.shape.halo)) for size in shape]
    with torch.inference_mode():
        for parts in itertools.product(*spans):
            outer = tuple(span for _, span in parts)
            chance = _chance(
                network, inputs[(slice(None), slice(None), *outer)], device, temperature
            )
            inner = tuple(
                slice(own.start - seen.start, own.stop - seen.start) for own, seen in parts
            )
            out[(slice(None), *(own for own, _ in parts))] = chance[(slice(None), *inner)]
    return out


def _chance(
    network: UNet, inputs: NDArray[np.float32], device: str, temperature: float
) -> NDArray[np.float32]:
    """Run the network once, over inputs (b, d, …)."""
    last = torch.channels_last if inputs.ndim == 4 else torch.channels_last_3d
    half = torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported(
        including_emulation=False
    )
    part = torch.from_numpy(np.ascontiguousarray(inputs))
    part = part.to(device).contiguous(memory_format=last)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
        logits = network(part).float()
    found: NDArray[np.float32] = torch.sigmoid(logits / temperature).cpu().numpy()
    return found


def tile_spans(size: int, dimensions: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Cut an axis of an image into tiles; each with what is seen round it."""
    tile = TILES[dimensions]
    for start in range(0, size, tile):
        stop = min(start + tile, size)
        yield slice(start, stop), slice(max(0, start - halo), min(size, stop + halo))
